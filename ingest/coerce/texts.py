"""Texts as people mean them, whole names and their parts, amounts of money, yes and no."""

import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal
from types import MappingProxyType

from ingest.guard import as_sent
from ingest.record import NO, YES

_CONTROLS = (*range(32), *range(0x7F, 0xA0))
_NOTHING = MappingProxyType(
    dict.fromkeys(
        (
            *(code for code in _CONTROLS if not chr(code).isspace()),
            *(0xAD, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x2065), *range(0x2066, 0x206A)),
            0xFEFF,
        )
    )
)
"""Unseen and unmeant, and brought along by copying: byte order marks, marks of direction, soft hyphens, spaces and
operators without width, control characters such as DOS's end of file. The joiners (U+200C, U+200D) belong to how some
names are written."""
_SPACES = MappingProxyType({code: " " for code in _CONTROLS if chr(code).isspace()})
_TOGETHER = 500
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_SUFFIXES = frozenset({"JR", "SR", "II", "III", "IV"})
_MONEY = re.compile(r"(-|\()? ?\$? ?(-)?(\d{1,12}|\d{1,3}(?:,\d{3}){1,3})(?:\.(\d{1,2}))?(\))?", re.ASCII)


def tidy(texts: Sequence[str]) -> list[str]:
    """Without spaces around, with one space inside, without what cannot be seen, without the apostrophe that our error
    file puts in front, and in one spelling of accents (NFC: some systems write é as two characters)."""
    tidied: list[str] = []
    for begin in range(0, len(texts), _TOGETHER):
        some = texts[begin : begin + _TOGETHER]
        tidied += some if _are_tidy(some) else map(_tidied, some)
    return tidied


def _are_tidy(texts: Sequence[str]) -> bool:
    """Whether all of them surely are as they should be; looked at in one go, for most are."""
    line = f" {' '.join(texts)} "
    return line.isascii() and line.isprintable() and "  " not in line and " '" not in line


def _tidied(text: str) -> str:
    seen = text.isascii() and text.isprintable()
    text = " ".join(as_sent(text if seen else text.translate(_NOTHING)).split())
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def keep_spaces(texts: Sequence[str]) -> list[str]:
    """As `tidy`, but spaces inside stay as they are; other white space becomes spaces."""
    kept = (as_sent(text.translate(_NOTHING)).translate(_SPACES).strip() for text in texts)
    return [unicodedata.normalize("NFC", text) for text in kept]


def titled(texts: Sequence[str]) -> list[str]:
    """Each word with a capital: O'BIRCH becomes O'Birch, and JEAN'S Jean's."""
    return [_WORD.sub(_capitalized, text) for text in texts]


def _capitalized(match: re.Match[str]) -> str:
    pieces = re.split("(['’])", match[0])
    short = True
    for place in range(0, len(pieces), 2):
        piece = pieces[place]
        pieces[place] = piece.capitalize() if short else piece.lower()
        short = len(piece) == 1
    return "".join(pieces)


def name_part(texts: Sequence[str], part: str, order: str) -> list[str | None]:
    """One part (first, middle, last, suffix) of whole names.

    A comma stands behind the last name: `LAST, FIRST MIDDLE`, with a suffix (Jr, Sr, II, III, IV) anywhere behind a
    name. Without a comma the words stand in `order`: `first last` or `last first`; one word alone is a last name.
    """
    place = ("first", "middle", "last", "suffix").index(part)
    return [split_name(text, order)[place] or None for text in texts]


def split_name(text: str, order: str) -> tuple[str, str, str, str]:
    """First, middle, last name and suffix, '' where there is none."""
    head, comma, rest = text.partition(",")
    if comma:
        last, suffix = _without_suffix(head.split())
        words, second = _without_suffix(rest.replace(",", " ").split())
        return " ".join(words[:1]), " ".join(words[1:]), " ".join(last), suffix or second
    words, suffix = _without_suffix(text.split())
    if len(words) < 2:
        return "", "", " ".join(words), suffix
    if order == "last first":
        return words[1], " ".join(words[2:]), words[0], suffix
    return words[0], " ".join(words[1:-1]), words[-1], suffix


def _without_suffix(words: list[str]) -> tuple[list[str], str]:
    if len(words) > 1 and words[-1].rstrip(".").upper() in _SUFFIXES:
        return words[:-1], words[-1].rstrip(".")
    alone = len(words) == 1 and words[0].rstrip(".").upper() in _SUFFIXES
    return ([], words[0].rstrip(".")) if alone else (words, "")


def undotted(texts: Sequence[str]) -> list[str]:
    """Suffixes without the dot behind: JR. is JR."""
    return [text.rstrip(" .") for text in texts]


def read_money(texts: Sequence[str]) -> list[str | None]:
    """Dollars and cents as a whole number of cents, in digits; what is owed the other way is negative."""
    return [_cents(text) for text in texts]


def _cents(text: str) -> str | None:
    match = _MONEY.fullmatch(text)
    if match is None or (match[1] == "(") != (match[5] == ")") or (match[1] and match[2]):
        return None
    cents = Decimal(f"{match[3].replace(',', '')}.{match[4] or '0'}") * 100
    return str(int(-cents if match[1] or match[2] else cents))


def read_yes_no(texts: Sequence[str]) -> list[str | None]:
    """`yes` or `no`, from the words that databases have for them."""
    upper = [text.upper() for text in texts]
    return ["yes" if text in YES else "no" if text in NO else None for text in upper]
