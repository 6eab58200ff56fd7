"""Which bytes of a piece of memory are free: first fit."""

from __future__ import annotations

import bisect


class FreeList:
    """Hands out ranges of [0, nbytes), the first that is large enough.

    Not thread-safe.

    Attributes:
        taken: bytes that are handed out.
    """

    def __init__(self, nbytes: int):
        # Offset and size of each free range, in order, none next to another.
        self._free = [(0, nbytes)]
        self._sizes = {}
        self.taken = 0

    @property
    def largest(self) -> int:
        """Size of the largest free range."""
        return max((size for _, size in self._free), default=0)

    def take(self, nbytes: int) -> int | None:
        """Offset of a range of that many bytes, at least 1; None if there is
        none."""
        for index, (offset, size) in enumerate(self._free):
            if size < nbytes:
                continue
            rest = [(offset + nbytes, size - nbytes)] if size > nbytes else []
            self._free[index:index + 1] = rest
            self._sizes[offset] = nbytes
            self.taken += nbytes
            return offset
        return None

    def give_back(self, offset: int) -> None:
        """Frees what `take` returned."""
        size = self._sizes.pop(offset)
        self.taken -= size
        first = last = bisect.bisect(self._free, (offset,))
        if last < len(self._free) and offset + size == self._free[last][0]:
            size += self._free[last][1]
            last += 1
        if first > 0 and sum(self._free[first - 1]) == offset:
            first -= 1
            size += self._free[first][1]
            offset = self._free[first][0]
        self._free[first:last] = [(offset, size)]
