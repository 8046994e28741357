"""Runs one measurement in a process of its own, so that nothing an earlier one left behind helps or hinders it."""

import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

LONGEST = 3600
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
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result(timeout=LONGEST)


def timed(function: Callable[[], dict[str, int]]) -> Run:
    """Call `function`, which returns what it counted, and take its time."""
    begun, spent = time.perf_counter(), _spent()
    counts = function()
    return Run(time.perf_counter() - begun, _spent() - spent, counts, _peak())


def _spent() -> float:
    """CPU seconds of this process and the children it has waited for."""
    return sum(os.times()[:4])


def _peak() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))
