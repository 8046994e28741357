"""Runs one measurement in a process of its own, so that nothing an earlier one left behind helps or hinders it."""

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from bench.figures import UnavailableError

LONGEST = 3600
STOP_SECONDS = 10
Result = TypeVar("Result")


@dataclass(frozen=True)
class Run:
    """One measured call: seconds by the clock, seconds of CPU, and what it counted."""

    seconds: float
    cpu: float
    counts: dict[str, int]
    #: Peak memory of the process over its whole life (VmHWM), MiB.
    peak: float = 0.0


def apart(function: Callable[..., Result], *arguments: object) -> Result:
    """Call `function` (of a module, with arguments that can be pickled) in a new process."""
    with beside(_tell, function, arguments) as process:
        result: Result = process.hear()
        return result


class Other:
    """A process that runs beside this one, and what is said to and heard from it."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def hear(self, longest: float = LONGEST) -> Any:
        """What it says next. Raises RuntimeError (or what it raised itself) when it fails, ends or takes too long."""
        try:
            heard = self._pipe.recv() if self._pipe.poll(longest) else RuntimeError(f"no answer in {longest} s")
        except (EOFError, ConnectionError):
            raise RuntimeError("a process of the bench ended without an answer") from None
        if isinstance(heard, BaseException):
            raise heard
        return heard

    def say(self, word: object = None) -> None:
        """Say something that it waits for."""
        self._pipe.send(word)


@contextmanager
def beside(function: Callable[..., object], *arguments: object) -> Iterator[Other]:
    """Run `function(pipe, *arguments)` in a new process while the block runs; it is ended with the block."""
    context = multiprocessing.get_context("spawn")
    near, far = context.Pipe()
    process = context.Process(target=_run, args=(far, function, arguments), daemon=True)
    process.start()
    far.close()
    try:
        yield Other(near)
    finally:
        near.close()
        process.terminate()
        process.join(STOP_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()


def timed(function: Callable[[], dict[str, int]]) -> Run:
    """Call `function`, which returns what it counted, and take its time."""
    begun, spent = time.perf_counter(), _spent()
    counts = function()
    return Run(time.perf_counter() - begun, _spent() - spent, counts, _peak())


def _tell(pipe: Connection, function: Callable[..., object], arguments: tuple[object, ...]) -> None:
    pipe.send(function(*arguments))


def _run(pipe: Connection, function: Callable[..., object], arguments: tuple[object, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the bench is interrupted, and ends this process
    try:
        function(pipe, *arguments)
    except (ImportError, RuntimeError, UnavailableError) as error:
        pipe.send(error)
    except Exception as error:  # not every exception can be sent
        traceback.print_exc()
        with suppress(OSError):
            pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))


def _spent() -> float:
    """CPU seconds of this process and the children it has waited for."""
    return sum(os.times()[:4])


def _peak() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))
