"""What asks a process without an event loop to stop."""

import subprocess
import sys

import pytest

WITHIN = """
import os, signal
from server.app import _stop_event

stopping = _stop_event()
with stopping._cond:  # as `wait` holds it for a moment, at each turn
    os.kill(os.getpid(), signal.{name})
    sum(range(100_000))  # the handler has run
print("goes on")
assert stopping.wait(5)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_in_the_middle_of_a_wait_stops_the_process(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", WITHIN.format(name=name)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "goes on\n"), done.stderr
