"""Sizes as people write them: `10GiB`, `500 MB`, `1048576`."""

import re
from collections.abc import Mapping

_STEPS = ("", "k", "m", "g", "t", "p")
_UNITS: Mapping[str, int] = {
    **{f"{step}ib": 1024**power for power, step in enumerate(_STEPS) if step},
    **{f"{step}b": 1000**power for power, step in enumerate(_STEPS)},
    "": 1,
}
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,6})?) ?([a-z]*)", re.ASCII | re.IGNORECASE)
_MOST = 2**62


def read_size(text: str) -> int:
    """The bytes of a size with or without a unit, in any case; KiB to PiB are powers of 1024, kB to PB of 1000.

    Raises ValueError with a sentence for anything else, and for less than a byte or more than 4 EiB.
    """
    found = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get(found[2].lower()) if found else None
    if found is None or unit is None:
        raise ValueError(f"'{text}' is no size. Write it as 10GiB, 500MB or 1048576.")
    size = int(found[1]) * unit if found[1].isdigit() else int(float(found[1]) * unit)
    if not 0 < size <= _MOST:
        raise ValueError(f"'{text}' is too {'large' if size else 'small'} a size.")
    return size


def say_size(size: int) -> str:
    """A size for people, in the largest unit that leaves a number above one: `10 GiB`, `1.5 MiB`, `17 bytes`."""
    for power in range(len(_STEPS) - 1, 0, -1):
        if size >= 1024**power:
            number = f"{size / 1024**power:.1f}".removesuffix(".0")
            return f"{number} {_STEPS[power].upper()}iB"
    return "1 byte" if size == 1 else f"{size} bytes"
