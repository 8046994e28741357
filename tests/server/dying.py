"""Processes that die at once, as by kill -9, at a chosen step."""

import os
import signal
from collections.abc import Callable
from typing import Any, NoReturn


def die(*_: Any, **__: Any) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("dead")


def after(call: Callable[..., Any]) -> Callable[..., Any]:
    """Do it, then die."""

    def dying(*args: Any, **options: Any) -> NoReturn:
        call(*args, **options)
        die()

    return dying


def killed_in(work: Callable[[], object]) -> bool:
    """Whether a process of its own that does this is killed on the way."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
