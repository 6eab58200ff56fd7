"""A running lossd for the tests, which run against the installed package.

The environment names what CMake built: LOSSD_PROGRAM, and LIBRARY_CASES, which
writes problems with the library's answers.
"""

import os
import pathlib
import re
import subprocess
import threading

import pytest

import lossd

# Longer than anything here takes, with sanitizers too.
DEADLINE = 120


class Server:
    """A lossd process."""

    def __init__(self, *flags, listen="127.0.0.1:0"):
        self._process = subprocess.Popen(
            [os.environ["LOSSD_PROGRAM"], "--listen", listen,
             "--metrics_listen", "", *flags],
            stdout=subprocess.PIPE, text=True)
        self.target = None
        for line in self._process.stdout:
            found = re.search(r'"event":"serving".*"listen":\["([^"]*)"', line)
            if found:
                self.target = found[1]
                break
        assert self.target, "lossd did not start"
        # Else the pipe fills and lossd waits for its reader.
        self._reader = threading.Thread(target=self._process.stdout.read,
                                        daemon=True)
        self._reader.start()

    def kill(self):
        self._process.kill()
        self._process.wait(DEADLINE)

    def stop(self):
        self._process.terminate()
        try:
            assert self._process.wait(DEADLINE) == 0
        finally:
            self._process.kill()


@pytest.fixture(scope="session")
def server():
    one = Server()
    yield one
    one.stop()


@pytest.fixture
def client(server):
    with lossd.Client(server.target) as one:
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
    return pathlib.Path(__file__).resolve().parents[1]
