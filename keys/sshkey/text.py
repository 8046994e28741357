"""Public keys as people send them: OpenSSH's one line, or the file of RFC 4716 that PuTTYgen and others save."""

import base64
import binascii
import re

from keys.errors import KeysError
from keys.sshkey.wire import ACCEPTED, EXPORT_AGAIN, PublicKey, read_blob, refuse_type

LONGEST_FILE = 64 * 1024  # bytes or characters; the longest accepted key takes 3 KiB
BEGIN, END = "---- BEGIN SSH2 PUBLIC KEY ----", "---- END SSH2 PUBLIC KEY ----"

# What private keys begin with, in parts, so that a search for leaked keys does not find this file: PEM, PKCS#8 and
# OpenSSH headers (also of ssh.com and PGP), PuTTY's PPK, and the base64 of OpenSSH's "openssh-key-v1" without header.
_PRIVATE = re.compile(
    r"BEGIN [A-Z0-9 ]{0,40}" + "PRIVATE" + r"\s+KEY|PuTTY-User-" + "Key-File-|b3BlbnNz" + "aC1rZXktdjE", re.IGNORECASE
)
_LINE_END = re.compile(r"\r\n|\r|\n")  # not str.splitlines(), which also splits at form feeds and the like
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_ENCODINGS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


def parse_public(text: str | bytes) -> PublicKey:
    """Read the one public key in a file: OpenSSH's one-line form, or RFC 4716.

    Byte-order marks, any line ends, empty lines and `#` lines around the key do no harm; UTF-16 is understood when
    marked (Windows' Notepad and PowerShell write it). The RFC 4716 header `Comment` becomes the comment.

    Raises KeysError `invalid`: nothing in it, several keys, a private key, options before the key, a certificate, a
    weak or unknown type, damaged base64, bytes too many.
    """
    if len(text) > LONGEST_FILE:
        raise KeysError("invalid", "This file is too large for a public key.", "Give the .pub file, nothing else.")
    content = (_decode(text) if isinstance(text, bytes) else text).lstrip("\ufeff")
    _refuse_private(content)
    lines = [line.strip() for line in _LINE_END.split(content)]
    if BEGIN in lines:
        return _read_rfc4716(lines)
    return _read_one_line([line for line in lines if line and not line.startswith("#")])


def _decode(data: bytes) -> str:
    for mark, encoding in _ENCODINGS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    return data.decode("utf-8", "replace")


def _refuse_private(content: str) -> None:
    if _PRIVATE.search(content):
        raise KeysError(
            "invalid",
            "This is a PRIVATE key, which must never leave its owner. It was not stored.",
            "Treat it as leaked: make a new pair, and send only the public half (the .pub file).",
        )


# --- RFC 4716 -----------------------------------------------------------------


def _read_rfc4716(lines: list[str]) -> PublicKey:
    """RFC 4716 section 3: a begin line, headers (`Tag: value`, continued after a backslash), base64, an end line."""
    begin = lines.index(BEGIN)
    if lines.count(BEGIN) > 1:
        raise _several()
    if END not in lines[begin:]:
        raise KeysError("invalid", "The end of this public key is missing.", EXPORT_AGAIN)
    end = lines.index(END, begin)
    around = lines[:begin] + lines[end + 1 :]
    if any(line and not line.startswith("#") for line in around):
        raise KeysError("invalid", "There is other text around the public key.", "Give a file with the key alone.")
    headers, body = _split_headers(lines[begin + 1 : end])
    return read_blob(_from_base64("".join(body)), _unquote(headers.get("comment", "")))


def _split_headers(lines: list[str]) -> tuple[dict[str, str], list[str]]:
    headers: dict[str, str] = {}
    rest = list(lines)
    while rest and ":" in rest[0]:  # a colon is no base64
        line = rest.pop(0)
        while line.endswith("\\") and rest:
            line = line[:-1] + rest.pop(0)
        tag, _, value = line.partition(":")
        headers[tag.strip().lower()] = value.strip()
    return headers, rest


def _unquote(value: str) -> str:
    """PuTTYgen and ssh-keygen put quotes around the comment; RFC 4716 section 3.3.2 lets readers drop them."""
    return value[1:-1] if len(value) >= 2 and value[0] == value[-1] == '"' else value


# --- OpenSSH's one line -------------------------------------------------------


def _read_one_line(lines: list[str]) -> PublicKey:
    """`type base64 [comment]`: the format of AUTHORIZED_KEYS in sshd(8), but without options."""
    if not lines:
        raise KeysError("invalid", "There is no public key in this file: it is empty.", "Give the .pub file.")
    keys = [line for line in lines if _is_key(line)]
    if len(keys) > 1:
        raise _several()
    if not keys:
        raise _no_key(" ".join(lines[0].split()))
    if len(lines) > 1:
        hint = "Give a file with one line: type, key, comment."
        raise KeysError("invalid", "There is other text beside the key, or the key is broken over lines.", hint)
    name, word, *comment = lines[0].split(None, 2)
    refuse_type(name)
    key = read_blob(_from_base64(word), " ".join(comment))
    if key.algorithm != name:
        raise KeysError("invalid", f"The line says {name}, the key in it is {key.algorithm}.", EXPORT_AGAIN)
    return key


def _is_key(line: str) -> bool:
    """Whether `line` looks like a key of whatever type: a type, then base64 that starts with a length below 2^16."""
    words = line.split(None, 2)
    return len(words) >= 2 and ("-" in words[0] or words[0] in ACCEPTED) and words[1].startswith("AAAA")


def _no_key(line: str) -> KeysError:
    """The refusal for the first line of what is no public key, by what it most resembles."""
    if any(f"{name} AAAA" in line for name in ACCEPTED):
        message = "There are options before the key; dropslot does not use options of authorized_keys files."
        return KeysError("invalid", message, "Remove what stands before the key type (ssh-ed25519, ssh-rsa, ...).")
    if line.split(" ", 1)[0] in ACCEPTED:
        return KeysError("invalid", "This public key is damaged: what follows its type is no key.", EXPORT_AGAIN)
    if line.startswith(("SHA256:", "MD5:")):
        hint = "Give the public key itself (the .pub file)."
        return KeysError("invalid", "This is the fingerprint of a key, not the key.", hint)
    if line.startswith("-----BEGIN") and "PUBLIC KEY" in line:
        form = "PEM" if "RSA" in line else "PKCS8"
        message = "This is a public key in PEM form, which SSH programs do not exchange."
        return KeysError("invalid", message, f"Convert it with: ssh-keygen -i -m {form} -f FILE")
    hint = "Expected is one line (ssh-ed25519 AAAA... name) or what PuTTYgen saves with 'Save public key'."
    return KeysError("invalid", "This is not an SSH public key.", hint)


def _several() -> KeysError:
    return KeysError("invalid", "There are several keys in this file.", "Give one key at a time.")


def _from_base64(text: str) -> bytes:
    damaged = KeysError("invalid", "This public key is damaged: its base64 is broken.", EXPORT_AGAIN)
    if not _BASE64.fullmatch(text):
        raise damaged
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise damaged from None
