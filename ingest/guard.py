"""What keeps a spreadsheet from executing cells that we write, and from changing those of an error file: an apostrophe
in front of them.

Opened in a spreadsheet, 0001232 becomes 1232, 202601000102 becomes 2.02601E+11 and 2026-03-16 what the clerk's country
writes, and they are saved so. A cell that begins with an apostrophe stays a text, and the apostrophe is saved with it.
"""

import re

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so is executed by spreadsheets (OWASP, "CSV Injection")."""

_KEPT = re.compile(r"0|[1-9]\d{0,10}|(?:1[ .-])?\(?\d{3}\)?[ .-]*\d{3}[ .-]\d{4}", re.ASCII)
"""Whole numbers as long as a spreadsheet shows them, and usual phone numbers."""
_WORD = re.compile(r"[^\W\d_]+")
_READ = frozenset(
    [
        *("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"),
        *("january", "february", "march", "april", "june", "july", "august", "september", "october", "november"),
        *("december", "mon", "tue", "wed", "thu", "fri", "sat", "sun", "a", "p", "am", "pm", "e"),
    ]
)
"""Words that stand in what a spreadsheet takes for a date, a time or a number."""


def neutral(cell: str) -> str:
    """`cell`, with an apostrophe in front if a spreadsheet would execute it."""
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell


def as_sent(cell: str) -> str:
    """What `neutral` was given."""
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(FORMULA_STARTS) else cell


def guarded(cell: str) -> str:
    """`cell`, with an apostrophe in front if a spreadsheet would execute or change it, or if it has one itself."""
    return f"'{cell}" if cell.startswith(("'", *FORMULA_STARTS)) or _would_change(cell.strip()) else cell


def unguarded(cell: str) -> str:
    """What `guarded` was given, also where somebody has corrected it behind the apostrophe, or taken that away."""
    return cell.removeprefix("'")


def _would_change(text: str) -> bool:
    """Whether it may be a number, a date or a time that is written otherwise than a spreadsheet does; rather too often
    than not often enough."""
    if _KEPT.fullmatch(text):
        return False
    words = _WORD.findall(text.lower())
    if words in (["true"], ["false"]):
        return True
    return any(map(str.isdigit, text)) and all(word in _READ for word in words)
