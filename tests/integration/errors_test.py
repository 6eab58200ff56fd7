#!/usr/bin/env python3
"""What whole calls fail with, as stock gRPC for Python reads it.

    errors_test.py LOSSD PROTO_FOLDER STUB_FOLDER
"""

import pathlib
import sys
import tempfile
import threading
import unittest

import grpc

from served import DEADLINE, Lossd

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] /
                    "support"))
from stubs import make_stubs  # noqa: E402

LOSSD, PROTO_FOLDER, STUB_FOLDER = map(pathlib.Path, sys.argv[1:])

make_stubs(PROTO_FOLDER, STUB_FOLDER)
from lossd.v1 import loss_service_pb2 as service  # noqa: E402
from lossd.v1 import losses_pb2 as losses  # noqa: E402
from lossd.v1 import losses_regression_pb2 as regression  # noqa: E402
from lossd.v1 import status_pb2 as status  # noqa: E402
from lossd.v1 import tensor_pb2 as tensor  # noqa: E402

# Half of what gRPC's peers take by default.
MAX_TRAILER_BYTES = 4096


def item(shape=(4,)):
    data = tensor.Tensor(dtype=tensor.DTYPE_FLOAT32, shape=shape,
                         data=bytes(16))
    loss = losses.Loss(mean_squared_error=regression.MeanSquaredError())
    return service.LossItem(loss=loss, predictions=data, targets=data)


class ErrorsTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="lossd_errors_")
        cls.lossd = Lossd(LOSSD, cls.folder.name, "--max_items", "4",
                          "--memory_budget", "1048576",
                          "--max_message_bytes", "1000000")
        cls.channel = grpc.insecure_channel(cls.lossd.tcp)

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        cls.lossd.stop()
        cls.folder.cleanup()

    def fails(self, expected, messages, method="Compute", metadata=(),
              service_name="lossd.v1.LossService"):
        """Details by name. `messages` are bytes."""
        call = self.channel.stream_stream(f"/{service_name}/{method}")
        with self.assertRaises(grpc.RpcError) as raised:
            list(call(iter(messages), timeout=DEADLINE, metadata=metadata))
        error = raised.exception
        self.assertEqual(error.code().name, expected, error.details())
        self.assertTrue(error.details())
        trailers = dict(error.trailing_metadata())
        size = len(error.details()) + sum(
            len(name) + len(value) for name, value in trailers.items())
        self.assertLess(size, MAX_TRAILER_BYTES)
        self.assertTrue(trailers["x-request-id"])
        binary = trailers.get("grpc-status-details-bin")
        if binary is None:
            return {}
        details = status.Status.FromString(binary)
        self.assertEqual(details.code, error.code().value[0])
        self.assertEqual(details.message, error.details())
        for detail in details.details:
            self.assertTrue(
                detail.type_url.startswith("type.googleapis.com/google.rpc."))
        return {detail.type_url.rsplit(".", 1)[1]: detail.value
                for detail in details.details}

    def test_bytes_that_are_no_request(self):
        self.fails("INVALID_ARGUMENT", [b"\xff\xff"])
        self.fails("INVALID_ARGUMENT", [b"\xff\xff"], "ListLosses")
        self.fails("INVALID_ARGUMENT", [])

    def test_too_many_items(self):
        request = service.ComputeRequest(items=[item()] * 5)
        details = self.fails("RESOURCE_EXHAUSTED",
                             [request.SerializeToString()])
        quota = status.QuotaFailure.FromString(details["QuotaFailure"])
        self.assertEqual(quota.violations[0].subject, "items")
        self.assertNotIn("RetryInfo", details)

    def test_more_than_the_budget(self):
        details = self.fails("RESOURCE_EXHAUSTED", [b""], metadata=[
            ("lossd-bytes", "1000000,1000000")])
        quota = status.QuotaFailure.FromString(details["QuotaFailure"])
        self.assertEqual(quota.violations[0].subject, "memory_budget")
        self.assertNotIn("RetryInfo", details)

    def test_another_arithmetic(self):
        request = service.ComputeRequest(items=[item()],
                                         numerics_version="x" * 9999)
        details = self.fails("FAILED_PRECONDITION",
                             [request.SerializeToString()])
        info = status.ErrorInfo.FromString(details["ErrorInfo"])
        self.assertEqual((info.reason, info.domain),
                         ("NUMERICS_VERSION_MISMATCH", "lossd"))

    def test_a_method_that_is_not_served(self):
        details = self.fails("UNIMPLEMENTED", [b""], "N" * 5000)
        info = status.ErrorInfo.FromString(details["ErrorInfo"])
        self.assertEqual((info.reason, info.domain),
                         ("UNIMPLEMENTED", "lossd"))
        self.assertTrue(info.metadata["version"])

    def test_fields_of_a_stream(self):
        header = service.ComputeStreamRequest(
            header=service.StreamHeader(item=item(shape=(-4,))))
        details = self.fails("INVALID_ARGUMENT", [header.SerializeToString()],
                             "ComputeStream")
        violations = status.BadRequest.FromString(
            details["BadRequest"]).field_violations
        self.assertTrue(violations)
        for violation in violations:
            self.assertTrue(violation.field)
            self.assertTrue(violation.description)

    def test_no_memory_now(self):
        # Takes all of it until this call ends.
        taken = self.channel.stream_stream(
            "/lossd.v1.LossService/Compute")(
                self.until_cancelled(), metadata=[("lossd-bytes", "900000,9")])
        self.lossd.await_metrics("memory_reserved_bytes 900009")
        details = self.fails("UNAVAILABLE", [b""],
                             metadata=[("lossd-bytes", "200000,9")])
        delay = status.RetryInfo.FromString(details["RetryInfo"]).retry_delay
        self.assertGreater(delay.seconds + delay.nanos, 0)
        taken.cancel()

    @staticmethod
    def until_cancelled():
        threading.Event().wait(DEADLINE)
        yield b""


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
