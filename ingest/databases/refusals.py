"""What PostgreSQL and its library say when a database cannot be used, in sentences for an operator.

States are PostgreSQL's (Appendix A of its manual). While connecting, the library (libpq) gives no state but a text, so
there the text decides; in another language than English it gets the general sentence. Neither holds the password.
"""

from types import MappingProxyType

_MEND = "Mend DROPSLOT_DATABASE (postgresql://USER:PASSWORD@HOST/NAME; write odd characters of the password as %XX)."
_ASK = "Is it running, and is DROPSLOT_DATABASE its address? What is received meanwhile is kept."
_LATER = "The server tries again by itself; a command has to be given once more."

_TEXTS = (
    ("password authentication failed", "The database server refuses the user's password.", _MEND),
    ("no password supplied", "The database server wants a password.", _MEND),
    ("no pg_hba.conf entry", "The database server lets nobody in from here.", "Add this machine to its pg_hba.conf."),
    ("starting up", "The database server is just starting.", _LATER),
    ("shutting down", "The database server is just stopping.", _LATER),
    ("too many clients", "The database server has too many connections.", "Raise its max_connections."),
    ("remaining connection slots", "The database server has too many connections.", "Raise its max_connections."),
    ("certificate", "The database server's certificate is not the one it should be.", "Check sslmode and sslrootcert."),
    ("does not support ssl", "The database server speaks no TLS.", "Check sslmode in DROPSLOT_DATABASE."),
    ("database", "The database server has no such database.", "Make it: createdb -T template0 -E UTF8 -l C NAME"),
    ("role", "The database server has no such user.", _MEND),
)
"""By words of a text that says FATAL or names a cause; the last two count only with `does not exist`."""

_STATES = MappingProxyType(
    {
        "08": ("The connection to the database was lost.", _ASK),
        "25006": ("The database takes no changes just now.", "Does DROPSLOT_DATABASE name the primary server?"),
        "40": ("The database had two changes at odds with each other.", _LATER),
        "53": ("The database server is out of space, memory or connections.", "Look at the server."),
        "55": ("The database is too busy just now.", _LATER),
        "57": ("The database server stopped what was asked of it.", _LATER),
        "58": ("The database server has trouble with its files.", "Look at the server."),
        "42501": (
            "The database's user may not do what dropslot needs.",
            "Make it the owner: ALTER DATABASE name OWNER TO user",
        ),
    }
)
"""By state, or by the class that it begins with."""


def explain(error: BaseException) -> tuple[str, str] | None:
    """A sentence and a hint if the database is away, full or shut; None for everything else."""
    state = getattr(error, "sqlstate", None)
    if state is not None:
        return _STATES.get(state) or _STATES.get(state[:2])
    if type(error).__name__ not in ("OperationalError", "ConnectionTimeout", "InterfaceError"):
        return None
    said = str(error).casefold()
    for words, sentence, hint in _TEXTS:
        if words in said and (words not in ("database", "role") or "does not exist" in said):
            return sentence, hint
    return "The database server does not answer.", _ASK
