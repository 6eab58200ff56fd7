"""One loss to compute: what the caller says as a message, and the reply as
what the caller gets."""

from __future__ import annotations

from typing import Any, Iterable

from lossd import arrays, destinations, errors, wire
from lossd.arena import Arenas
from lossd.arrays import ArrayLike
from lossd.connection import Server
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
                                 "outputs", "gradient_dtype", "gradient_to"}


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
            predictions, if left out); gradient_to, a contiguous array in an
            arena of the client that becomes the gradient: of the predictions'
            shape, of its own dtype, the predictions themselves or apart from
            every other array of the batch. Such a batch is not tried again
            when the connection breaks, and after an error lossd may go on
            writing there for a moment.

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
        # Arrays in which form the caller gave them.
        self.predictions = predictions
        self.gradient_to = given.get("gradient_to")
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
        if not given.keys() & {"outputs", "gradient_dtype", "gradient_to"}:
            return None
        names = given.get("outputs", ("gradient",))
        names = (names,) if isinstance(names, str) else tuple(names)
        for name in names:
            if name not in _OUTPUTS:
                raise _one_of("outputs", name, _OUTPUTS)
        outputs = loss_service_pb2.Outputs(**dict.fromkeys(names, True))
        if "gradient_dtype" in given:
            outputs.gradient_dtype = arrays.dtype_named(
                given["gradient_dtype"], "gradient_dtype")
        if "gradient_to" in given:
            outputs.gradient = True
        return outputs

    def parts(self, outputs: loss_service_pb2.Outputs | None,
              arenas: Arenas) -> list:
        """The parts of its LossItem."""
        message = self._message
        if outputs is not None:
            message = loss_service_pb2.LossItem(outputs=outputs)
            message.MergeFrom(self._message)
        return wire.item(message, *(
            {name: arenas.placed(sent, name)[0]
             for name, sent in tensors.items()}
            for tensors in (self._tensors, self._extra_inputs)))

    def destinations(self, defaults: Call, outputs: loss_service_pb2.Outputs,
                     arenas: Arenas) -> dict:
        """Where in arenas its results go, by name; completes `outputs`. See
        destinations.take."""
        predictions = self._tensors.get(
            "predictions", defaults._tensors.get("predictions"))
        found = {}
        if self.gradient_to is not None:
            sent = arrays.to_wire(self.gradient_to, "gradient_to", False)
            found["gradient"] = destinations.Given(
                self.gradient_to, sent, predictions, arenas)
            outputs.gradient_dtype = sent.dtype
        memory = predictions and arenas.placed(predictions, "predictions")[1]
        if memory:
            mine, theirs = self._message, defaults._message
            found = destinations.take(
                memory, loss_service_pb2.LossItem(
                    loss=(mine if mine.HasField("loss") else theirs).loss,
                    reduction=mine.reduction or theirs.reduction,
                    semantics=mine.semantics or theirs.semantics,
                    outputs=outputs), predictions,
                self._extra_inputs.keys() | defaults._extra_inputs.keys(),
                found)
        destinations.name_in(outputs, found)
        return found


_DEFAULT_OUTPUTS = loss_service_pb2.Outputs(gradient=True)


class Batch:
    """A request, and how its reply is read. `arenas` are those of the client.

    Attributes:
        is_repeatable: whether it can be sent again.
    """

    def __init__(self, calls: Iterable[Call], defaults: Call | None,
                 arenas: Arenas):
        self._calls = list(calls)
        self._defaults = defaults or Call()
        if self._defaults.gradient_to is not None:
            raise ValueError("gradient_to: got one in the defaults, allowed is "
                             "one of a call")
        self._arenas = arenas
        self._request = None
        # Of each call, by name.
        self._destinations = [{} for _ in self._calls]
        # Predictions that the gradient may have overwritten are others.
        self.is_repeatable = all(call.gradient_to is None
                                 for call in self._calls)

    def request(self, server: Server) -> bytes:
        """The bytes of the ComputeRequest, for one try: results are never
        written where those of an earlier one may still be.

        Raises:
            ResourceExhausted: larger than the server's limit.
            FailedPrecondition: an array lies in an arena that is closed.
            ValueError: a gradient_to that does not fit the call.
        """
        if self._request is None or any(self._destinations):
            self._request = self._written(server.numerics_version)
            server.check_size(self._request)
            self._set_lent(True)
        return self._request

    def _set_lent(self, is_lent):
        for one in self._destinations:
            for destination in one.values():
                destination.set_lent(is_lent)

    def _written(self, numerics_version):
        shared = self._defaults.outputs or _DEFAULT_OUTPUTS
        items = []
        for index, call in enumerate(self._calls):
            outputs = call.outputs or shared
            if self._arenas or not self.is_repeatable:
                outputs = loss_service_pb2.Outputs.FromString(
                    outputs.SerializeToString())
                self._destinations[index] = call.destinations(
                    self._defaults, outputs, self._arenas)
            items.append(call.parts(outputs, self._arenas))
        return wire.request(self._defaults.parts(None, self._arenas), items,
                            numerics_version)

    def read(self, reply: bytes) -> list[Result | errors.LossdError]:
        """The outcome of each call, from the bytes of the ComputeResponse."""
        self._set_lent(False)
        response, tensors = wire.read_response(reply)
        if len(response.results) != len(self._calls):
            raise errors.Internal(f"{len(response.results)} results for "
                                  f"{len(self._calls)} items")
        return [self._outcome(*one, response.numerics_version)
                for one in zip(self._calls, self._destinations,
                               response.results, tensors)]

    def _outcome(self, call, places, result, tensors, numerics_version):
        if result.status.code:
            return errors.of_item(result.status)
        like = call.predictions
        if like is None:
            like = self._defaults.predictions
        found = {name: destinations.array_of(written, places.get(name), like)
                 for name, written in tensors.items()}
        name = result.loss_in_force.WhichOneof("kind")
        return Result(
            loss=result.loss, loss_sum=result.loss_sum,
            weight_sum=result.weight_sum, normalizer=result.normalizer,
            row_count=result.row_count, masked_count=result.masked_count,
            ignored_count=result.ignored_count,
            clipped_count=result.clipped_count,
            gradient=found.pop("gradient", None),
            row_losses=found.pop("row_losses", None), extra_gradients=found,
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
