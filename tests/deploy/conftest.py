import pytest

from processes import Lossd, Prometheus, run


@pytest.fixture(scope="session")
def used_lossd():
    """A lossd that has served calls of every kind."""
    one = Lossd()
    one.bench("--calls", "20", "--elements", "8")
    # Long enough for the scheduler, and for a stream.
    one.bench("--calls", "4", "--elements", "100000")
    yield one
    assert one.stop() == 0


@pytest.fixture
def tls_lossd(tmp_path):
    """One with a certificate, and with names."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    outcome = run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                   "-subj", "/CN=localhost", "-keyout", str(key), "-out",
                   str(certificate)])
    assert outcome.returncode == 0, outcome.stderr
    names = tmp_path / "identities"
    names.write_text("trainer-a token=0123456789abcdef\n")
    one = Lossd("--tls_certificate", str(certificate), "--tls_key", str(key),
                "--identities", str(names))
    yield one
    assert one.stop() == 0


@pytest.fixture
def lossd():
    """One that has served nothing yet."""
    one = Lossd()
    yield one
    assert one.stop() == 0


@pytest.fixture(scope="session")
def prometheus(used_lossd, tmp_path_factory):
    one = Prometheus(tmp_path_factory.mktemp("prometheus"),
                     [used_lossd.metrics])
    yield one
    one.stop()
