"""What a run of the engine is given, what it knows before the file is opened, and what it has read of it."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ingest.answer import Upload
from ingest.arrival import Arrival, Profile
from ingest.limits import Limits
from ingest.parse.records import Ints
from ingest.shape import Shape
from ingest.skip import Known
from ingest.tally import Tally
from ingest.template import Template, TemplateVersion


@dataclass(frozen=True)
class Work:
    """One file to ingest: `source` holds its bytes and never changes, `zone` is the agency's (IANA), `now` is aware."""

    upload_id: str
    arrival_id: str
    source: Path
    zone: str
    now: datetime
    region: str = "US"
    limits: Limits = field(default_factory=Limits)
    skipping: bool = True


@dataclass(frozen=True)
class Task:
    """What is known before the file is opened; `stamp` and `shape` once its columns are."""

    work: Work
    arrival: Arrival
    profile: Profile
    version: TemplateVersion
    template: Template
    upload: Upload
    stamp: str = ""
    shape: Shape | None = None


@dataclass(frozen=True)
class Reading:
    """What was read: rows `known` from the last file (with their `places` in this one), and the others."""

    known: Known
    places: Ints
    tally: Tally

    @property
    def left(self) -> int:
        """How many rows filters leave out."""
        return self.tally.excluded + int((self.known.mark < 0).sum())

    @property
    def good(self) -> int:
        """How many rows were taken, with those that had been so from the last file."""
        return len(self.known) + self.tally.good + self.tally.excluded - self.left
