"""What is refused, and what is raised."""

import pickle

import grpc
import numpy
import pytest
from broken_server import asks_to_wait, broken_server

import lossd
from lossd import errors
from lossd.v1 import status_pb2

NAN = float("nan")
LOGITS = dict(prediction_kind="LOGITS")

# Name: loss, predictions, targets, keywords, field, index, in got, in allowed.
REFUSED = {
    "shape": ("mse", [[1.0], [2.0]], [1.0, 2.0], {}, "targets.shape", None,
              "[2]", "[2, 1]"),
    "nan": ("mse", [1.0, NAN], [1.0, 2.0], {}, "predictions.data", 1, "nan",
            "finite"),
    "infinite": ("mae", [1.0, 2.0], [float("inf"), 2.0], {}, "targets.data", 0,
                 "inf", "finite"),
    "label": ("scce", numpy.zeros((2, 3)), [0, 3], LOGITS, "targets.data", 1,
              "3", "0-based"),
    "float_labels": ("scce", numpy.zeros((2, 3)), [0.0, 1.0], LOGITS,
                     "targets.dtype", None, "FLOAT64", "INT64"),
    "kind": ("bce", [0.5], [1.0], {},
             "loss.binary_cross_entropy.prediction_kind", None, "", "LOGITS"),
    "delta": ("huber", [1.0], [1.0], {"delta": 0},
              "loss.huber.delta", None, "0", "> 0"),
    "hinge_labels": ("hinge", [1.0], [0.0], {}, "targets.data", 0, "0", "1"),
    "msle": ("msle", [-1.0], [1.0], {}, "predictions.data", 0, "-1", "> -1"),
    "probability": ("bce", [0.5], [1.5], LOGITS, "targets.data", 0, "1.5",
                    "1]"),
    "weights": ("mse", [1.0], [1.0],
                {"sample_weights": [-1.0], "reduction": "WEIGHTED_MEAN"},
                "sample_weights.data", 0, "-1", ">= 0"),
    "rank": ("mse", numpy.ones((1,) * 9), numpy.ones((1,) * 9), {},
             "predictions.shape", None, "[1, 1", "8"),
    "no_columns": ("mse", numpy.ones((2, 0)), numpy.ones((2, 0)), {},
                   "predictions.shape", None, "[2, 0]", "at least one"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_inputs(client, name):
    loss, predictions, targets, keywords, field, index, got, allowed = REFUSED[
        name]
    with pytest.raises(lossd.InvalidArgument) as caught:
        client.compute(loss, predictions, targets, **keywords)
    error = caught.value
    assert isinstance(error, (lossd.LossdError, ValueError))
    assert error.code == grpc.StatusCode.INVALID_ARGUMENT
    violation = error.violations[0]
    assert (violation.field, violation.index) == (field, index)
    assert got in violation.got
    assert allowed in violation.allowed
    assert field in str(error)


def test_unimplemented():
    status = status_pb2.ItemStatus(
        code=grpc.StatusCode.UNIMPLEMENTED.value[0], message="semantics: no")
    status.violations.add(field="semantics")
    error = errors.of_item(status)
    assert isinstance(error, lossd.Unimplemented)
    assert error.code == grpc.StatusCode.UNIMPLEMENTED
    assert error.violations[0].field == "semantics"


def test_a_bad_call_does_not_harm_its_neighbours(client):
    good, bad, other = client.compute_batch([
        lossd.Call("mse", [1.0], [3.0]), lossd.Call("mse", [NAN], [3.0]),
        lossd.Call("mae", [1.0], [3.0])])
    assert (good.loss, other.loss) == (4, 2)
    assert isinstance(bad, lossd.InvalidArgument)


def test_too_many_items(client):
    limit = client.server_info().limits.max_items
    with pytest.raises(lossd.ResourceExhausted, match=str(limit)) as caught:
        client.compute_batch([lossd.Call()] * (limit + 1))
    assert client.target in str(caught.value)


def test_too_large(server):
    with lossd.Client(server.target) as client:
        limit = client.server_info().limits.max_message_bytes
        array = numpy.zeros(limit // 4, "float32")
        with pytest.raises(lossd.ResourceExhausted, match=str(limit)):
            client.mse(array, array)
        assert client.mse([1.0], [2.0]).loss == 1


def endless():
    """Minutes of work in few bytes: many items share large arrays."""
    shape = (1000, 1000)
    return dict(
        calls=[lossd.Call()] * 16384,
        defaults=lossd.Call("kld", numpy.zeros(shape, "float32"),
                            numpy.full(shape, 0.001, "float32"), outputs=(),
                            **LOGITS))


def test_deadline(client):
    client.server_info()
    with pytest.raises(lossd.DeadlineExceeded) as caught:
        client.compute_batch(**endless(), timeout=1)
    assert isinstance(caught.value, TimeoutError)
    # Who comes next does not wait for what nobody wants any more.
    assert client.mse([1.0], [2.0]).loss == 1


def test_deadline_of_the_client(server):
    with lossd.Client(server.target, timeout=1) as client:
        with pytest.raises(lossd.DeadlineExceeded):
            client.compute_batch(**endless())


def test_nobody_answers():
    with lossd.Client("127.0.0.1:1", connect_timeout=1) as client:
        with pytest.raises(lossd.Unavailable, match="127.0.0.1:1") as caught:
            client.mse([1.0], [2.0])
        assert isinstance(caught.value, ConnectionError)


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE,
                                  grpc.StatusCode.CANCELLED])
def test_tries_again(server, code):
    handler, proxy, port = broken_server(server.target, 3, code)
    with lossd.Client(f"127.0.0.1:{port}") as client:
        assert client.mse([1.0], [2.0]).loss == 1
    assert len(handler.calls) == 5
    proxy.stop(None)


def test_announces_its_bytes(server):
    handler, proxy, port = broken_server(server.target, 1,
                                         grpc.StatusCode.UNAVAILABLE)
    with lossd.Client(f"127.0.0.1:{port}") as client:
        client.mse(numpy.zeros(1000), numpy.zeros(1000))
    # Of what the server is, and of two tries.
    for header, size in handler.announced:
        assert header == f"{size},{size}"
    assert [size > 16000 for _, size in handler.announced] == [False, True,
                                                               True]
    proxy.stop(None)


def test_tries_again_until_the_timeout(server):
    handler, proxy, port = broken_server(server.target, 10 ** 9,
                                         grpc.StatusCode.UNAVAILABLE)
    with lossd.Client(f"127.0.0.1:{port}", timeout=1) as client:
        with pytest.raises(lossd.Unavailable, match="broken"):
            client.mse([1.0], [2.0])
    assert len(handler.calls) > 3
    proxy.stop(None)


@pytest.mark.parametrize("code", [
    grpc.StatusCode.INTERNAL, grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.FAILED_PRECONDITION])
def test_does_not_try_again(server, code):
    handler, proxy, port = broken_server(server.target, 1, code)
    with lossd.Client(f"127.0.0.1:{port}") as client:
        with pytest.raises(lossd.LossdError, match="broken") as caught:
            client.mse([1.0], [2.0])
        assert caught.value.code == code
    assert len(handler.calls) == 2
    proxy.stop(None)


def test_waits_as_long_as_the_server_asks(server):
    handler, proxy, port = broken_server(
        server.target, 1, grpc.StatusCode.UNAVAILABLE, asks_to_wait(1.5))
    with lossd.Client(f"127.0.0.1:{port}") as client:
        assert client.mse([1.0], [2.0]).loss == 1
    assert handler.calls[2] - handler.calls[1] >= 1.5
    proxy.stop(None)


def test_tls(server, tmp_path):
    import subprocess
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout",
         key, "-out", certificate], check=True, capture_output=True)
    _, proxy, port = broken_server(
        server.target, 0, None,
        credentials=grpc.ssl_server_credentials(
            [(key.read_bytes(), certificate.read_bytes())]))
    trusted = grpc.ssl_channel_credentials(certificate.read_bytes())
    with lossd.Client(f"localhost:{port}", credentials=trusted) as client:
        assert client.mse([1.0], [2.0]).loss == 1
    with lossd.Client(f"localhost:{port}", connect_timeout=1) as plain:
        with pytest.raises(lossd.Unavailable):
            plain.mse([1.0], [2.0])
    proxy.stop(None)


def test_errors_can_be_pickled(client):
    with pytest.raises(lossd.InvalidArgument) as caught:
        client.mse([NAN], [1.0])
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert again.violations == caught.value.violations
