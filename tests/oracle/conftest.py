"""Options of this folder's tests, and the server they share."""

import os
import pathlib
import sys

import pytest
import service

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] /
                    "support"))
from stubs import make_stubs  # noqa: E402

# One thread: the sums of a second run have the same bits.
os.environ["OMP_NUM_THREADS"] = "1"


def pytest_addoption(parser):
    group = parser.getgroup("lossd")
    group.addoption("--lossd", required=True, help="the program")
    group.addoption("--proto", required=True, help="the folder proto/")
    group.addoption("--stubs", required=True, help="where stubs are made")
    group.addoption("--seed", type=int, default=20261125)
    group.addoption("--full", action="store_true",
                    help="every setting with every shape, and more of them")


def pytest_configure(config):
    make_stubs(pathlib.Path(config.getoption("--proto")),
               pathlib.Path(config.getoption("--stubs")))


def pytest_report_header(config):
    return f"oracle: seed {config.getoption('--seed')}"


@pytest.fixture(scope="session")
def lossd(request):
    running = service.Service(request.config.getoption("--lossd"))
    yield running
    running.close()


@pytest.fixture(scope="session")
def seed(request):
    return request.config.getoption("--seed")


@pytest.fixture(scope="session")
def full(request):
    return request.config.getoption("--full")
