"""Phone numbers and e-mail addresses."""

import re
from collections.abc import Sequence

import phonenumbers

# The North American Numbering Plan: area code and exchange begin with 2 to 9 (NANPA, ATIS-0300051). It takes area codes
# that are not assigned yet; asking phonenumbers for each number would cost fifty times as much.
_NANP = re.compile(r"(?:\+?1[ .\-]*)?\(? ?([2-9]\d{2}) ?\)?[ .\-/]*([2-9]\d{2})[ .\-]*(\d{4})", re.ASCII)
_FILLED_IN = frozenset(f"+1{digit * 10}" for digit in "23456789")
"""One digit ten times, as clerks write where there is none."""
_NANP_REGIONS = frozenset({"US", "CA"})
# What HTML's input type=email accepts (WHATWG HTML, "valid e-mail address"), with a dot wanted in the domain.
_EMAIL = re.compile(
    r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
_WORD = re.compile(r"[^\W\d_]+")
_KINDS = frozenset(
    [
        *("c", "cel", "cell", "cellphone", "cellular", "celular", "m", "mob", "mobile", "movil", "móvil"),
        *("h", "hm", "home", "house", "casa", "w", "wk", "work", "job", "trabajo", "o", "office", "ofc"),
        *("business", "bus", "p", "ph", "phone", "t", "tel", "tele", "telephone", "land", "landline", "line"),
        *("number", "contact", "direct", "main", "primary", "secondary", "first", "second", "other", "personal"),
        *("alt", "alternate", "alternative", "day", "daytime", "eve", "evening", "night"),
        *("msg", "message", "messages", "text", "texts", "sms", "ok", "okay"),
        *("x", "ext", "extn", "extension"),  # of an extension that is empty
    ]
)
"""Words that may stand beside a number, since they tell what kind of one it is. Any other may say that it is somebody
else's, or must not be called."""
_WHOLE_NUMBER = 10
_SOME_NUMBER = 7
_LONGEST = 100
_ONE_NANP = re.compile(rf"(?<!\d){_NANP.pattern}(?!\d)", re.ASCII)
_BETWEEN = re.compile(r"[;,/&|]|\b(?:or|and)\b", re.IGNORECASE)
_EXTENSION = re.compile(r"[ ,;(]*(?:extension|extn?|x|#)[.:]? *\d{1,7} *\)?", re.IGNORECASE | re.ASCII)
_ADDRESS = re.compile(r"[^\s,;/|<>@]+@[^\s,;/|<>@]+\.[^\s,;/|<>@]+")
_EMAIL_LENGTH = 254  # RFC 5321 section 4.5.3.1.3, without the angle brackets


def read_phones(texts: Sequence[str], region: str) -> list[str | None]:
    """E.164 numbers. An extension is left off, and a word for the kind of number ("cell"); other words are not, since
    they may say that the number is somebody else's. Numbers of other countries need their '+'."""
    if region not in _NANP_REGIONS:
        return [_any_phone(text, region) for text in texts]
    found = [
        f"+1{match[1]}{match[2]}{match[3]}" if (match := _NANP.fullmatch(text)) else _any_phone(text, region)
        for text in texts
    ]
    return found if _FILLED_IN.isdisjoint(found) else [None if phone in _FILLED_IN else phone for phone in found]


def _any_phone(text: str, region: str) -> str | None:
    """phonenumbers would dial letters ("555-2101 MOM") and believe a context in the cell: those are refused first."""
    if len(text) > _LONGEST:
        return None
    extension = _EXTENSION.search(text)
    if extension and extension.end() == len(text):
        text = text[: extension.start()]
    places = [place for place, character in enumerate(text) if character.isdigit()]
    if not places or "phone-context" in text.lower() or _are_phones(text):
        return None
    head, tail = text[: places[0]], text[places[-1] + 1 :]
    if not _tells_kind(head) or not _tells_kind(tail) or _WORD.search(text[places[0] : places[-1]]):
        return None
    if _WORD.search(tail) and len(places) < _WHOLE_NUMBER:  # 1-800-404-HOME
        return None
    text = _WORD.sub(" ", head) + text[places[0] : places[-1] + 1] + ("" if _WORD.search(tail) else tail)
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    nanp = number.country_code == 1
    good = _NANP.fullmatch(written) if nanp else phonenumbers.is_valid_number(number)
    return written if good and len(set(str(number.national_number))) > 1 else None


def _tells_kind(text: str) -> bool:
    """Whether no other words stand in it than those that tell what kind of number it is."""
    return all(word.lower() in _KINDS for word in _WORD.findall(text))


def phone_oddities(texts: Sequence[str], region: str) -> list[str]:
    """For each text that is no phone number: `several` if it holds more than one, `words` if it were one without the
    words beside it, else ''."""
    return ["several" if _are_phones(text) else "words" if _is_wordy(text, region) else "" for text in texts]


def _are_phones(text: str) -> bool:
    pieces = (sum(map(str.isdigit, piece)) for piece in _BETWEEN.split(text))
    return len(_ONE_NANP.findall(text)) > 1 or sum(digits >= _SOME_NUMBER for digits in pieces) > 1


def _is_wordy(text: str, region: str) -> bool:
    return _WORD.search(text) is not None and read_phones([_WORD.sub(" ", text).strip()], region) != [None]


def read_emails(texts: Sequence[str]) -> list[str | None]:
    """Addresses in small letters: two spellings are one mailbox everywhere that courts write to."""
    return [
        small if len(small) <= _EMAIL_LENGTH and _EMAIL.fullmatch(small) else None for small in map(str.lower, texts)
    ]


def email_oddities(texts: Sequence[str]) -> list[str]:
    """For each text that is no address: `several` if it holds more than one, else ''."""
    return ["several" if text.count("@") > 1 and len(_ADDRESS.findall(text)) > 1 else "" for text in texts]
