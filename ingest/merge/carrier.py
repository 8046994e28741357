"""Work that another process does meanwhile: a thread waits for it, while this one prepares what comes next."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Carrier:
    """Does one thing at a time, in the order in which they are given. To be closed."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "carrier")
        self._carried: Future[None] | None = None

    def carry(self, work: Callable[[], None]) -> None:
        """Begin with it as soon as what was given before is done. Raises what that has raised."""
        self.arrive()
        self._carried = self._thread.submit(work)

    def arrive(self) -> None:
        """Wait until all is done. Raises what it has raised."""
        carried, self._carried = self._carried, None
        if carried is not None:
            carried.result()

    def close(self) -> None:
        """Wait until nothing is done any more, whatever became of it."""
        self._thread.shutdown()
