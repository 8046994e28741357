"""A few threads that serve many: what belongs to one name is never done twice at once, and waits for nobody else's."""

import threading
import time
from collections import deque
from collections.abc import Callable

Work = Callable[[], None]


class Desks:
    """So many `places`. Whoever hangs keeps one of them; a place that has nothing to do costs nothing."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._waiting: deque[tuple[str, Work]] = deque()
        self._threads: set[threading.Thread] = set()

    def serve(self, name: str, work: Work) -> bool:
        """Have the work done as soon as there is a place; False: what that name has asked before is not done yet."""
        with self._lock:
            if name in self._busy:
                return False
            self._busy.add(name)
            self._waiting.append((name, work))
            if len(self._threads) < self._places:
                thread = threading.Thread(target=self._work, name="exports-desk", daemon=True)
                self._threads.add(thread)
                thread.start()
            return True

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
                self._threads.discard(threading.current_thread())

    def _next(self) -> tuple[str, Work] | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._threads.discard(threading.current_thread())  # with the lock: whoever comes now makes another
            return None
