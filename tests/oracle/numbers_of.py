"""Element types: rounding to them, and their bytes."""

import numpy

# Digits of the significand, distance of the smallest numbers, largest number.
FORMATS = {
    "float64": (53, 2.0**-1074, numpy.finfo("float64").max),
    "float32": (24, 2.0**-149, float(numpy.finfo("float32").max)),
    "float16": (11, 2.0**-24, 65504.0),
    "bfloat16": (8, 2.0**-133, (2 - 2.0**-7) * 2.0**127),
}
FLOATS = tuple(FORMATS)
INTEGERS = ("int32", "int64")


def rounded(numbers, dtype):
    """float64 numbers, rounded once to the nearest of the type, ties to even.

    (PyTorch rounds float64 to a half type by way of float32: twice.)
    """
    numbers = numpy.asarray(numbers, "float64")
    if dtype not in FORMATS or dtype == "float64":
        return numbers
    digits, smallest, largest = FORMATS[dtype]
    finite = numpy.where(numpy.isfinite(numbers), numbers, 0)
    exponents = numpy.frexp(finite)[1]
    spacing = numpy.maximum(numpy.ldexp(1.0, exponents - digits), smallest)
    result = numpy.rint(finite / spacing) * spacing
    result = numpy.where(abs(result) > largest,
                         numpy.copysign(numpy.inf, result), result)
    return numpy.where(numpy.isfinite(numbers), result, numbers)


def to_bytes(numbers, dtype):
    """Little-endian bytes of numbers that the type holds exactly."""
    if dtype == "bfloat16":
        bits = numpy.asarray(numbers, "float32").view("uint32") >> 16
        return bits.astype("uint16").tobytes()
    return numpy.asarray(numbers).astype(dtype).tobytes()


def from_bytes(data, dtype):
    """As float64."""
    if dtype == "bfloat16":
        bits = numpy.frombuffer(data, "uint16").astype("uint32") << 16
        return bits.view("float32").astype("float64")
    return numpy.frombuffer(data, dtype).astype("float64")
