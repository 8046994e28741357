"""Looks for people and cases in the text of rows that could not be read."""

import re
from collections.abc import Iterable, Sequence

_WORD = re.compile(r"[^\W_]+")


class Text:
    """The words of several rows. What is looked for is found where its words stand side by side in one row, whatever
    stands between them, capitals or not."""

    def __init__(self, rows: Iterable[str]) -> None:
        self._rows = [_words(row) for row in rows]
        self._runs: dict[int, dict[tuple[str, ...], set[int]]] = {}

    def names(self, values: Sequence[str | None]) -> bool:
        """Whether all of the values stand in one row; those that are None, or have no words, stand nowhere."""
        found: set[int] | None = None
        for value in values:
            words = tuple(_words(value or ""))
            rows = self._of(len(words)).get(words, set()) if words else set()
            found = rows if found is None else found & rows
        return bool(found)

    def _of(self, count: int) -> dict[tuple[str, ...], set[int]]:
        """Every run of so many words, and the rows that it stands in."""
        if count not in self._runs:
            runs: dict[tuple[str, ...], set[int]] = {}
            for number, words in enumerate(self._rows):
                for run in zip(*(words[place:] for place in range(count)), strict=False):
                    runs.setdefault(run, set()).add(number)
            self._runs[count] = runs
        return self._runs[count]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
