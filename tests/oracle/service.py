"""lossd, and the messages that it speaks."""

import subprocess
import tempfile

import grpc
from numbers_of import from_bytes, rounded, to_bytes

# Longer than anything here takes, with sanitizers too.
DEADLINE = 300
MOST_ITEMS = 2000
MOST_BYTES = 16 << 20


class Service:
    """A lossd of our own behind a socket in a temporary folder."""

    def __init__(self, program):
        # Only now there are stubs.
        from lossd.v1 import (loss_options_pb2, loss_service_pb2,
                              loss_service_pb2_grpc, tensor_pb2)
        self.messages = loss_service_pb2
        self.options = loss_options_pb2
        self.tensors = tensor_pb2
        self.folder = tempfile.TemporaryDirectory(prefix="lossd_oracle_")
        address = f"unix:{self.folder.name}/socket"
        self.server = subprocess.Popen(
            [program, "--listen", address, "--metrics_listen", "",
             "--log_level", "warning"])
        self.channel = grpc.insecure_channel(address, options=[
            ("grpc.max_receive_message_length", -1),
            # A server that is starting is asked again soon.
            ("grpc.max_reconnect_backoff_ms", 100)])
        grpc.channel_ready_future(self.channel).result(timeout=DEADLINE)
        self.stub = loss_service_pb2_grpc.LossServiceStub(self.channel)
        listing = self.stub.ListLosses(loss_service_pb2.ListLossesRequest(),
                                       timeout=DEADLINE)
        self.losses = listing.losses

    def close(self):
        self.channel.close()
        self.server.terminate()
        try:
            assert self.server.wait(timeout=DEADLINE) == 0
        finally:
            self.server.kill()
            self.folder.cleanup()

    def tensor(self, numbers, dtype):
        return self.tensors.Tensor(
            dtype=getattr(self.tensors, "DTYPE_" + dtype.upper()),
            shape=numbers.shape, data=to_bytes(rounded(numbers, dtype), dtype))

    def numbers(self, tensor):
        name = self.tensors.Dtype.Name(tensor.dtype)[len("DTYPE_"):].lower()
        return from_bytes(tensor.data, name).reshape(tuple(tensor.shape))

    def item(self, problem):
        """The message of a problem."""
        item = self.messages.LossItem()
        loss = getattr(item.loss, problem.row.loss)
        loss.SetInParent()
        for name, value in problem.options.items():
            field = loss.DESCRIPTOR.fields_by_name[name]
            if field.enum_type is not None:
                prefix = _prefix(field.enum_type.name)
                value = field.enum_type.values_by_name[prefix + value].number
            setattr(loss, name, value)
        for name, numbers in problem.sent.items():
            if name in ("predictions", "targets"):
                field = getattr(item, name)
            else:
                field = item.extra_inputs[name]
            field.CopyFrom(self.tensor(numbers, problem.dtypes[name]))
        for name in ("sample_weights", "mask", "upstream_gradient"):
            numbers = getattr(problem, name)
            if numbers is not None:
                dtype = "bool" if name == "mask" else problem.weight_dtype
                getattr(item, name).CopyFrom(self.tensor(numbers, dtype))
        if problem.reduction:
            item.reduction = self.messages.Reduction.Value(
                "REDUCTION_" + problem.reduction)
        if problem.normalizer is not None:
            item.normalizer = problem.normalizer
        item.semantics = self.messages.Semantics.Value(
            "SEMANTICS_" + problem.semantics)
        item.outputs.gradient = True
        item.outputs.row_losses = True
        if problem.gradient_dtype:
            item.outputs.gradient_dtype = getattr(
                self.tensors, "DTYPE_" + problem.gradient_dtype.upper())
        return item

    def compute(self, problems):
        """One LossResult for each problem, in few calls."""
        results, items, size = [], [], 0
        for problem in problems:
            items.append(self.item(problem))
            size += items[-1].ByteSize()
            if len(items) == MOST_ITEMS or size > MOST_BYTES:
                results += self._call(items)
                items, size = [], 0
        return results + (self._call(items) if items else [])

    def _call(self, items):
        request = self.messages.ComputeRequest(items=items)
        return list(self.stub.Compute(request, timeout=DEADLINE).results)


def _prefix(name):
    """PredictionKind -> PREDICTION_KIND_"""
    return "".join("_" + c if c.isupper() else c.upper()
                   for c in name).lstrip("_") + "_"
