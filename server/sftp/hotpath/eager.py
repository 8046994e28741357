"""Beginning with a coroutine here and now, instead of in a task at the loop's next turn.

Most requests never wait for anything, and for those a task is most of the cost. (Python 3.12 has eager tasks.)
"""

from collections.abc import Coroutine, Generator
from typing import Any


class Begun:
    """The rest of a coroutine that has begun and waits for something; await it, once, in any task."""

    def __init__(self, coroutine: Coroutine[Any, Any, None], awaited: Any) -> None:
        self._coroutine = coroutine
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, None]:
        """Go on where it stopped. Raises what it raises."""
        awaited = self._awaited
        while True:
            thrown: BaseException | None = None
            try:
                yield awaited
            except BaseException as error:
                thrown = error
            try:
                awaited = self._coroutine.throw(thrown) if thrown else self._coroutine.send(None)
            except StopIteration:
                return


def begin(coroutine: Coroutine[Any, Any, None]) -> Begun | None:
    """Run a coroutine until it waits for something; the rest of it, or None if it came to its end.

    Raises what it raises. What runs here must not ask for the current task.
    """
    try:
        awaited = coroutine.send(None)
    except StopIteration:
        return None
    return Begun(coroutine, awaited)
