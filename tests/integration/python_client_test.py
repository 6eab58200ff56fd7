#!/usr/bin/env python3
"""Stock gRPC for Python against lossd, with stubs that are made here.

    python_client_test.py LOSSD PROTO_FOLDER STUB_FOLDER
"""

import pathlib
import subprocess
import sys
import tempfile
import unittest

import grpc
import numpy

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] /
                    "support"))
from stubs import make_stubs  # noqa: E402

LOSSD, PROTO_FOLDER, STUB_FOLDER = map(pathlib.Path, sys.argv[1:])
# Longer than anything here takes, with sanitizers too.
DEADLINE = 120


make_stubs(PROTO_FOLDER, STUB_FOLDER)
from lossd.v1 import loss_options_pb2 as loss_options  # noqa: E402
from lossd.v1 import loss_service_pb2 as service  # noqa: E402
from lossd.v1 import loss_service_pb2_grpc as service_grpc  # noqa: E402
from lossd.v1 import losses_distribution_pb2 as distribution  # noqa: E402
from lossd.v1 import losses_multiclass_pb2 as multiclass  # noqa: E402
from lossd.v1 import losses_pb2 as losses  # noqa: E402
from lossd.v1 import losses_regression_pb2 as regression  # noqa: E402
from lossd.v1 import tensor_pb2 as tensor  # noqa: E402

DTYPES = {"float32": tensor.DTYPE_FLOAT32, "float64": tensor.DTYPE_FLOAT64,
          "int64": tensor.DTYPE_INT64, "bool": tensor.DTYPE_BOOL}


def to_tensor(array):
    return tensor.Tensor(dtype=DTYPES[array.dtype.name], shape=array.shape,
                         data=array.tobytes())


def to_array(message):
    names = {number: name for name, number in DTYPES.items()}
    return numpy.frombuffer(message.data, names[message.dtype]).reshape(
        message.shape)


def endless_request():
    """Minutes of work in few bytes: many items share the large tensors."""
    logits = numpy.zeros((1000, 1000), "float32")
    targets = numpy.full((1000, 1000), 0.001, "float32")
    loss = losses.Loss(
        kullback_leibler_divergence=distribution.KullbackLeiblerDivergence(
            prediction_kind=loss_options.PREDICTION_KIND_LOGITS))
    return service.ComputeRequest(
        defaults=service.LossItem(loss=loss, predictions=to_tensor(logits),
                                  targets=to_tensor(targets)),
        items=[service.LossItem()] * 16384)


class PythonClientTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="lossd_python_")
        address = f"unix:{cls.folder.name}/socket"
        cls.server = subprocess.Popen(
            [LOSSD, "--listen", address, "--metrics_listen", "",
             "--log_level", "warning"])
        cls.channel = grpc.insecure_channel(address, options=[
            ("grpc.max_receive_message_length", -1),
            # A server that is starting is asked again soon.
            ("grpc.max_reconnect_backoff_ms", 100)])
        grpc.channel_ready_future(cls.channel).result(timeout=DEADLINE)
        cls.stub = service_grpc.LossServiceStub(cls.channel)

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        cls.server.terminate()
        try:
            assert cls.server.wait(timeout=DEADLINE) == 0
        finally:
            cls.server.kill()
            cls.folder.cleanup()

    def compute(self, **item):
        request = service.ComputeRequest(items=[service.LossItem(**item)])
        return self.stub.Compute(request, timeout=DEADLINE).results[0]

    def mse(self):
        return self.compute(
            loss=losses.Loss(mean_squared_error=regression.MeanSquaredError()),
            predictions=to_tensor(numpy.array([2.5, 0, 2, 8], "float32")),
            targets=to_tensor(numpy.array([3, -0.5, 2.25, 7], "float32")),
            outputs=service.Outputs(gradient=True, row_losses=True))

    def test_loss_and_gradient_of_numpy_arrays(self):
        result = self.mse()
        self.assertEqual(result.status.code, 0, result.status.message)
        self.assertEqual(result.loss, 0.390625)
        self.assertEqual(result.row_count, 4)
        numpy.testing.assert_array_equal(
            to_array(result.gradient),
            numpy.array([-0.25, 0.25, -0.125, 0.5], "float32"))
        numpy.testing.assert_array_equal(to_array(result.row_losses),
                                         [0.25, 0.25, 0.0625, 1])

    def test_labels_mask_and_options(self):
        logits = numpy.array([[2.0, 1, 0], [0, 0, 0], [5, 5, 5]])
        result = self.compute(
            loss=losses.Loss(
                sparse_categorical_cross_entropy=(
                    multiclass.SparseCategoricalCrossEntropy(
                        prediction_kind=loss_options.PREDICTION_KIND_LOGITS))),
            predictions=to_tensor(logits),
            targets=to_tensor(numpy.array([0, 2, 1])),
            mask=to_tensor(numpy.array([True, True, False])))
        expected = (numpy.log(numpy.exp(logits[0]).sum()) - 2 +
                    numpy.log(3)) / 2
        self.assertAlmostEqual(result.loss, expected, places=14)
        self.assertEqual((result.row_count, result.masked_count), (2, 1))

    def test_large_tensors(self):
        predictions = numpy.arange(1 << 21, dtype="float32") % 1009
        targets = predictions[::-1].copy()
        result = self.compute(
            loss=losses.Loss(
                mean_absolute_error=regression.MeanAbsoluteError()),
            predictions=to_tensor(predictions), targets=to_tensor(targets),
            outputs=service.Outputs(gradient=True))
        numpy.testing.assert_array_equal(
            to_array(result.gradient),
            numpy.sign(predictions - targets) / numpy.float32(1 << 21))

    def test_bad_item_has_its_own_status(self):
        result = self.compute(
            loss=losses.Loss(huber=regression.Huber(delta=-1)),
            predictions=to_tensor(numpy.ones(3)),
            targets=to_tensor(numpy.ones(3)))
        self.assertEqual(result.status.code,
                         grpc.StatusCode.INVALID_ARGUMENT.value[0])
        self.assertEqual(result.status.violations[0].field,
                         "loss.huber.delta")
        self.assertTrue(numpy.isnan(result.loss))

    def test_list_losses(self):
        reply = self.stub.ListLosses(service.ListLossesRequest(),
                                     timeout=DEADLINE)
        members = [field.name for field in
                   losses.Loss.DESCRIPTOR.oneofs_by_name["kind"].fields]
        self.assertEqual([info.name for info in reply.losses] + ["named"],
                         members)

    def assert_fails(self, call, code, text):
        with self.assertRaises(grpc.RpcError) as context:
            call()
        self.assertEqual(context.exception.code(), code)
        self.assertIn(text, context.exception.details())

    def test_refused_requests_have_texts(self):
        self.assert_fails(
            lambda: self.stub.Compute(
                service.ComputeRequest(numerics_version="else"),
                timeout=DEADLINE),
            grpc.StatusCode.FAILED_PRECONDITION, "numerics_version: got else")
        garbage = self.channel.unary_unary("/lossd.v1.LossService/Compute")
        self.assert_fails(
            lambda: garbage(b"\xff\xff", timeout=DEADLINE),
            grpc.StatusCode.INVALID_ARGUMENT, "no lossd.v1.ComputeRequest")
        unknown = self.channel.unary_unary("/lossd.v1.LossService/Backward")
        self.assert_fails(lambda: unknown(b"", timeout=DEADLINE),
                          grpc.StatusCode.UNIMPLEMENTED, "Backward")
        self.assert_fails(
            lambda: list(self.stub.ComputeStream(iter([]), timeout=DEADLINE)),
            grpc.StatusCode.INVALID_ARGUMENT, "header")

    def test_deadline_ends_the_computation(self):
        with self.assertRaises(grpc.RpcError) as context:
            self.stub.Compute(endless_request(), timeout=1)
        self.assertEqual(context.exception.code(),
                         grpc.StatusCode.DEADLINE_EXCEEDED)
        # Who comes next does not wait for what nobody wants any more.
        self.assertEqual(self.mse().loss, 0.390625)

    def test_cancellation_ends_the_computation(self):
        call = self.stub.Compute.future(endless_request(), timeout=DEADLINE)
        self.assertTrue(call.cancel())
        self.assertEqual(call.code(), grpc.StatusCode.CANCELLED)
        self.assertEqual(self.mse().loss, 0.390625)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
