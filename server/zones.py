"""Time zones that courts are in: IANA names of places, since clocks are set by where one is."""

import re
from types import MappingProxyType
from zoneinfo import available_timezones

from server.errors import AppError, Code

PLAIN = frozenset({"UTC", "Etc/UTC"})
"""No places, and meant by whoever writes them: a trial that shall know no summer time."""

_PLACELESS = frozenset(
    {
        *("CET", "CST6CDT", "EET", "EST", "EST5EDT", "Factory", "GMT", "GMT+0", "GMT-0", "GMT0", "Greenwich", "HST"),
        *("MET", "MST", "MST7MDT", "PST8PDT", "UCT", "Universal", "W-SU", "WET", "Zulu", "localtime"),
    }
)
_EXAMPLES = "a name such as America/New_York, America/Phoenix or Pacific/Honolulu"
_BEHIND = MappingProxyType(
    {
        4: "America/Halifax, or America/Puerto_Rico where there is no summer time",
        5: "America/New_York, or America/Panama where there is no summer time",
        6: "America/Chicago, or America/Regina where there is no summer time",
        7: "America/Denver, or America/Phoenix where there is no summer time",
        8: "America/Los_Angeles",
        9: "America/Anchorage",
        10: "Pacific/Honolulu",
    }
)
"""Places by how many hours they are behind UTC in winter."""
_HOURS = re.compile(r"(?:etc/)?(?:gmt|utc)[+-]0?(\d{1,2})(?::?00)?")
_CALLED = MappingProxyType(
    {
        **dict.fromkeys(("ast", "adt", "atlantic"), _BEHIND[4]),
        **dict.fromkeys(("est", "edt", "et", "est5edt", "eastern"), _BEHIND[5]),
        **dict.fromkeys(("cst", "cdt", "ct", "cst6cdt", "central"), _BEHIND[6]),
        **dict.fromkeys(("mst", "mdt", "mt", "mst7mdt", "mountain"), _BEHIND[7]),
        **dict.fromkeys(("pst", "pdt", "pt", "pst8pdt", "pacific"), _BEHIND[8]),
        **dict.fromkeys(("akst", "akdt", "alaska"), _BEHIND[9]),
        **dict.fromkeys(("hst", "hdt", "hawaii"), _BEHIND[10]),
        **dict.fromkeys(("gmt", "greenwich", "wet"), "Europe/London or Europe/Lisbon; or UTC, if that is meant"),
        **dict.fromkeys(("cet", "met"), "Europe/Berlin, Europe/Paris or Europe/Madrid"),
        **dict.fromkeys(("uct", "zulu", "universal", "etc/uct", "etc/zulu", "etc/universal"), "UTC"),
        "eet": "Europe/Athens or Europe/Helsinki",
        "w-su": "Europe/Moscow",
    }
)


def check_zone(name: str) -> None:
    """Raises `AppError` invalid, with likely ones, for what is no zone, or names hours and no place: its clocks may not
    be set forward in summer as the court's are."""
    if name not in available_timezones():
        raise AppError(Code.INVALID, f"'{name}' is no time zone.", f"Use {_likely(name)}.")
    if _is_placeless(name):
        raise AppError(
            Code.INVALID,
            f"'{name}' is no place, so whether its clocks change in summer as the court's do is not certain.",
            f"Use {_likely(name)}.",
        )


def _is_placeless(name: str) -> bool:
    return name in _PLACELESS or (name.startswith("Etc/") and name not in PLAIN)


def _likely(name: str) -> str:
    """What somebody probably means who writes that, in capitals or not."""
    folded = name.lower()
    alike = [zone for zone in available_timezones() if zone.lower() == folded and not _is_placeless(zone)]
    if alike:
        return alike[0]
    hours = _HOURS.fullmatch(folded)
    return _BEHIND.get(int(hours[1]), _EXAMPLES) if hours else _CALLED.get(folded, _EXAMPLES)
