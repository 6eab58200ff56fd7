"""The lossd of the Python client's tests, for whole training runs."""

import pathlib
import sys

import pytest

sys.path.insert(
    0, str(pathlib.Path(__file__).resolve().parents[1] / "client" / "python"))

from lossd_server import Server  # noqa: E402


@pytest.fixture(scope="session")
def server():
    one = Server()
    yield one
    one.stop()
