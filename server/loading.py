"""Importing what this process goes on to use."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """While modules are imported. What they make stays: it is no garbage now, nor looked at for garbage later.

    Looking for some again and again is a quarter of the time that an import takes.
    """
    before = len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > before:
            gc.freeze()
        gc.enable()
