#!/usr/bin/env python3
"""Who may call lossd, over what, and with how much, from stock gRPC for Python.

    access_test.py LOSSD PROTO_FOLDER STUB_FOLDER
"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

import grpc

from served import Lossd

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] /
                    "support"))
from stubs import make_stubs  # noqa: E402

LOSSD, PROTO_FOLDER, STUB_FOLDER = map(pathlib.Path, sys.argv[1:])
# Longer than anything here takes, with sanitizers too.
DEADLINE = 120

make_stubs(PROTO_FOLDER, STUB_FOLDER)
from lossd.v1 import loss_service_pb2 as service  # noqa: E402
from lossd.v1 import loss_service_pb2_grpc as service_grpc  # noqa: E402
from lossd.v1 import losses_pb2 as losses  # noqa: E402
from lossd.v1 import losses_regression_pb2 as regression  # noqa: E402
from lossd.v1 import status_pb2 as status  # noqa: E402
from lossd.v1 import tensor_pb2 as tensor  # noqa: E402

TOKEN = "0123456789abcdef-secret"
OTHER_TOKEN = "fedcba9876543210-secret"
MAX_BYTES = 100_000


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Authority:
    """Certifies names, in a folder."""

    def __init__(self, folder, name="ca"):
        self.folder, self.name = folder, name
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-keyout", folder / f"{name}.key", "-out",
                folder / f"{name}.pem", "-days", "2")

    def certify(self, name, days=2):
        """Writes NAME.pem and NAME.key."""
        path = self.folder / name
        extensions = self.folder / "extensions"
        extensions.write_text(f"subjectAltName=DNS:{name},DNS:localhost")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-subj", f"/CN={name}", "-keyout", f"{path}.key",
                "-out", f"{path}.csr")
        openssl("x509", "-req", "-in", f"{path}.csr", "-CA",
                self.folder / f"{self.name}.pem", "-CAkey",
                self.folder / f"{self.name}.key", "-CAcreateserial", "-days",
                days, "-extfile", extensions, "-out", f"{path}.pem")


def request(elements=4):
    data = tensor.Tensor(dtype=tensor.DTYPE_FLOAT32, shape=[elements],
                         data=bytes(4 * elements))
    loss = losses.Loss(mean_squared_error=regression.MeanSquaredError())
    return service.ComputeRequest(items=[service.LossItem(
        loss=loss, predictions=data, targets=data,
        outputs=service.Outputs(gradient=True))])


def bearer(token):
    return [("authorization", f"Bearer {token}")]


def compute(channel, metadata=(), elements=4):
    """The status code; the details of google.rpc in its trailer."""
    stub = service_grpc.LossServiceStub(channel)
    try:
        stub.Compute(request(elements), metadata=metadata, timeout=DEADLINE)
        return grpc.StatusCode.OK, {}
    except grpc.RpcError as error:
        assert error.details(), error.code()
        trailers = dict(error.trailing_metadata())
        details = status.Status.FromString(
            trailers.get("grpc-status-details-bin", b"")).details
        return error.code(), {
            any_detail.type_url.rsplit(".", 1)[1]: any_detail.value
            for any_detail in details}


class AccessTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="lossd_access_")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def start(self, *flags):
        lossd = Lossd(LOSSD, self.folder, *map(str, flags))
        self.addCleanup(lossd.process.kill)
        return lossd

    def channel(self, target, credentials=None):
        # A channel of its own, with connections of its own.
        options = [("grpc.use_local_subchannel_pool", 1)]
        channel = (grpc.secure_channel(target, credentials, options)
                   if credentials else grpc.insecure_channel(target, options))
        self.addCleanup(channel.close)
        return channel

    def credentials(self, name=None, authority="ca"):
        root = (self.folder / f"{authority}.pem").read_bytes()
        if name is None:
            return grpc.ssl_channel_credentials(root)
        return grpc.ssl_channel_credentials(
            root, (self.folder / f"{name}.key").read_bytes(),
            (self.folder / f"{name}.pem").read_bytes())

    def tls_flags(self, *more):
        return ("--tls_certificate", self.folder / "server.pem", "--tls_key",
                self.folder / "server.key", *more)

    def write_identities(self, text):
        # As Kubernetes does, which sets a link.
        (self.folder / "new").write_text(text)
        os.replace(self.folder / "new", self.folder / "identities")
        return "--identities", self.folder / "identities"

    def refuses(self, text, *flags):
        """Exit code 2, and one line that contains the text."""
        run = subprocess.run(
            [LOSSD, "--metrics_listen", "", *map(str, flags)],
            capture_output=True, text=True, timeout=DEADLINE)
        self.assertEqual(run.returncode, 2, run)
        self.assertRegex(run.stderr, r"\Alossd: [^\n]*\n\Z")
        self.assertIn(text, run.stderr)

    def test_plaintext_beyond_this_machine_wants_a_flag(self):
        self.refuses("--allow_plaintext", "--listen", "0.0.0.0:0")
        lossd = self.start("--listen", "0.0.0.0:0", "--allow_plaintext")
        lossd.stop()

    def test_tls(self):
        Authority(self.folder).certify("server")
        Authority(self.folder, "stranger")
        lossd = self.start(*self.tls_flags())
        code, _ = compute(self.channel(lossd.tcp, self.credentials()))
        self.assertEqual(code, grpc.StatusCode.OK)
        for credentials in None, self.credentials(authority="stranger"):
            code, _ = compute(self.channel(lossd.tcp, credentials))
            self.assertEqual(code, grpc.StatusCode.UNAVAILABLE)
        # Files guard Unix sockets.
        code, _ = compute(self.channel(lossd.socket))
        self.assertEqual(code, grpc.StatusCode.OK)
        lossd.stop()

    def test_names_of_certificates(self):
        authority = Authority(self.folder)
        for name in "server", "trainer-a", "trainer-b":
            authority.certify(name)
        Authority(self.folder, "other").certify("trainer-a-of-other")
        lossd = self.start(
            *self.tls_flags("--tls_client_ca", self.folder / "ca.pem"),
            *self.write_identities("trainer-a # by its certificate\n"
                                   f"trainer-b token={TOKEN}\n"))
        for name, expected in [
                ("trainer-a", grpc.StatusCode.OK),
                # Its token is asked for.
                ("trainer-b", grpc.StatusCode.PERMISSION_DENIED),
                # These get no connection, which is all that they can know.
                ("trainer-a-of-other", grpc.StatusCode.UNAVAILABLE),
                (None, grpc.StatusCode.UNAVAILABLE)]:
            code, details = compute(
                self.channel(lossd.tcp, self.credentials(name)))
            self.assertEqual(code, expected, name)
            if code == grpc.StatusCode.PERMISSION_DENIED:
                info = status.ErrorInfo.FromString(details["ErrorInfo"])
                self.assertEqual((info.reason, info.domain),
                                 ("PERMISSION_DENIED", "lossd"))
        lossd.stop()

    def test_tokens(self):
        lossd = self.start(*self.write_identities(
            f"trainer-a token={TOKEN}\ntrainer-b token={OTHER_TOKEN}\n"))
        channel = self.channel(lossd.tcp)
        for metadata, expected in [
                (bearer(TOKEN), "OK"),
                ([("authorization", f"bearer {OTHER_TOKEN}")], "OK"),
                ([], "UNAUTHENTICATED"),
                (bearer(TOKEN[:-1]), "UNAUTHENTICATED"),
                (bearer(""), "UNAUTHENTICATED"),
                ([("authorization", TOKEN)], "UNAUTHENTICATED"),
                (bearer(TOKEN) + bearer(OTHER_TOKEN), "UNAUTHENTICATED")]:
            code, details = compute(channel, metadata)
            self.assertEqual(code.name, expected, metadata)
            if expected == "OK":
                continue
            info = status.ErrorInfo.FromString(details["ErrorInfo"])
            self.assertEqual(info.reason, "UNAUTHENTICATED")
        self.other_rpcs_want_a_token(channel)
        lossd.stop()
        log = "".join(lossd.log)
        self.assertNotIn(TOKEN[:-1], log)
        self.assertNotIn(OTHER_TOKEN, log)

    def other_rpcs_want_a_token(self, channel):
        stub = service_grpc.LossServiceStub(channel)
        for call in (
                lambda **more: stub.ListLosses(
                    service.ListLossesRequest(), timeout=DEADLINE, **more),
                lambda **more: stub.GetServerInfo(
                    service.GetServerInfoRequest(), timeout=DEADLINE, **more),
                lambda **more: list(stub.ComputeStream(
                    iter([]), timeout=DEADLINE, **more))):
            with self.assertRaises(grpc.RpcError) as raised:
                call()
            self.assertEqual(raised.exception.code(),
                             grpc.StatusCode.UNAUTHENTICATED)
            try:
                call(metadata=bearer(TOKEN))
            except grpc.RpcError as error:
                # A stream without a header.
                self.assertEqual(error.code(),
                                 grpc.StatusCode.INVALID_ARGUMENT)
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        self.assertEqual(check(b"", timeout=DEADLINE), b"\x08\x01")

    def test_bytes_in_flight(self):
        lossd = self.start(*self.write_identities(
            f"trainer-a token={TOKEN} max_bytes={MAX_BYTES}\n"
            f"trainer-b token={OTHER_TOKEN}\n"))
        channel = self.channel(lossd.tcp)
        announced = [("lossd-bytes", f"{MAX_BYTES - 10},5")]
        # Takes the share until its message comes, which waits for this.
        sent = threading.Event()

        def messages():
            sent.wait(DEADLINE)
            yield request().SerializeToString()

        held = channel.stream_unary("/lossd.v1.LossService/Compute").future(
            messages(), metadata=bearer(TOKEN) + announced, timeout=DEADLINE)
        small = [("lossd-bytes", "200,100")]
        lossd.await_metrics(
            f"memory_reserved_bytes {MAX_BYTES - 5}",
            f'identity_bytes_in_flight{{identity="trainer-a"}} {MAX_BYTES - 5}')
        code, details = compute(channel, bearer(TOKEN) + small)
        self.assertEqual(code, grpc.StatusCode.RESOURCE_EXHAUSTED)
        quota = status.QuotaFailure.FromString(details["QuotaFailure"])
        self.assertEqual(quota.violations[0].subject, "identity")
        self.assertIn("RetryInfo", details)
        # Others have theirs.
        self.assertEqual(compute(channel, bearer(OTHER_TOKEN) + small)[0],
                         grpc.StatusCode.OK)
        sent.set()
        held.result(timeout=DEADLINE)
        refused = 1
        while compute(channel, bearer(TOKEN) + small)[0] != grpc.StatusCode.OK:
            refused += 1
        # It never will be.
        code, details = compute(channel, bearer(TOKEN) + [
            ("lossd-bytes", f"{MAX_BYTES},1")])
        self.assertEqual(code, grpc.StatusCode.RESOURCE_EXHAUSTED)
        self.assertNotIn("RetryInfo", details)
        # The one that was held, one after it, and one that never could be.
        lossd.await_metrics(
            f'identity_calls_total{{identity="trainer-a"}} {refused + 3}',
            f'identity_throttled_total{{identity="trainer-a"}} {refused}',
            'identity_calls_total{identity="trainer-b"} 1',
            'identity_throttled_total{identity="trainer-b"} 0',
            'identity_bytes_in_flight{identity="trainer-a"} 0',
            f'identity_limit_bytes{{identity="trainer-a"}} {MAX_BYTES}',
            'identity_limit_bytes{identity="trainer-b"} +Inf')
        lossd.stop()

    def test_identities_are_read_again(self):
        flags = self.write_identities(f"trainer-a token={TOKEN}\n")
        lossd = self.start(*flags)
        channel = self.channel(lossd.tcp)
        self.assertIn('identity="trainer-a"', lossd.metrics())
        self.write_identities(f"trainer-b token={OTHER_TOKEN}\n")
        lossd.await_event("identities")
        self.assertEqual(compute(channel, bearer(TOKEN))[0],
                         grpc.StatusCode.UNAUTHENTICATED)
        self.assertEqual(compute(channel, bearer(OTHER_TOKEN))[0],
                         grpc.StatusCode.OK)
        # What is malformed changes nothing.
        self.write_identities(f"trainer-c token={TOKEN} oops={TOKEN}\n")
        lossd.process.send_signal(signal.SIGHUP)
        failed = lossd.await_event("reload_failed")
        self.assertIn("line 1: word 3 of trainer-c", failed["error"])
        page = lossd.metrics()
        self.assertIn('identity="trainer-b"', page)
        self.assertNotIn('identity="trainer-a"', page)
        self.assertEqual(compute(channel, bearer(OTHER_TOKEN))[0],
                         grpc.StatusCode.OK)
        lossd.stop()
        self.assertNotIn(TOKEN, "".join(lossd.log))

    def test_certificates_are_read_again_under_load(self):
        authority = Authority(self.folder)
        authority.certify("server")
        authority.certify("next", days=9)
        lossd = self.start(*self.tls_flags())
        old = self.channel(lossd.tcp, self.credentials())
        stop = threading.Event()
        codes = []

        def load():
            while not stop.is_set():
                codes.append(compute(old)[0])

        caller = threading.Thread(target=load)
        caller.start()
        try:
            # The certificate alone does not fit the key.
            os.replace(self.folder / "next.pem", self.folder / "server.pem")
            failed = lossd.await_event("reload_failed")
            self.assertIn("it is not the key of the certificate",
                          failed["error"])
            self.assertEqual(
                compute(self.channel(lossd.tcp, self.credentials()))[0],
                grpc.StatusCode.OK)
            os.replace(self.folder / "next.key", self.folder / "server.key")
            lossd.await_event("certificates")
            self.await_certificate_of(lossd.tcp, "next")
        finally:
            stop.set()
            caller.join()
        self.assertEqual(set(codes), {grpc.StatusCode.OK})
        lossd.stop()

    def await_certificate_of(self, address, name):
        while True:
            shown = subprocess.run(
                ["openssl", "s_client", "-connect", address],
                stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=DEADLINE).stdout
            if f"subject=CN = {name}" in shown:
                return

    def test_calls_in_the_log(self):
        traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        lossd = self.start("--log_level=debug", *self.write_identities(
            f"trainer-a token={TOKEN}\n"))
        channel = self.channel(lossd.tcp)
        named = [("x-request-id", "run-7/step-3"), ("traceparent", traceparent)]
        stub = service_grpc.LossServiceStub(channel)
        _, call = stub.Compute.with_call(
            request(), metadata=bearer(TOKEN) + named, timeout=DEADLINE)
        self.assertNotIn("x-request-id", dict(call.trailing_metadata()))
        line = lossd.await_event("rpc")
        self.assertEqual(
            (line["method"], line["code"], line["request_id"],
             line["traceparent"], line["identity"], line["level"]),
            ("Compute", "OK", "run-7/step-3", traceparent, "trainer-a",
             "debug"))
        self.assertEqual(line["received_bytes"], request().ByteSize())
        self.assertGreater(line["sent_bytes"], 0)
        # Who fails hears under which id the log has the call.
        for metadata in named, [("x-request-id", "not one")], []:
            with self.assertRaises(grpc.RpcError) as raised:
                stub.Compute(request(), metadata=metadata, timeout=DEADLINE)
            told = dict(raised.exception.trailing_metadata())["x-request-id"]
            line = lossd.await_event("rpc")
            self.assertEqual((line["request_id"], line["code"]),
                             (told, "UNAUTHENTICATED"))
            self.assertEqual(told == "run-7/step-3", metadata == named)
        lossd.stop()
        self.assertNotIn(TOKEN, "".join(lossd.log))

    def test_reflection_can_be_turned_off(self):
        path = ("/grpc.reflection.v1alpha.ServerReflection/"
                "ServerReflectionInfo")
        # list_services.
        ask = b"\x3a\x00"
        lossd = self.start()
        call = self.channel(lossd.tcp).stream_stream(path)
        self.assertIn(b"lossd.v1.LossService",
                      next(call(iter([ask]), timeout=DEADLINE)))
        lossd.stop()
        lossd = self.start("--reflection=false")
        call = self.channel(lossd.tcp).stream_stream(path)
        with self.assertRaises(grpc.RpcError) as raised:
            next(call(iter([ask]), timeout=DEADLINE))
        self.assertEqual(raised.exception.code(),
                         grpc.StatusCode.UNIMPLEMENTED)
        lossd.stop()

    def test_files_that_cannot_be_used(self):
        authority = Authority(self.folder)
        authority.certify("server")
        authority.certify("other")
        tls = ("--listen", "localhost:0", "--tls_certificate")
        self.refuses("need each other", *tls, self.folder / "server.pem")
        self.refuses("--tls_client_ca needs", "--listen", "localhost:0",
                     "--tls_client_ca", self.folder / "ca.pem")
        self.refuses("not the key", *tls, self.folder / "server.pem",
                     "--tls_key", self.folder / "other.key")
        self.refuses("No such file", *tls, self.folder / "none.pem",
                     "--tls_key", self.folder / "server.key")
        self.refuses("no certificate", *tls, self.folder / "server.key",
                     "--tls_key", self.folder / "server.key")
        self.refuses("no private key", *tls, self.folder / "server.pem",
                     "--tls_key", self.folder / "server.pem")
        self.refuses("no regular file", *tls, self.folder, "--tls_key",
                     self.folder / "server.key")
        chain = (self.folder / "server.pem").read_text()
        broken = self.folder / "broken.pem"
        broken.write_text(chain + chain.replace("MII", "AAA"))
        self.refuses("certificate 2 cannot be read", *tls, broken, "--tls_key",
                     self.folder / "server.key")
        openssl("req", "-x509", "-newkey", "rsa:1024", "-nodes", "-subj",
                "/CN=weak", "-keyout", self.folder / "weak.key", "-out",
                self.folder / "weak.pem")
        self.refuses("TLS does not take it: ", *tls, self.folder / "weak.pem",
                     "--tls_key", self.folder / "weak.key")
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        self.refuses("no regular file", "--identities", pipe)
        for text, why in [
                ("", "names nobody"),
                ("a token=short\n", "line 1: the token of a is shorter"),
                ("a\na\n", "line 2: a is named twice"),
                (f"a token={TOKEN}\nb token={TOKEN}\n", "another's"),
                ("a max_bytes=-1\n", "word 2 of a"),
                (f"token={TOKEN}\n", "begins with a name")]:
            self.refuses(why, "--listen", "localhost:0",
                         *self.write_identities(text))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
