"""What a file is that replaces, and how much it may withdraw without a person's word."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType

from ingest.errors import IngestError
from ingest.record import CONTACTS, KINDS, write_instant
from ingest.template import Template, split_party

FEW = 5
"""Of a kind of which fewer are withdrawn, any share may go: a small court has three hearings, and two are moved."""
WITHDRAWALS = "withdrawals"
_HINT = (
    "The operators of this server see it and confirm or reject it. If the file is right there is nothing to do; if "
    "not, send the right one."
)
_MADE_BY = MappingProxyType(
    {
        "events": frozenset({"event.date", "event.datetime"}),
        "payments": frozenset({"payment.amount", "payment.due_date", "payment.reference"}),
    }
)
"""Of each kind: the fields of which one must be there; of contacts, each of them must."""
_KNOWN_BY = ("client.reference", "client.last_name", "case.number")


@dataclass(frozen=True)
class Snapshot:
    """A file that holds all there is: of the whole agency, or with `own_alone` of what its template brought.

    What is before `now` (aware), or before `today` by the agency's clock where it has no time, is over. Unless the file
    is `legible`, its refused rows may speak of anybody. `unsaid` are kinds of which it cannot speak (`unsaid`).
    """

    own_alone: bool
    now: datetime
    today: date
    legible: bool = True
    unsaid: frozenset[str] = frozenset()

    @property
    def names(self) -> dict[str, str]:
        """Parameters of the statements."""
        return {"now": write_instant(self.now), "today": self.today.isoformat()}


def unsaid(template: Template, told: Collection[str]) -> frozenset[str]:
    """Kinds (events, payments, phone, email) of which a file that fills the fields `told` cannot speak as the template
    does, since it lacks their columns: that it names none tells nothing. Each column of phones has its own."""
    mapped, fields = template.filled, {split_party(name)[1] for name in told}
    missing = {kind for kind, made in _MADE_BY.items() if made & mapped and not made & fields}
    gone = (CONTACTS.get(split_party(name)[1]) for name in template.fields if name not in told)
    return frozenset(missing | {kind for kind in gone if kind})


@dataclass(frozen=True)
class Withdrawn:
    """What a snapshot withdraws, by table: `gone` records, and how many were `live` in its reach before.

    Both leave out what is over: hearings of the past, and people and cases that had no others, with their contacts.
    They fall out of every snapshot by themselves, and no guard need look at them. `total` are all that are withdrawn,
    `moved` the hearings that have another date instead.
    """

    total: Mapping[str, int]
    gone: Mapping[str, int]
    live: Mapping[str, int]
    moved: int = 0


def judge(withdrawn: Withdrawn, share: int, *, empty: bool) -> IngestError | None:
    """Why a person must look at the file before it takes effect, or None.

    It is one that would withdraw more than `share` percent of a kind of records; and `empty`, any.
    """
    excess = [
        f"{withdrawn.gone[kind]:,} of {of:,} {kind} ({withdrawn.gone[kind] * 100 // max(of, 1)} %)"
        for kind, of in withdrawn.live.items()
        if withdrawn.gone[kind] >= FEW and withdrawn.gone[kind] * 100 > of * share
    ]
    if empty and any(withdrawn.total.values()):
        found = {kind: count for kind, count in withdrawn.total.items() if count and kind in KINDS}
        told = [f"{count:,} {kind if count > 1 else kind.removesuffix('s')}" for kind, count in found.items()]
        return IngestError(
            WITHDRAWALS, f"The file names nothing at all; it would withdraw everything: {', '.join(told)}.", _HINT
        )
    if not excess:
        return None
    limit = f"the template lets no more than {share} % go without a person's word"
    message = f"The file would withdraw {', '.join(excess)}; {limit}.{_of_moved(withdrawn)}"
    return IngestError(WITHDRAWALS, message, _HINT)


def _of_moved(withdrawn: Withdrawn) -> str:
    """How much of it is no loss."""
    if not withdrawn.moved:
        return ""
    some = "hearing seems" if withdrawn.moved == 1 else "hearings seem"
    return f" {withdrawn.moved:,} {some} to be moved: the file has another date for the same person and case."


def is_literal(template: Template) -> bool:
    """Whether what people and cases are known by stands in a row as it is kept, so that rows can be searched for it."""
    rules = (rule for name, rule in template.rules.items() if split_party(name)[1] in _KNOWN_BY)
    return not any(rule.way == "join" or rule.lookup or rule.values or rule.default for rule in rules)
