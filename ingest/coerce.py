"""From the texts of a cell to values: names, dates, times, phone numbers, e-mail addresses.

Every function takes the distinct texts of a column (already tidied) and returns as many values; None means that the
text cannot be read as such a value. Nothing is guessed.
"""

import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pandas as pd
import phonenumbers

from ingest.answer import as_sent

YEARS = (1850, 2200)
"""Dates outside are typing errors."""

# The North American Numbering Plan: area code and exchange begin with 2 to 9 (NANPA, ATIS-0300051). It takes area codes
# that are not assigned yet; asking phonenumbers for each number would cost fifty times as much.
_NANP = re.compile(r"(?:\+?1[ .\-]*)?\(? ?([2-9]\d{2}) ?\)?[ .\-/]*([2-9]\d{2})[ .\-]*(\d{4})", re.ASCII)
_NANP_REGIONS = frozenset({"US", "CA"})
# What HTML's input type=email accepts (WHATWG HTML, "valid e-mail address"), with a dot wanted in the domain.
_EMAIL = re.compile(
    r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
_LABEL = re.compile(r"[\s,;:-]*[(\[]?[A-Za-z][A-Za-z .]*[)\]]?$")
_WHOLE_NUMBER = 10
_EXTENSION = re.compile(r"[ ,;(]*(?:extension|extn?|x|#)[.:]? *\d{1,7} *\)?", re.IGNORECASE | re.ASCII)
_NOTHING = dict.fromkeys(map(ord, "\ufeff\u200b"))  # a byte order mark and a space without width, unseen and unmeant
_EMAIL_LENGTH = 254  # RFC 5321 section 4.5.3.1.3, without the angle brackets


def tidy(texts: Sequence[str]) -> list[str]:
    """Without spaces around, with one space inside, without what cannot be seen, without the apostrophe that our error
    file puts in front, and in one spelling of accents (NFC: some systems write é as two characters)."""
    return [_tidied(text if text.isascii() else text.translate(_NOTHING)) for text in texts]


def _tidied(text: str) -> str:
    text = " ".join(as_sent(text).split())
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def read_dates(texts: Sequence[str], formats: Sequence[str]) -> list[str | None]:
    """ISO dates; `formats` are tried in order on what the ones before could not read."""
    read = _read(texts, formats)
    low, high = YEARS
    return [f"{at:%Y-%m-%d}" if at is not None and low <= at.year <= high else None for at in read]


def read_times(texts: Sequence[str], formats: Sequence[str]) -> list[str | None]:
    """Times of day as `HH:MM`, or `HH:MM:SS` if there are seconds."""
    return [None if at is None else _time(at) for at in _read([text.upper() for text in texts], formats)]


def read_moments(
    texts: Sequence[str], dates: Sequence[str], times: Sequence[str]
) -> tuple[list[str | None], list[str | None]]:
    """Dates and times of a combined column: a date, a space or T, and a time; or a date alone."""
    formats = [f"{date} {time}" for date in dates for time in times] + [
        f"{date}T{time}" for date in dates for time in times
    ]
    read = _read([text.upper() for text in texts], formats)
    left = [text for text, at in zip(texts, read, strict=True) if at is None]
    alone = dict(zip(left, read_dates(left, dates), strict=True))
    low, high = YEARS
    days = [
        (f"{at:%Y-%m-%d}" if low <= at.year <= high else None) if at is not None else alone[text]
        for text, at in zip(texts, read, strict=True)
    ]
    return days, [None if at is None else _time(at) for at in read]


def _time(at: datetime) -> str:
    return f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}"


def _read(texts: Sequence[str], formats: Sequence[str]) -> list[datetime | None]:
    """What `strptime` reads; pandas sieves first, for it is fast where nothing fits.

    Alone, pandas takes "today" for a date in any format and makes a minute of 60 seconds; pyarrow makes March 2 of
    February 30.
    """
    read: list[datetime | None] = [None] * len(texts)
    left = list(range(len(texts)))
    for form in formats:
        if not left:
            break
        for place in _sieved(texts, left, form):
            read[place] = _strptime(texts[place], form)
        left = [place for place in left if read[place] is None]
    return read


def _sieved(texts: Sequence[str], places: list[int], form: str) -> list[int]:
    """The places of texts that may fit the format; all of them if it has a directive that pandas does not know."""
    try:
        parsed = pd.to_datetime(pd.Series([texts[i] for i in places], dtype=object), format=form, errors="coerce")
    except (ValueError, re.error):
        return places
    return [place for place, fits in zip(places, parsed.notna(), strict=True) if fits]


def _strptime(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)
    except ValueError:
        return None


def instants(days: Sequence[str], times: Sequence[str | None], zone: str) -> list[str]:
    """The UTC instants, as text, at which these local times are in `zone`; without a time, when the day begins.

    An hour that comes twice (clocks set back) is its first; one that never comes (set forward) is moved on by the gap:
    `datetime.fold` = 0, PEP 495.
    """
    where = ZoneInfo(zone)
    local = [datetime.fromisoformat(f"{day}T{time or '00:00'}") for day, time in zip(days, times, strict=True)]
    return [f"{at.replace(tzinfo=where).astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}" for at in local]


def read_phones(texts: Sequence[str], region: str) -> list[str | None]:
    """E.164 numbers. An extension is left off; numbers of other countries need their '+'."""
    if region not in _NANP_REGIONS:
        return [_any_phone(text, region) for text in texts]
    matches = [_NANP.fullmatch(text) for text in texts]
    return [
        f"+1{match[1]}{match[2]}{match[3]}" if match else _any_phone(text, region)
        for text, match in zip(texts, matches, strict=True)
    ]


def _any_phone(text: str, region: str) -> str | None:
    """phonenumbers would dial letters ("555-2101 MOM") and believe a context in the cell: those are refused first."""
    text = text[:100]
    extension = _EXTENSION.search(text)
    if extension and extension.end() == len(text):
        text = text[: extension.start()]
    label = _LABEL.search(text)
    if label and sum(map(str.isdigit, text[: label.start()])) >= _WHOLE_NUMBER:  # "404-555-0101 (cell)"
        text = text[: label.start()]
    first = next((place for place, character in enumerate(text) if character.isdigit()), len(text))
    if any(character.isalpha() for character in text[first:]) or "phone-context" in text.lower():
        return None
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    nanp = number.country_code == 1
    good = _NANP.fullmatch(written) if nanp else phonenumbers.is_valid_number(number)
    return written if good else None


def read_emails(texts: Sequence[str]) -> list[str | None]:
    """Addresses in small letters: two spellings are one mailbox everywhere that courts write to."""
    return [
        small if len(small) <= _EMAIL_LENGTH and _EMAIL.fullmatch(small) else None for small in map(str.lower, texts)
    ]
