"""A few threads that serve many: what belongs to one name is never done twice at once, and waits for nobody else's."""

import threading
import time
from collections import deque
from collections.abc import Callable

Work = Callable[[], None]
MOST = 32
"""Threads, however many hang."""


class Desks:
    """So many `places`; one that has nothing to do costs nothing. Whoever takes longer than `patience` seconds gives
    its place to another and goes on beside it, so that those who hang keep nobody waiting for ever."""

    def __init__(self, places: int, patience: float = 60.0) -> None:
        self._places = places
        self._patience = patience
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._waiting: deque[tuple[str, Work]] = deque()
        self._threads: dict[threading.Thread, float] = {}  # since when each is at its present work

    def serve(self, name: str, work: Work) -> bool:
        """Have the work done as soon as there is a place; False: what that name has asked before is not done yet."""
        with self._lock:
            asked_before = name in self._busy
            if not asked_before:
                self._busy.add(name)
                self._waiting.append((name, work))
            if self._waiting and self._taken() < self._places and len(self._threads) < MOST:
                thread = threading.Thread(target=self._work, name="exports-desk", daemon=True)
                self._threads[thread] = time.monotonic()
                thread.start()
            return not asked_before

    def _taken(self) -> int:
        """How many places are taken by those who have not had their time."""
        return sum(time.monotonic() - since < self._patience for since in self._threads.values())

    def wait(self, seconds: float = threading.TIMEOUT_MAX) -> None:
        """Wait until all is done, at most so long."""
        end = time.monotonic() + seconds
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))

    def close(self, seconds: float) -> None:
        """Begin nothing more, and wait so long for what was begun; it ends with the process."""
        with self._lock:
            self._waiting.clear()
        self.wait(seconds)

    def _work(self) -> None:
        try:
            while task := self._next():
                name, work = task
                try:
                    work()
                finally:
                    with self._lock:
                        self._busy.discard(name)
        finally:
            with self._lock:
                self._threads.pop(threading.current_thread(), None)

    def _next(self) -> tuple[str, Work] | None:
        me = threading.current_thread()
        with self._lock:
            self._threads.pop(me, None)  # with the lock: whoever comes now makes another
            if not self._waiting or self._taken() >= self._places:
                return None
            self._threads[me] = time.monotonic()
            return self._waiting.popleft()
