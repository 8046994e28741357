"""Regular expressions of templates, by RE2: the time they take grows with the text alone, whatever the pattern.

pyarrow brings RE2 along; it costs a third of a second to load, and few templates have patterns, so it is loaded here
and only when there is one.
"""

from ingest.errors import IngestError

LONGEST = 200
"""Characters that a pattern may have."""

_WHOLE = r"\A(?:{})(?s:.*)\z"  # the pattern at the beginning of a text, and all that follows


def refuse_unusable(pattern: str) -> None:
    """Raise IngestError `template_pattern` for a pattern that RE2 does not take, or that is too long."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not 0 < len(pattern) <= LONGEST:
        raise IngestError("template_pattern", f"The pattern must have 1 to {LONGEST} characters.")
    try:
        for written in (pattern, _WHOLE.format(pattern)):
            pc.match_substring_regex(pa.array([""]), written)
    except pa.ArrowInvalid as error:
        reason = str(error).removeprefix("Invalid regular expression: ")
        raise IngestError(
            "template_pattern",
            f"The pattern cannot be used: {reason}.",
            "Patterns are those of RE2: no backreferences and no lookaround.",
        ) from error


def count_groups(pattern: str) -> int:
    """How many groups a usable pattern captures: 0, 1, or 2 for any more."""
    return sum(_replaced(pattern, "", f"\\{group}") is not None for group in (1, 2))


def match_beginning(pattern: str, text: str) -> tuple[bool, str | None]:
    """Whether a usable pattern matches the beginning of `text`, and what its first group captures, if it has one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    matches = bool(pc.match_substring_regex(pa.array([text], pa.string()), _WHOLE.format(pattern))[0].as_py())
    return matches, _replaced(pattern, text, r"\1") if matches else None


def contains(pattern: str, text: str) -> bool:
    """Whether a usable pattern matches somewhere in `text`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return bool(pc.match_substring_regex(pa.array([text], pa.string()), pattern)[0].as_py())


def _replaced(pattern: str, text: str, by: str) -> str | None:
    """`text` replaced by a group of the pattern, or None if it has not so many."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        replaced = pc.replace_substring_regex(pa.array([text], pa.string()), _WHOLE.format(pattern), by)
    except pa.ArrowInvalid:
        return None
    return str(replaced[0].as_py())
