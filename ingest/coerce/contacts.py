"""Phone numbers and e-mail addresses."""

import re
from collections.abc import Sequence

import phonenumbers

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
_EMAIL_LENGTH = 254  # RFC 5321 section 4.5.3.1.3, without the angle brackets


def read_phones(texts: Sequence[str], region: str) -> list[str | None]:
    """E.164 numbers. An extension is left off; numbers of other countries need their '+'."""
    if region not in _NANP_REGIONS:
        return [_any_phone(text, region) for text in texts]
    return [
        f"+1{match[1]}{match[2]}{match[3]}" if (match := _NANP.fullmatch(text)) else _any_phone(text, region)
        for text in texts
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
