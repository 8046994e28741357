"""Keywords and blockwords: which names they fit, and which of two keywords is the more specific. Pure.

    civil           a word: it is a part of the name
    glob:ecr_*.txt  a glob: it fits the whole name; `*` any characters, `?` one, `[a-c]` and `[!a-c]` one of them or not
    re:^ecr_\\d{8}   a pattern of RE2 (`ingest.pattern`): it fits a part of the name, so `^` and `$` bind it

Case does not matter, nor in which way of Unicode accents are written. No rule can hang: words and globs take the
product of both lengths at most, patterns the length of the name. A keyword's measure says how specific it is: how many
letters it names (all that is no wildcard), and if that is the same, a pattern comes before a glob and that before a
word. Of two words of one measure, the one wins that begins earlier in the name; they cannot begin at the same place.
So only equal words, globs with a name that fits both, and patterns can tie (`collide`).
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from ingest.errors import IngestError
from ingest.pattern import LONGEST, contains, refuse_unusable

GLOB, PATTERN = "glob:", "re:"
_SET = re.compile(r"\[(!?)(\]?[^\]]*)\]", re.DOTALL)
_NAMELESS = re.compile(r"\\.|\[\^?\]?[^\]]*\]|\{[^}]*\}|\(\?[^:)]*[:)]|[.^$*+?()|]", re.DOTALL)


class Rule(Protocol):
    """A keyword or a blockword, read."""

    @property
    def measure(self) -> tuple[int, int]:
        """How many letters it names, and the rank of its kind."""

    def find(self, name: str) -> int | None:
        """Where in a folded name it fits first; None if it does not."""


@dataclass(frozen=True)
class Word:
    """A part of the name."""

    text: str

    @property
    def measure(self) -> tuple[int, int]:
        """All its letters."""
        return len(self.text), 0

    def find(self, name: str) -> int | None:
        """Where it begins."""
        place = name.find(self.text)
        return None if place < 0 else place


@dataclass(frozen=True)
class One:
    """A place of a glob: one character, of `characters` (and ranges) or (`inverse`) none of them; `many` is `*`."""

    ranges: tuple[tuple[str, str], ...] = ()
    inverse: bool = True
    many: bool = False

    def takes(self, character: str) -> bool:
        """Whether the character may stand there."""
        return any(first <= character <= last for first, last in self.ranges) != self.inverse

    @property
    def letter(self) -> bool:
        """Whether only one character may stand there."""
        return not self.inverse and len(self.ranges) == 1 and self.ranges[0][0] == self.ranges[0][1]


@dataclass(frozen=True)
class Glob:
    """The whole name, with wildcards."""

    places: tuple[One, ...]

    @property
    def measure(self) -> tuple[int, int]:
        """The letters that are no wildcards."""
        return sum(place.letter for place in self.places), 1

    def find(self, name: str) -> int | None:
        """0 if it fits."""
        at = {0}
        for character in name:
            reached = _past_stars(self.places, at)
            at = {place for place in reached if place < len(self.places) and self.places[place].many}
            at |= {
                place + 1
                for place in reached
                if place < len(self.places) and not self.places[place].many and self.places[place].takes(character)
            }
            if not at:
                return None
        return 0 if len(self.places) in _past_stars(self.places, at) else None


@dataclass(frozen=True)
class Pattern:
    """A regular expression, found anywhere in the name."""

    text: str

    @property
    def measure(self) -> tuple[int, int]:
        """The letters outside of escapes, brackets and braces."""
        return len(_NAMELESS.sub("", self.text)), 2

    def find(self, name: str) -> int | None:
        """0 if it fits somewhere."""
        return 0 if contains(f"(?i:{self.text})", name) else None


def fold(name: str) -> str:
    """A name as rules see it: accents written in one way, no difference of case."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


@lru_cache(maxsize=1024)
def read_rule(text: str) -> Rule:
    """The rule that was written; whether a pattern can be used is said by `refuse_unfit`."""
    if text.startswith(GLOB):
        return Glob(_places(fold(text.removeprefix(GLOB))))
    if text.startswith(PATTERN):
        return Pattern(unicodedata.normalize("NFC", text.removeprefix(PATTERN)))
    return Word(fold(text))


def refuse_unfit(text: str, what: str) -> None:
    """Raise IngestError `invalid` for a keyword or blockword (`what`) that cannot be used."""
    body = text.removeprefix(GLOB) if text.startswith(GLOB) else text.removeprefix(PATTERN)
    if not 0 < len(body) <= LONGEST:
        raise IngestError("invalid", f"The {what} must have 1 to {LONGEST} characters.")
    if "/" in body and not text.startswith(PATTERN):
        raise IngestError("invalid", f"The {what} has a slash, and no name of a file has one.", "Give --directory too.")
    if text.startswith(GLOB) and _unclosed(fold(body)):
        hint = "Close it: [a-c], [!a-c]; a bracket itself is [[]."
        raise IngestError("invalid", f"The {what} has a '[' without its ']'.", hint)
    if text.startswith(PATTERN):
        try:
            refuse_unusable(body)
        except IngestError as error:
            raise IngestError("invalid", f"The {what} is no usable pattern. {error.message}", error.hint) from error


def collide(keyword: str | None, other: str | None) -> bool:
    """Whether there may be a name that both keywords fit while neither is the more specific one."""
    if not keyword or not other:
        return not keyword and not other
    one, two = read_rule(keyword), read_rule(other)
    if one.measure != two.measure:
        return False
    if isinstance(one, Glob) and isinstance(two, Glob):
        return _meet(one.places, two.places)
    return one == two or isinstance(one, Pattern)


def overlap(keyword: str | None, other: str | None) -> bool:
    """Whether names that both keywords fit are to be reckoned with.

    Two words are only if one is in the other, though any two may stand in one name; of patterns nobody knows.
    """
    if not keyword or not other:
        return True
    one, two = read_rule(keyword), read_rule(other)
    if isinstance(one, Pattern) or isinstance(two, Pattern):
        return True
    if isinstance(one, Word) and isinstance(two, Word):
        return one.text in two.text or two.text in one.text
    return _meet(_as_glob(one), _as_glob(two))


def measure_of(keyword: str | None) -> tuple[int, int]:
    """How specific a keyword is; none is the least."""
    return read_rule(keyword).measure if keyword else (-1, 0)


def _as_glob(rule: Rule) -> tuple[One, ...]:
    if isinstance(rule, Glob):
        return rule.places
    letters = rule.text if isinstance(rule, Word) else ""
    many = One(many=True)
    return (many, *(One(((letter, letter),), inverse=False) for letter in letters), many)


def _unclosed(text: str) -> bool:
    """Whether a glob has a `[` that begins no set."""
    return "[" in _SET.sub(lambda found: "" if found[2] else found[0], text)


def _places(text: str) -> tuple[One, ...]:
    places: list[One] = []
    at = 0
    while at < len(text):
        found = _SET.match(text, at)
        if found and found[2]:
            places.append(One(_ranges(found[2]), inverse=bool(found[1])))
            at = found.end()
            continue
        character = text[at]
        if character == "*":
            if not (places and places[-1].many):
                places.append(One(many=True))
        else:
            places.append(One() if character == "?" else One(((character, character),), inverse=False))
        at += 1
    return tuple(places)


def _ranges(text: str) -> tuple[tuple[str, str], ...]:
    ranges: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        last = at + 2 if text[at + 1 : at + 2] == "-" and at + 2 < len(text) else at
        ranges.append((text[at], text[last]))
        at = last + 1
    return tuple(ranges)


def _past_stars(places: Sequence[One], at: set[int]) -> set[int]:
    """These places, and those behind a `*` that stands for nothing."""
    reached = set(at)
    for place in at:
        if place < len(places) and places[place].many:  # two stars never stand side by side
            reached.add(place + 1)
    return reached


def _meet(one: Sequence[One], two: Sequence[One]) -> bool:
    """Whether a name fits both globs: walk through both at once."""
    seen, todo = {(0, 0)}, [(0, 0)]
    while todo:
        a, b = todo.pop()
        if a == len(one) and b == len(two):
            return True
        for step in _steps(one, two, a, b):
            if step not in seen:
                seen.add(step)
                todo.append(step)
    return False


def _steps(one: Sequence[One], two: Sequence[One], a: int, b: int) -> list[tuple[int, int]]:
    left, right = one[a] if a < len(one) else None, two[b] if b < len(two) else None
    steps = []
    if left and left.many:
        steps += [(a + 1, b)] + ([(a, b + 1)] if right and not right.many else [])
    if right and right.many:
        steps += [(a, b + 1)] + ([(a + 1, b)] if left and not left.many else [])
    if left and right and not left.many and not right.many and _share(left, right):
        steps.append((a + 1, b + 1))
    return steps


def _share(one: One, two: One) -> bool:
    """Whether a character may stand at both places. The ends of all ranges, and what is next to them, are enough."""
    ends = {end for place in (one, two) for pair in place.ranges for end in pair}
    near = {chr(code) for end in ends for code in (ord(end) - 1, ord(end), ord(end) + 1) if 0 < code < 0x110000}
    return any(one.takes(character) and two.takes(character) for character in (near | {"a"}) - {"/"})
