"""Servers that are measured in turn, each once a round: so whatever else the machine does meets all of them alike."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

MIB = 1024 * 1024


class Named(Protocol):
    """What is measured, by the name that its figures have."""

    @property
    def name(self) -> str:
        """Its name."""


Measured = TypeVar("Measured", bound=Named)
Sample = TypeVar("Sample")


def in_turn(
    rounds: int, servers: Sequence[Measured], measure_once: Callable[[Measured], Sample]
) -> dict[str, list[Sample]]:
    """What was measured of each server in each round, by the server's name."""
    samples: dict[str, list[Sample]] = {server.name: [] for server in servers}
    for _ in range(rounds):
        for server in servers:
            samples[server.name].append(measure_once(server))
    return samples


def write_random(file: Path, size: int) -> Path:
    """Make a file of `size` bytes (whole MiB) that nothing can compress; gives it back."""
    with file.open("wb") as source:
        for _ in range(size // MIB):
            source.write(os.urandom(MIB))
    return file
