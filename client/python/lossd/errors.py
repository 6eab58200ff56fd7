"""What calls raise: one class a gRPC code, each with what was at fault."""

from __future__ import annotations

from dataclasses import dataclass

import grpc
from google.protobuf.message import DecodeError

from lossd.v1 import status_pb2


@dataclass(frozen=True)
class Violation:
    """One field that the server refused.

    Attributes:
        field: its path, relative to the item: "predictions.data".
        index: the first offending element of the flattened array, if it is
            about one.
        got: what was given; empty in errors of a whole batch.
        allowed: what is allowed.
    """

    field: str
    index: int | None
    got: str
    allowed: str


class LossdError(Exception):
    """A call, or one item of a batch, that has no result.

    Attributes:
        code: a grpc.StatusCode.
        violations: a tuple of Violation, most important first.
    """

    code = grpc.StatusCode.UNKNOWN

    def __init__(self, message: str, violations: tuple[Violation, ...] = ()):
        super().__init__(message)
        self.violations = violations


class InvalidArgument(LossdError, ValueError):
    """The input is not allowed; `violations` says where and why."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class Unimplemented(LossdError, NotImplementedError):
    """This server does not know the loss or the option."""

    code = grpc.StatusCode.UNIMPLEMENTED


class NotFound(LossdError, LookupError):
    """The server has no such arena any more: it has restarted."""

    code = grpc.StatusCode.NOT_FOUND


class FailedPrecondition(LossdError):
    """The server's arithmetic is not the one that the client first met, or an
    arena has been closed."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class ResourceExhausted(LossdError):
    """Larger than a limit of the server, or than what is free in an arena."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class Unavailable(LossdError, ConnectionError):
    """Nobody answers, or has no room now."""

    code = grpc.StatusCode.UNAVAILABLE


class DeadlineExceeded(LossdError, TimeoutError):
    """No answer within the timeout."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class Cancelled(LossdError):
    """The call was cancelled."""

    code = grpc.StatusCode.CANCELLED


class Internal(LossdError):
    """A fault of lossd."""

    code = grpc.StatusCode.INTERNAL


_CLASSES = {cls.code: cls for cls in LossdError.__subclasses__()}
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_DETAILS = "grpc-status-details-bin"


def _make(code, message, violations=()):
    cls = _CLASSES.get(code, LossdError)
    error = cls(message, tuple(violations))
    error.code = code
    return error


def of_code(code, message, violations=()):
    """The error of a google.rpc.Code that is not OK."""
    return _make(_CODES.get(code, grpc.StatusCode.UNKNOWN), message, violations)


def of_item(status):
    """The error of a result's lossd.v1.ItemStatus that is not OK."""
    return of_code(
        status.code, status.message,
        (Violation(violation.field, violation.index
                   if violation.HasField("index") else None, violation.got,
                   violation.allowed) for violation in status.violations))


def _details(error):
    """The lossd.v1.Status in the trailers of a grpc.RpcError."""
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS:
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                break
    return status_pb2.Status()


def _unpacked(details, message_class):
    """The details of a class. Any.Unpack would compare the full names, which
    are google.rpc's on the wire and lossd.v1's here."""
    name = "google.rpc." + message_class.DESCRIPTOR.name
    for detail in details:
        if detail.type_url.rpartition("/")[2] == name:
            yield message_class.FromString(detail.value)


def of_rpc(error, target):
    """The error of a grpc.RpcError."""
    bad_requests = _unpacked(_details(error).details, status_pb2.BadRequest)
    return _make(
        error.code(), f"{target}: {error.details()}",
        (Violation(violation.field, None, "", violation.description)
         for bad_request in bad_requests
         for violation in bad_request.field_violations))


def retry_delay(error):
    """Seconds that the server of a grpc.RpcError asks to wait, or None."""
    for info in _unpacked(_details(error).details, status_pb2.RetryInfo):
        return info.retry_delay.ToTimedelta().total_seconds()
    return None
