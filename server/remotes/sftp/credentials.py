"""What we prove ourselves with to a remote SFTP server: a password, or a private key with its passphrase."""

import asyncssh

from keys.secret import Secret
from server.errors import AppError, Code

PPK = b"PuTTY-User-Key"


def check_private_key(text: Secret, passphrase: Secret | None) -> None:
    """Raises `AppError` invalid for what is no private key that can be opened with that passphrase."""
    read_private_key(text, passphrase)


def read_private_key(text: Secret, passphrase: Secret | None) -> asyncssh.SSHKey:
    """The key itself. Raises `AppError` invalid; neither sentence nor hint tells anything of it."""
    if text.reveal().lstrip().startswith(PPK):
        raise AppError(
            Code.INVALID,
            "This private key is in PuTTY's format.",
            "Convert it: puttygen KEY.ppk -O private-openssh -o KEY (or PuTTYgen: Conversions, Export OpenSSH key).",
        )
    try:
        return asyncssh.import_private_key(text.reveal(), passphrase.reveal().decode() if passphrase else None)
    except asyncssh.KeyEncryptionError:
        raise _wrong_passphrase() from None
    except (asyncssh.KeyImportError, UnicodeDecodeError) as error:
        if "passphrase" in str(error).lower():
            raise _wrong_passphrase() from None
        raise AppError(
            Code.INVALID,
            "This is no private key.",
            "Give the file that ssh-keygen made, without .pub; it begins with -----BEGIN.",
        ) from None


def _wrong_passphrase() -> AppError:
    return AppError(
        Code.INVALID,
        "The private key cannot be opened with this passphrase, or needs one.",
        "Give its passphrase with --passphrase-file, or none if the key has none.",
    )
