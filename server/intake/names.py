"""Names that clients give to a file until it is whole.

Sources: WinSCP `.filepart`; browsers, wget and ownCloud `.part`; rclone `.partial`; many `.tmp`; Office lock files
`~$`; dot-files (rsync's `.name.XXXXXX`, editors).
"""

TEMPORARY_ENDINGS = (".filepart", ".part", ".partial", ".tmp")
TEMPORARY_BEGINNINGS = (".", "~$")


def is_temporary(name: str) -> bool:
    """Whether a file of that name (without its folder) is still to be renamed by whoever sends it."""
    return name.startswith(TEMPORARY_BEGINNINGS) or name.lower().endswith(TEMPORARY_ENDINGS)
