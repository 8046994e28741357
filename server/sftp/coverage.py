"""Which bytes of a file have been written: a sorted list of extents that mostly is a single one."""

from bisect import bisect_left

from server.intake.entry import Extents

MOST_EXTENTS = 4096


class Coverage:
    """Extents [start, end) in bytes, disjoint and in order."""

    def __init__(self, extents: Extents = ()) -> None:
        self._extents: list[tuple[int, int]] = []
        for start, end in extents:
            self.add(start, end)

    def add(self, start: int, end: int) -> None:
        """The bytes from `start` to `end` were written. Raises OverflowError if there are too many gaps to remember."""
        if start >= end:
            return
        extents = self._extents
        if not extents:
            extents.append((start, end))
            return
        first, last = extents[-1]
        if first <= start <= last:  # the common case: one after the other
            extents[-1] = (first, max(end, last))
            return
        self._insert(start, end)
        if len(extents) > MOST_EXTENTS:
            raise OverflowError("too many gaps")

    def cut(self, size: int) -> None:
        """What lies behind `size` is not there any more."""
        self._extents = [(start, min(end, size)) for start, end in self._extents if start < size]

    def has_all(self, size: int) -> bool:
        """Whether every byte of a file of that size was written."""
        return size == 0 or (bool(self._extents) and self._extents[0][0] == 0 and self._extents[0][1] >= size)

    @property
    def extents(self) -> Extents:
        """The extents, in order."""
        return tuple(self._extents)

    def _insert(self, start: int, end: int) -> None:
        extents = self._extents
        first = bisect_left(extents, start, key=lambda extent: extent[1])
        last = first
        while last < len(extents) and extents[last][0] <= end:
            start, end = min(start, extents[last][0]), max(end, extents[last][1])
            last += 1
        extents[first:last] = [(start, end)]
