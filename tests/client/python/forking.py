"""Processes that fork while a client is in use:

    forking.py TARGET

Exits with 0 if all of them got their losses.
"""

import multiprocessing
import os
import sys

import torch.utils.data

import lossd
import lossd.torch

# Longer than anything here takes, with sanitizers too.
DEADLINE = 60


def child(client, number, queue):
    queue.put((number, client.mse([float(number)], [0.0]).loss, os.getpid()))


def processes(client, method):
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    children = [context.Process(target=child, args=(client, number, queue),
                                daemon=True) for number in range(4)]
    for process in children:
        process.start()
        # While children start, the parent goes on.
        assert client.mse([3.0], [0.0]).loss == 9
    answers = sorted(queue.get(timeout=DEADLINE) for _ in children)
    assert [answer[:2] for answer in answers] == [(0, 0), (1, 1), (2, 4),
                                                  (3, 9)]
    assert len({answer[2] for answer in answers} | {os.getpid()}) == 5
    for process in children:
        process.join(DEADLINE)
        assert process.exitcode == 0


class Weighted(torch.utils.data.Dataset):
    """Examples whose weights are losses."""

    def __init__(self, client):
        self._client = client

    def __len__(self):
        return 16

    def __getitem__(self, index):
        return self._client.mse([float(index)], [0.0]).loss


def data_loader(client):
    criterion = lossd.torch.Loss("mae", client)
    loader = torch.utils.data.DataLoader(Weighted(client), batch_size=4,
                                         num_workers=2, timeout=DEADLINE)
    seen = []
    for _ in range(2):
        for batch in loader:
            seen += batch.tolist()
            assert criterion(batch, torch.zeros(4)) == batch.mean()
    assert sorted(seen) == sorted(2 * [float(i * i) for i in range(16)])


def main():
    with lossd.Client(sys.argv[1]) as client:
        assert client.mse([2.0], [0.0]).loss == 4
        processes(client, "fork")
        processes(client, "spawn")
        data_loader(client)
        assert client.mse([2.0], [0.0]).loss == 4


if __name__ == "__main__":
    main()
