"""One loss to compute: what the caller says as a message, and the reply as
what the caller gets."""

from __future__ import annotations

from typing import Any, Iterable

from lossd import arrays, errors, wire
from lossd.arrays import ArrayLike
from lossd.declared import check_keywords
from lossd.results import Result
from lossd.v1 import loss_info_pb2, loss_service_pb2, losses_pb2

_KIND = losses_pb2.Loss.DESCRIPTOR.oneofs_by_name["kind"]
_MEMBERS = {field.name: field for field in _KIND.fields
            if field.name != "named"}


def _info(field):
    return field.message_type.GetOptions().Extensions[loss_info_pb2.loss]


_FULL_NAMES = {name: field.name for field in _MEMBERS.values()
               for name in (field.name, *_info(field).aliases)}


def full_name(name: str) -> str:
    """The full name of a loss by either of its names; other names as they
    are: a call refuses them."""
    return _FULL_NAMES.get(name, name)


# Whether integers stand for real numbers there.
_TENSORS = {"predictions": True, "targets": False, "sample_weights": True,
            "mask": False, "upstream_gradient": True}
_OUTPUTS = ("gradient", "row_losses", "diagnostics")
_COMMON = frozenset(_TENSORS) | {"reduction", "normalizer", "semantics",
                                 "outputs", "gradient_dtype"}


def _one_of(keyword: str, given: Any, allowed: Iterable[str]) -> ValueError:
    return ValueError(f"{keyword}: got {given!r}, allowed is one of "
                      f"{', '.join(allowed)}")


def _enum_prefix(enum_type) -> str:
    """What all values of an enum begin with: "PREDICTION_KIND_"."""
    return enum_type.values[0].name.removesuffix("UNSPECIFIED")


def _enum_number(enum_type, keyword: str, name: str) -> int:
    prefix = _enum_prefix(enum_type)
    value = enum_type.values_by_name.get(prefix + str(name).upper())
    if value is None or value.number == 0:
        raise _one_of(keyword, name, (known.name.removeprefix(prefix)
                                      for known in enum_type.values[1:]))
    return value.number


def _enum_name(enum_type, number: int) -> str:
    return enum_type.values_by_number[number].name.removeprefix(
        _enum_prefix(enum_type))


class Call:
    """One loss to compute, for compute_batch.

    What is left out is taken from the batch's defaults, and from lossd's after
    that. Every array is borrowed until the batch is sent, and may be anything
    that numpy.asarray takes, or a torch tensor.

    Args:
        loss: full name or short name: "huber", "mse".
        predictions, targets: arrays; see the method of the loss.
        keywords: the options of the loss and its further arrays, by name;
            sample_weights, mask, reduction, normalizer, upstream_gradient,
            semantics; outputs, any of "gradient", "row_losses" and
            "diagnostics" (only the gradient, if left out); gradient_dtype,
            "float32", "float64", "float16" or "bfloat16" (that of the
            predictions, if left out).

    Raises:
        TypeError: unknown keyword, or an array that cannot be sent.
        ValueError: unknown loss, or name of a choice.
    """

    def __init__(self, loss: str | None = None,
                 predictions: ArrayLike | None = None,
                 targets: ArrayLike | None = None, **keywords: Any):
        given = {name: value for name, value in
                 {"predictions": predictions, "targets": targets,
                  **keywords}.items() if value is not None}
        self._message = loss_service_pb2.LossItem()
        self._extra_inputs = {}
        self._set_loss(loss, given)
        self._set_choices(given)
        self.outputs = self._outputs(given)
        # An array in which form the caller gave it.
        self.predictions = predictions
        self._tensors = {
            name: arrays.to_wire(given[name], name, real)
            for name, real in _TENSORS.items() if name in given}

    def _set_loss(self, loss, given):
        if loss is None:
            check_keywords("Call", given, _COMMON)
            return
        if loss not in _FULL_NAMES:
            raise _one_of("loss", loss, _FULL_NAMES)
        name = _FULL_NAMES[loss]
        options = _MEMBERS[name].message_type.fields_by_name
        # Whether integers stand for real numbers there.
        extra_inputs = {one.name: "float32" in one.dtypes
                        for one in _info(_MEMBERS[name]).inputs
                        if one.name != "targets"}
        check_keywords(name, given, _COMMON | set(options) | set(extra_inputs))
        message = getattr(self._message.loss, name)
        message.SetInParent()
        for keyword in given.keys() - _COMMON:
            value = given[keyword]
            is_array = getattr(value, "ndim", int(isinstance(value, list))) > 0
            if keyword not in options or (is_array and
                                          keyword in extra_inputs):
                self._extra_inputs[keyword] = arrays.to_wire(
                    value, keyword, extra_inputs[keyword])
                continue
            field = options[keyword]
            if field.enum_type:
                value = _enum_number(field.enum_type, keyword, value)
            elif field.cpp_type == field.CPPTYPE_DOUBLE:
                value = float(value)
            setattr(message, keyword, value)

    def _set_choices(self, given):
        for keyword in ("reduction", "semantics"):
            if keyword in given:
                enum_type = self._message.DESCRIPTOR.fields_by_name[
                    keyword].enum_type
                setattr(self._message, keyword,
                        _enum_number(enum_type, keyword, given[keyword]))
        if "normalizer" in given:
            self._message.normalizer = float(given["normalizer"])

    def _outputs(self, given):
        if "outputs" not in given and "gradient_dtype" not in given:
            return None
        names = given.get("outputs", ("gradient",))
        names = (names,) if isinstance(names, str) else tuple(names)
        for name in names:
            if name not in _OUTPUTS:
                raise _one_of("outputs", name, _OUTPUTS)
        outputs = loss_service_pb2.Outputs(**dict.fromkeys(names, True))
        if "gradient_dtype" in given:
            outputs.gradient_dtype = arrays.dtype_named(given["gradient_dtype"])
        return outputs

    def parts(self, outputs: loss_service_pb2.Outputs | None) -> list:
        """The parts of its LossItem."""
        message = self._message
        if outputs is not None:
            message = loss_service_pb2.LossItem(outputs=outputs)
            message.MergeFrom(self._message)
        return wire.item(message, self._tensors, self._extra_inputs)


_DEFAULT_OUTPUTS = loss_service_pb2.Outputs(gradient=True)


class Batch:
    """A request, and how its reply is read."""

    def __init__(self, calls: Iterable[Call], defaults: Call | None):
        self._calls = list(calls)
        self._defaults = defaults or Call()

    def request(self, numerics_version: str) -> bytes:
        """The bytes of the ComputeRequest."""
        shared = self._defaults.outputs or _DEFAULT_OUTPUTS
        return wire.request(
            self._defaults.parts(None),
            [call.parts(call.outputs or shared) for call in self._calls],
            numerics_version)

    def read(self, reply: bytes) -> list[Result | errors.LossdError]:
        """The outcome of each call, from the bytes of the ComputeResponse."""
        response, tensors = wire.read_response(reply)
        if len(response.results) != len(self._calls):
            raise errors.Internal(f"{len(response.results)} results for "
                                  f"{len(self._calls)} items")
        return [self._outcome(*one, response.numerics_version)
                for one in zip(self._calls, response.results, tensors)]

    def _outcome(self, call, result, tensors, numerics_version):
        if result.status.code:
            return errors.of_item(result.status)
        like = call.predictions
        if like is None:
            like = self._defaults.predictions
        gradient = tensors.get("gradient")
        row_losses = tensors.get("row_losses")
        name = result.loss_in_force.WhichOneof("kind")
        return Result(
            loss=result.loss, loss_sum=result.loss_sum,
            weight_sum=result.weight_sum, normalizer=result.normalizer,
            row_count=result.row_count, masked_count=result.masked_count,
            ignored_count=result.ignored_count,
            clipped_count=result.clipped_count,
            gradient=gradient and arrays.of_wire(*gradient, like),
            row_losses=row_losses and arrays.of_wire(*row_losses, like),
            extra_gradients={
                key: arrays.of_wire(tensor.dtype, tuple(tensor.shape),
                                    memoryview(tensor.data), like)
                for key, tensor in result.extra_gradients.items()},
            diagnostics=dict(result.diagnostics),
            warnings=tuple(result.warnings), loss_name=name,
            options=_options_of(getattr(result.loss_in_force, name)),
            reduction=_enum_name(
                result.DESCRIPTOR.fields_by_name["reduction"].enum_type,
                result.reduction),
            semantics=_enum_name(
                result.DESCRIPTOR.fields_by_name["semantics"].enum_type,
                result.semantics),
            numerics_version=numerics_version)


def _options_of(message):
    return {field.name: _enum_name(field.enum_type, value)
            if field.enum_type else value
            for field, value in message.ListFields()}
