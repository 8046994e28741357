"""What the name of a column says it holds: synonyms of each field, in the words that courts' exports use.

The words are those of the layouts and field lists that are public (Odyssey's ECR, Contexte, Utah's, Alaska's, Idaho's,
Vermont's, Georgia's and Harris County's files), with the abbreviations of database columns written out first:
`crt_dt` is "court date", `HearingDate` is "hearing date".
"""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from types import MappingProxyType

_SHORT = MappingProxyType(
    {
        **dict.fromkeys(("dt", "dte"), "date"),
        **dict.fromkeys(("tm", "tme"), "time"),
        **dict.fromkeys(("nbr", "num", "no", "nr", "nmbr"), "number"),
        **dict.fromkeys(("crt", "ct"), "court"),
        **dict.fromkeys(("crtroom", "ctroom", "ctrm", "crtrm"), "courtroom"),
        **dict.fromkeys(("ph", "tel", "telephone", "phn"), "phone"),
        **dict.fromkeys(("cell", "cellular", "mobile"), "cell"),
        **dict.fromkeys(("desc", "descr", "dscr"), "description"),
        **dict.fromkeys(("stat", "sts"), "status"),
        **dict.fromkeys(("evt", "evnt"), "event"),
        **dict.fromkeys(("hrg", "hear", "hearng"), "hearing"),
        **dict.fromkeys(("def", "deft", "dfdt", "defdnt", "dfn"), "defendant"),
        **dict.fromkeys(("ofndr", "offndr"), "offender"),
        **dict.fromkeys(("atty", "attny", "att", "lawyer", "counsel"), "attorney"),
        **dict.fromkeys(("ref", "refno"), "reference"),
        **dict.fromkeys(("amt", "amnt"), "amount"),
        **dict.fromkeys(("birthdate", "bdate", "birthday"), "dob"),
        **dict.fromkeys(("magistrate", "jdg"), "judge"),
        "rm": "room",
        "nm": "name",
        "addr": "address",
        "cd": "code",
        "typ": "type",
        "loc": "location",
        "bal": "balance",
        "lang": "language",
        "cnty": "county",
        "actn": "action",
        "appt": "appointment",
        "dispo": "disposition",
        "fname": "first name",
        "lname": "last name",
        "mname": "middle name",
        "firstname": "first name",
        "lastname": "last name",
        "middlename": "middle name",
        "datetime": "date time",
        "dept": "department",
        "mail": "email",
        "zipcode": "zip code",
        "pty": "party",
        "dkt": "docket",
        "cit": "citation",
        "viol": "violation",
        "chg": "charge",
        "offns": "offense",
        "sched": "scheduled",
        "strt": "start",
    }
)

OWN = frozenset(
    {"party", "defendant", "client", "person", "litigant", "offender", "respondent", "participant", "probationer"}
)
"""Words for the person that a row is about."""

OTHERS = (
    *("attorney", "bond", "bondsman", "agent", "surety", "guardian", "officer", "victim", "witness", "prosecutor"),
    *("judge", "plaintiff", "petitioner", "complainant", "claimant", "defender", "interpreter", "clerk", "emergency"),
    *("parent", "mother", "father", "spouse", "employer", "alias", "aka", "court", "courthouse", "judicial"),
)
"""Words for somebody else, or for the court, who must not be taken for the person that a row is about."""

_BESIDE = frozenset(
    {
        *("home", "cell", "work", "text", "sms", "day", "daytime", "evening", "primary", "main", "other", "alternate"),
        *("secondary", "current", "preferred", "personal", "permanent", "mailing", "legal", "residence", "residential"),
        *("full", "1", "2", "3"),
    }
)
"""Words beside the name of a person's field that leave it this person's."""

_PAST = frozenset(
    {
        *("last", "previous", "prior", "past", "old", "original", "entered", "entry", "created", "updated", "modified"),
        *("changed", "print", "printed", "report", "run", "filed", "filing", "end", "ended", "notice", "disposed"),
        *("related", "lead", "companion", "master", "linked", "appeal", "lower", "arrest", "continued", "extract"),
    }
)
"""Words that make another date, time or number of the hearing's, or of the case's."""

_MEETINGS = ("event", "hearing", "court", "appearance", "setting", "session", "appointment", "scheduled", "trial")

_SYNONYMS: MappingProxyType[str, tuple[str, ...]] = MappingProxyType(
    {
        "client.reference": (
            *("party id", "person id", "client id", "client reference", "client number", "defendant id"),
            *("offender number", "offender id", "litigant id", "litigant entity id", "case party id", "party number"),
            *("entity id", "name id", "person number", "participant id", "individual id", "spn", "juror id"),
        ),
        "client.first_name": ("first name", "first", "given name", "forename"),
        "client.middle_name": ("middle name", "middle", "middle initial", "mi"),
        "client.last_name": ("last name", "last", "surname", "family name"),
        "client.suffix": ("suffix", "name suffix"),
        "client.name": ("name", "full name", "whole name", *sorted(OWN)),
        "client.dob": ("dob", "date of birth", "birth date"),
        "client.gender": ("gender", "sex"),
        "client.race": ("race", "ethnicity"),
        "client.language": ("language", "preferred language", "primary language", "interpreter language"),
        "client.address": ("address", "street", "street address", "address 1", "address line 1", "mailing address"),
        "client.city": ("city", "town"),
        "client.state": ("state",),
        "client.zip": ("zip", "zip code", "postal code"),
        "contact.phone": (
            *("phone", "phone number", "cell", "cell phone", "cell number", "home phone", "contact phone"),
            *("primary phone", "text number", "sms number", "phone 1", "phone 2", "work phone", "cell phone number"),
        ),
        "contact.phone_type": ("phone type",),
        "contact.phone_opt_in": (
            *("text ok", "opt in", "sms opt in", "text opt in", "text consent", "sms consent", "ok to text"),
            "phone opt in",
        ),
        "contact.email": ("email", "email address", "e email", "e email address", "email 1"),
        "case.number": (
            *("case number", "docket number", "docket", "cause number", "case", "cause", "case docket number"),
            *("citation number", "citation id", "citation", "ticket number", "ticket", "citation no"),
        ),
        "case.reference": ("case id", "case key", "case reference"),
        "case.style": (
            "case style",
            "style",
            "case name",
            "case title",
            "caption",
            "case caption",
            "style of case",
            "case",
        ),
        "case.type": ("case type", "case category", "case type description", "case type code", "division"),
        "case.status": ("case status",),
        "case.location": ("county", "county name", "county code", "jurisdiction", "case location"),
        "case.file_date": ("file date", "filed date", "filing date", "date filed", "case file date"),
        "case.arrest_date": ("arrest date", "date of arrest"),
        "case.offense_date": ("offense date", "date of offense", "violation date"),
        "case.plea_date": ("plea date",),
        "case.judgment_date": ("judgment date", "disposition date", "disposed date"),
        "case.judgment_status": ("judgment status", "disposition", "disposition code", "judgment"),
        "case.offense_description": (
            *("offense description", "charge description", "offense", "charge", "violation description"),
            *("violation", "charges"),
        ),
        "case.offense_type": ("offense code", "offense type", "charge code", "violation code"),
        "case.charge_number": ("charge number", "charge id", "count number"),
        "case.description": ("case description", "description"),
        "case.attorney": ("attorney", "attorney name", "defense attorney", "attorney full name"),
        "case.warrant_status": ("warrant status", "warrant"),
        "case.victim_name": ("victim", "victim name"),
        "case.role": (
            *("party description", "party type", "role", "role description", "connection", "connection type"),
            "party connection",
        ),
        "event.date": (
            *(f"{word} date" for word in _MEETINGS),
            "date",
            "next court date",
            "next hearing date",
            "next setting",
            "next event",
            "next hearing",
        ),
        "event.time": (
            *(f"{word} time" for word in _MEETINGS),
            *("time", "start time", "begin time", "hearing start time", "event start time"),
        ),
        "event.datetime": (
            *(f"{word} date time" for word in _MEETINGS),
            *(f"{word} date and time" for word in _MEETINGS),
            *("date time", "date and time", "start date time"),
        ),
        "event.type": (
            *("hearing type", "event type", "event description", "hearing", "event", "hearing description"),
            *("hearing type description", "event type description", "setting type", "appearance type", "proceeding"),
            *("action description", "appointment type"),
        ),
        "event.status": ("event status", "hearing status", "setting status", "appearance status", "status"),
        "event.result": ("hearing result", "event result", "result", "outcome"),
        "event.location": (
            *("location name", "location", "court", "court name", "court location", "courthouse", "event location"),
            *("hearing location", "building", "court description", "facility", "court location description"),
        ),
        "event.room": ("room", "courtroom", "court room", "courtroom code", "courtroom number", "room number"),
        "event.judge": ("judge", "judge name", "judicial officer", "judicial officer name", "presiding judge"),
        "event.reference": (
            "event id",
            "hearing id",
            "setting id",
            "event reference",
            "hearing number",
            "event number",
        ),
        "event.notes": ("notes", "comments", "event notes", "hearing notes", "note", "comment", "remarks"),
        "event.calendar": ("calendar id", "calendar", "calendar name"),
        "event.session": ("session", "court session", "session id"),
        "payment.amount": (
            *("balance", "amount", "amount due", "balance due", "fine", "fine amount", "total due", "amount owed"),
        ),
        "payment.due_date": ("due date", "due", "payment due date", "fine due", "fine due date"),
        "payment.citation": ("citation number", "citation", "ticket number", "citation id"),
        "payment.reference": ("payment id", "payment reference", "invoice number"),
    }
)

_WEAK = MappingProxyType(
    {
        ("case.number", "citation number"): 0.75,
        ("case.number", "citation id"): 0.75,
        ("case.number", "citation"): 0.7,
        ("case.number", "citation no"): 0.75,
        ("case.number", "ticket number"): 0.75,
        ("case.number", "ticket"): 0.7,
        ("payment.citation", "citation number"): 0.74,
        ("payment.citation", "citation id"): 0.74,
        ("payment.citation", "citation"): 0.74,
        ("payment.citation", "ticket number"): 0.74,
        ("event.status", "status"): 0.75,
        ("case.description", "description"): 0.6,
        ("client.name", "name"): 0.8,
        ("contact.phone", "phone"): 0.84,
        ("case.number", "case"): 0.75,
        ("case.style", "case"): 0.7,
        ("event.date", "date"): 0.75,
        ("event.date", "scheduled date"): 0.75,
        ("event.date", "next event"): 0.75,
        ("event.date", "next hearing"): 0.75,
        ("event.datetime", "date time"): 0.8,
        ("event.datetime", "date and time"): 0.8,
        ("event.time", "time"): 0.8,
        ("case.type", "division"): 0.6,
        ("payment.amount", "fine"): 0.8,
        ("payment.amount", "amount"): 0.75,
        ("payment.due_date", "due"): 0.8,
    }
)
"""Names that may mean other things too."""

_PERSONAL = ("client.", "contact.")
_MARKING = ("case.number", "event.date", "event.time", "event.datetime")
"""Fields that a wrong column makes a missed hearing of."""

_ALIKE = 0.86


@dataclass(frozen=True)
class Named:
    """A field that a column's name speaks of, from 0 to 1 how surely, and the synonym that was found; `exact` if it is
    the very words."""

    field: str
    score: float
    synonym: str
    exact: bool = False


def words_of(header: str) -> tuple[str, ...]:
    """The words of a header, small, with abbreviations written out: `crt_dt` and `CourtDate` are `court date`."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", header).replace("#", " number ")
    small = re.findall(r"[^\W_]+", apart.casefold())
    return tuple(word for each in small for word in _SHORT.get(each, each).split())


def fields_named(header: str) -> list[Named]:
    """The fields that the name of a column may mean, the surest first."""
    words = words_of(header)
    if not words:
        return []
    found = [best for field in _SYNONYMS if (best := _best(field, words)) is not None]
    return sorted(found, key=lambda each: -each.score)


def other_person(header: str) -> str:
    """Which other person the name of a column speaks of; "" if it is none of `OTHERS`."""
    words = words_of(header)
    if "judicial" in words:
        return ""
    found = [word for word in OTHERS if word in words]
    return " ".join(word for word in words if word in found) if found else ""


def _best(field: str, words: tuple[str, ...]) -> Named | None:
    """How well the words fit the best synonym of `field`."""
    if field.startswith(_PERSONAL) and set(words) & set(OTHERS) and " ".join(words) not in _SYNONYMS[field]:
        return None
    found = [
        Named(field, _score(field, words, synonym), synonym, words == tuple(synonym.split()))
        for synonym in _SYNONYMS[field]
    ]
    best = max(found, key=lambda each: each.score)
    return best if best.score > 0 else None


def _score(field: str, words: tuple[str, ...], synonym: str) -> float:
    wanted, weight = tuple(synonym.split()), _WEAK.get((field, synonym), 1.0)
    if words == wanted:
        return weight
    if sorted(words) == sorted(wanted):
        return 0.9 * weight
    own = tuple(word for word in words if word not in OWN)
    if own and own == wanted and field.startswith(_PERSONAL):
        return 0.95 * weight
    if len(wanted) > 1 and len(words) == len(wanted) + 1 and set(wanted) < set(words):
        return _with_another(field, set(words) - set(wanted)) * weight
    return 0.7 * weight if _alike(" ".join(words), synonym) else 0.0


def _with_another(field: str, more: set[str]) -> float:
    """How well a synonym fits with one more word beside it."""
    if field.startswith(_PERSONAL):
        return 0.65 if more <= OWN | _BESIDE else 0.0
    if field in _MARKING:
        return 0.0 if more & _PAST else 0.55
    return 0.65


@cache
def _alike(left: str, right: str) -> bool:
    """Whether one is a misspelling of the other."""
    if min(len(left), len(right)) < 6 or abs(len(left) - len(right)) > 2:
        return False
    return SequenceMatcher(None, left, right).ratio() >= _ALIKE
