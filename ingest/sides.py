"""Two headers side by side, as people compare them."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import zip_longest

VALUE_IN_TEXT = 40
"""Characters of a cell that are shown in a line of text."""
_POSITION = re.compile(r"column \d+(?: \((\w+)\))?")
"""What a column without a header is called, with what it holds if it is known (`ingest.shape.positions`)."""


def beside(expected: Sequence[str], found: Sequence[str]) -> list[tuple[str, str]]:
    """Two headers side by side, what is the same, or in the same place, on one line; "" where one has nothing."""
    if all(map(_POSITION.fullmatch, (*expected, *found))):
        return list(zip_longest(expected, found, fillvalue=""))
    pairs: list[tuple[str, str]] = []
    for tag, a, b, c, d in SequenceMatcher(None, expected, found, autojunk=False).get_opcodes():
        left, right = list(expected[a:b]), list(found[c:d])
        if tag == "equal":
            pairs += zip(left, right, strict=True)
        else:
            pairs += [(name, "") for name in left] + [("", name) for name in right]
    return pairs


def side_by_side(expected: Sequence[str], found: Sequence[str]) -> list[str]:
    """Lines for people: what was expected, what was found, and which of them has no fellow."""
    if not expected or not found:
        return []
    pairs = [(_shortened(left), _shortened(right)) for left, right in beside(expected, found)]
    width = max(len("expected"), *(len(left) for left, _ in pairs))
    other = max(len("found"), *(len(right) for _, right in pairs))
    lines = ["", f"  {'expected':<{width}}  found", f"  {'-' * width}  {'-' * other}"]
    for left, right in pairs:
        mark = ("other" if _differ(left, right) else "") if left and right else "missing" if left else "new"
        lines.append(f"  {left or '-':<{width}}  {right or '-':<{other if mark else 0}}  {mark}".rstrip())
    return lines


def _differ(left: str, right: str) -> bool:
    """Whether two columns that stand at the same place hold something else; of one, nobody may know."""
    kinds = [match[1] for match in map(_POSITION.fullmatch, (left, right)) if match]
    return len(kinds) == 2 and None not in kinds and kinds[0] != kinds[1]


def _shortened(name: str) -> str:
    """On one line, and no longer than a page is wide."""
    plain = "".join(character if character.isprintable() else "\ufffd" for character in name)
    return plain if len(plain) <= VALUE_IN_TEXT else plain[: VALUE_IN_TEXT - 1] + "…"
