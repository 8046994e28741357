"""Cells that hold several phone numbers or addresses: by which sign they are parted, and how many there are."""

from collections.abc import Callable, Sequence

from ingest import coerce
from ingest.parse import Column

_SIGNS = ("/", ";", ",", "|", "&")
_MOST_PIECES = 3
_MOST = 0.75
_FEWEST = 2


def tell_pieces(column: Column, kind: str, region: str = "US") -> tuple[str, int]:
    """The sign between the phones or e-mails (`kind`) of a column, and how many there are at most; "" and 1 if most
    cells are not such ones, or hold one alone."""

    def read(texts: Sequence[str]) -> Sequence[object]:
        return coerce.read_phones(texts, region) if kind == "phone" else coerce.read_emails(texts)

    texts = [text for text in coerce.tidy(column.values) if text]
    found = [(sign, count) for sign in _SIGNS if (count := _count(texts, sign, read)) > 1]
    return found[0] if found else ("", 1)


def _count(texts: Sequence[str], sign: str, read: Callable[[Sequence[str]], Sequence[object]]) -> int:
    """How many pieces the cells have if they are parted so, if nearly all of the pieces are what they should be."""
    parted = [[piece.strip() for piece in text.split(sign)] for text in texts]
    several = [pieces for pieces in parted if len(pieces) > 1]
    good = sum(all(read(pieces)) for pieces in several)
    if good < max(_FEWEST, _MOST * len(several)):
        return 1
    return min(_MOST_PIECES, max(map(len, several)))
