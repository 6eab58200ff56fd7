"""Servers that come and go, threads, and processes that fork."""

import pathlib
import subprocess
import sys
import threading

import numpy
import pytest
from lossd_server import DEADLINE, Server

import lossd


def test_the_server_restarts_in_the_middle(socket_path):
    server = Server(listen=socket_path)
    with lossd.Client(socket_path) as client:
        assert client.mse([1.0], [2.0]).loss == 1
        # Killed: it has no time to say goodbye.
        server.kill()
        answers = []
        caller = threading.Thread(
            target=lambda: answers.append(client.mse([1.0], [3.0]).loss))
        caller.start()
        server = Server(listen=socket_path)
        caller.join(DEADLINE)
        assert answers == [4]
        server.stop()


def test_restarts_under_load_lose_nothing(socket_path):
    server = Server(listen=socket_path)
    losses = []
    steps = threading.Semaphore(0)
    with lossd.Client(socket_path) as client:
        def train():
            for step in range(400):
                losses.append(client.mse([float(step)], [0.0]).loss)
                steps.release()

        trainers = [threading.Thread(target=train) for _ in range(2)]
        for trainer in trainers:
            trainer.start()
        for _ in range(2):
            for _ in range(100):
                assert steps.acquire(timeout=DEADLINE)
            server.stop()
            server = Server(listen=socket_path)
        for trainer in trainers:
            trainer.join(DEADLINE)
    assert sorted(losses) == sorted(2 * [float(step) ** 2
                                         for step in range(400)])
    server.stop()


def test_another_arithmetic_is_refused(client):
    client.mse([1.0], [2.0])
    client._server.numerics_version = "another"
    with pytest.raises(lossd.FailedPrecondition, match="another"):
        client.mse([1.0], [2.0])


def test_closing_a_client_in_use_is_an_error_of_lossd(server):
    client = lossd.Client(server.target)
    closed = threading.Event()
    raised = []

    def call():
        while not closed.is_set():
            try:
                assert client.mae([1.0], [3.0]).loss == 2
            except lossd.LossdError as error:
                raised.append(error)
            except BaseException as error:
                raised.append(error)
                raise

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        client.mae([1.0], [3.0])
        client.close()
    closed.set()
    for thread in threads:
        thread.join(DEADLINE)
    assert all(isinstance(error, lossd.Cancelled) for error in raised), raised
    assert client.mae([1.0], [3.0]).loss == 2
    client.close()


def test_threads(client):
    wrong = []

    def call(number):
        for step in range(50):
            target = float(100 * number + step)
            loss, gradient = client.mae(numpy.zeros(64), numpy.full(64, target))
            if loss != target or gradient[0] != (-1 / 64 if target else 0):
                wrong.append((number, step, loss))

    threads = [threading.Thread(target=call, args=(number,))
               for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
        assert not thread.is_alive()
    assert not wrong


def test_forks_and_data_loaders(server):
    # In a process without the gRPC servers of other tests, which do not
    # survive a fork.
    script = pathlib.Path(__file__).parent / "forking.py"
    subprocess.run([sys.executable, script, server.target], check=True,
                   timeout=2 * DEADLINE)
