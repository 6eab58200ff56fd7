"""Processes that are started while a client is in use, by fork and by spawn:

    forking.py TARGET

Exits with 0 if all went as the README says.
"""

import ctypes
import faulthandler
import gc
import multiprocessing
import os
import sys
import threading
import traceback
import weakref

import torch.utils.data

import lossd
import lossd.torch

# Longer than anything here takes, with sanitizers too.
DEADLINE = 60


def child(client, number, queue):
    try:
        answer = client.mse([float(number)], [0.0]).loss
    except RuntimeError as error:
        answer = str(error)
    queue.put((number, answer))


def answers_of(client, method):
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    children = [context.Process(target=child, args=(client, number, queue),
                                daemon=True) for number in range(4)]
    for process in children:
        process.start()
    answers = sorted(queue.get(timeout=DEADLINE) for _ in children)
    for process in children:
        process.join(DEADLINE)
        assert process.exitcode == 0
    return answers


class Numbers(torch.utils.data.Dataset):

    def __len__(self):
        return 16

    def __getitem__(self, index):
        return float(index)


class Weighted(Numbers):
    """Examples whose weights are losses."""

    def __init__(self, client):
        self._client = client

    def __getitem__(self, index):
        return self._client.mse([float(index)], [0.0]).loss


def train(client, data, expected, **keywords):
    """Two epochs, with a loss of the parent's after each batch."""
    criterion = lossd.torch.Loss("mae", client)
    loader = torch.utils.data.DataLoader(data, batch_size=4, num_workers=2,
                                         timeout=DEADLINE, **keywords)
    seen = []
    for _ in range(2):
        for batch in loader:
            seen += batch.tolist()
            assert criterion(batch, torch.zeros(4)) == batch.mean()
    assert sorted(seen) == sorted(2 * expected)


def expect_fork_waits_for_grpc():
    """A fork comes when gRPC's threads, here one of that name, are done."""
    libc = ctypes.CDLL(None)
    # Takes much longer to fill than a fork takes.
    block = (ctypes.c_char * (128 << 20))()

    def work():
        libc.prctl(15, b"grpc_global_tim")  # PR_SET_NAME
        # From the first byte to the last, without Python's lock.
        libc.memset(block, 1, len(block))

    thread = threading.Thread(target=work)
    thread.start()
    while block[0] != b"\1":
        pass
    process = os.fork()
    if process == 0:
        os._exit(0)
    filled = block[-1] == b"\1"
    thread.join()
    os.waitpid(process, 0)
    assert filled


def expect_refusal(function):
    try:
        function()
    except RuntimeError as error:
        assert "'spawn'" in str(error)
    else:
        raise AssertionError("no RuntimeError")


def expect_arena_survives_children(client):
    arena = client.create_arena(4096)
    inside = arena.copy([3.0])
    process = os.fork()
    if process == 0:
        try:
            assert inside.tolist() == [3]
            expect_refusal(lambda: arena.array(1))
            expect_refusal(lambda: client.mse(inside, [0.0]))
            expect_refusal(lambda: client.create_arena(4096))
            finalized = weakref.ref(arena._memory)
            del arena, inside
            gc.collect()
            assert finalized() is None
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    loss, gradient = client.mse(inside, [0.0])
    assert (loss, gradient.tolist(), arena.taken) == (9, [6], 128)


def main():
    # Whoever hangs shows where.
    faulthandler.dump_traceback_later(3 * DEADLINE, exit=True)
    client = lossd.Client(sys.argv[1])
    squares = [float(i * i) for i in range(16)]

    # Before the first call of the parent children may use their copies.
    assert answers_of(client, "fork") == [(0, 0), (1, 1), (2, 4), (3, 9)]

    assert client.mse([2.0], [0.0]).loss == 4
    for _, answer in answers_of(client, "fork"):
        assert "'spawn'" in answer, answer
    assert answers_of(client, "spawn") == [(0, 0), (1, 1), (2, 4), (3, 9)]
    train(client, Numbers(), [float(i) for i in range(16)])
    train(client, Weighted(client), squares, multiprocessing_context="spawn")
    assert client.mse([2.0], [0.0]).loss == 4

    # A child that exits without a word does not disturb the parent's calls.
    process = os.fork()
    if process == 0:
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 7
    assert client.mse([2.0], [0.0]).loss == 4

    expect_arena_survives_children(client)

    # While they are at work fork() may hang.
    expect_fork_waits_for_grpc()
    client.close()


if __name__ == "__main__":
    main()
