"""A running lossd for the tests, which run against the installed package.

The environment names what CMake built: PROGRAM_OF_LOSSD, and LIBRARY_CASES, which
writes problems with the library's answers.
"""

import pathlib

import pytest

import lossd
from lossd_server import Server

@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One that offers arenas, too."""
    path = tmp_path_factory.mktemp("arenas") / "socket"
    one = Server("--arena_listen", f"unix:{path}")
    yield one
    one.stop()


@pytest.fixture
def client(server):
    with lossd.Client(server.target) as one:
        yield one


@pytest.fixture
def arena(client):
    with client.create_arena(1 << 22) as one:
        assert one.shared
        yield one


@pytest.fixture
def socket_path(tmp_path):
    """For a server that comes back at the same place."""
    path = tmp_path / "socket"
    # The kernel's limit for the paths of sockets.
    assert len(str(path)) < 100
    return f"unix:{path}"


@pytest.fixture(scope="session")
def repository():
    return pathlib.Path(__file__).resolve().parents[3]
