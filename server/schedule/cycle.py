"""When a profile is looked at, or its file expected, as people write it: a schedule without its zone.

    hourly    every 15 minutes    daily at 06:00    weekly mon,thu at 06:00    monthly 1 at 06:00

The zone is the agency's, so that a profile can be copied to an agency in another one.
"""

import re

from server.errors import AppError, Code
from server.schedule.slots import Minutes, Schedule, parse_schedule

HOURLY = "hourly"
_FORMS = "Forms: hourly; every 15 minutes; daily at 06:00; weekly mon,thu at 06:00; monthly 1 at 06:00."


def read_cycle(text: str, zone: str) -> Schedule:
    """The schedule that `text` means in `zone`. Raises `AppError` invalid."""
    words = " ".join(text.split()).lower()
    if words == HOURLY:
        return Minutes(60)
    # "daily 06:00" and "06:00" is what people type; nothing else can be meant.
    words = re.sub(r"^([0-9]{1,2}:[0-9]{2})$", r"daily \1", words)
    words = re.sub(r"(?<! at) ([0-9]{1,2}:[0-9]{2})$", r" at \1", words)
    bare = re.sub(r"^every ([0-9]+) ?(?:m|min)$", r"every \1 minutes", words)
    try:
        return parse_schedule(bare if bare.startswith("every") else f"{bare} {zone}")
    except AppError as error:
        if error.message.endswith("is no schedule."):
            raise AppError(Code.INVALID, f"'{text}' says no time.", _FORMS) from error
        raise


def write_cycle(schedule: Schedule) -> str:
    """The text of a schedule, without its zone."""
    if schedule == Minutes(60):
        return HOURLY
    return str(schedule) if isinstance(schedule, Minutes) else str(schedule).rsplit(" ", 1)[0]
