"""The arena of a lossd.torch.Loss."""

from __future__ import annotations

import threading

import torch

from lossd import arrays
from lossd.arena import room_for
from lossd.client import Client
from lossd.errors import ResourceExhausted


def _nbytes(tensor):
    return tensor.numel() * tensor.element_size()


class StepArena:
    """An arena that is as large as the steps of a Loss need. Thread-safe.
    Copies of it begin without one."""

    def __init__(self, client: Client):
        self._client = client
        self._lock = threading.Lock()
        self._arena = None

    def __reduce__(self):
        return StepArena, (self._client,)

    def forget(self) -> None:
        """Lets go of the arena, which the server no longer has."""
        self._arena = None

    def place(self, tensors: list, results: int) -> list:
        """The tensors in arenas: those that are in none are copied. What is no
        tensor, or travels in another dtype, stays as it is.

        Args:
            tensors: the predictions, and others.
            results: how many tensors like the predictions must have room, too.

        Raises:
            LossdError: as Client.create_arena.
        """
        copied = [self._is_to_be_copied(one) for one in tensors]
        like = [one for one, is_copied in zip(tensors, copied) if is_copied]
        # Results go where the predictions are.
        if copied[0]:
            like += results * [tensors[0]]
        room = self._room(like) if like else []
        return [room.pop(0).copy_(one.detach()) if is_copied else one
                for one, is_copied in zip(tensors, copied)]

    def _is_to_be_copied(self, value):
        if not isinstance(value, torch.Tensor) or not value.numel():
            return False
        if (value.device.type == "cpu" and value.is_contiguous() and
                self._client._arenas.find(value.data_ptr(), _nbytes(value))):
            return False
        return arrays.is_sent_as_is(value)

    def _room(self, like):
        """New tensors of these shapes and dtypes, in an arena that is made
        anew, larger, where they do not fit. The old one lives as long as what
        lies in it."""
        while True:
            arena = self._arena
            if arena is not None:
                try:
                    return [arena.tensor(one.shape, one.dtype) for one in like]
                except ResourceExhausted:
                    pass
            with self._lock:
                # Else another thread has made one.
                if self._arena is arena:
                    held = arena.taken if arena else 0
                    # What nobody holds goes before the new one comes.
                    arena = self._arena = None
                    self._arena = self._client.create_arena(
                        held + sum(room_for(_nbytes(one)) for one in like))
