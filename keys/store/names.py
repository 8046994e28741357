"""How a person names a key: by its id, its label, or the beginning of its fingerprint."""

from keys.errors import KeysError
from keys.sshkey import PublicKey

LONGEST_LABEL = 100  # characters
SHORTEST_PREFIX = 4  # characters of a fingerprint, so that a slip of the finger revokes nothing


def choose_label(label: str, public: PublicKey) -> str:
    """`label`, or else the key's comment or type. Raises KeysError `invalid` if it is too long or not printable."""
    label = label.strip() or public.comment[:LONGEST_LABEL].strip() or public.algorithm
    if len(label) > LONGEST_LABEL or not label.isprintable():
        hint = f"Give one line of at most {LONGEST_LABEL} printable characters."
        raise KeysError("invalid", "This label cannot be used.", hint)
    return label


def is_named(which: str, key_id: str, label: str, fingerprint: str) -> bool:
    """Whether `which` means the key of that id, label and fingerprint (`SHA256:...`)."""
    which = which.strip()
    prefix = which.removeprefix("SHA256:")
    begins = len(prefix) >= SHORTEST_PREFIX and fingerprint.startswith(f"SHA256:{prefix}")
    return which in (key_id, label) or begins
