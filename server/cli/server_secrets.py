"""Reading the secrets of a server: from a file, from standard input, or asked for; never from the command line."""

import sys
from collections.abc import Mapping
from pathlib import Path

import typer

from keys.secret import Secret
from server.errors import AppError, Code
from server.remotes.server import Kind, SecretField

LARGEST = 64 * 1024
LONGEST_LINE = 4096
WHOLE = (SecretField.PRIVATE_KEY,)
"""What is a whole file; the others are its first line."""


def read_secrets(files: Mapping[SecretField, str | None]) -> dict[SecretField, Secret]:
    """What is in those files; `-` is standard input, a line for each. Raises `AppError` invalid."""
    return {field: _read(field, file) for field, file in files.items() if file is not None}


def ask_secrets(kind: Kind, given: Mapping[SecretField, Secret]) -> dict[SecretField, Secret]:
    """Ask a person for what a new server of that kind cannot do without. Raises `AppError` where nobody can answer."""
    wanted: tuple[SecretField, ...] = ()
    if kind is Kind.SFTP and not given:
        wanted = (SecretField.PASSWORD,)
    if kind is Kind.S3:
        wanted = tuple(field for field in (SecretField.ACCESS_KEY, SecretField.SECRET_KEY) if field not in given)
    asked = dict(given)
    for field in wanted:
        if not sys.stdin.isatty():
            raise _not_given(field)
        what = field.value.replace("_", " ").capitalize()
        asked[field] = Secret(typer.prompt(what, hide_input=True, err=True).encode())
    return asked


def _not_given(field: SecretField) -> AppError:
    if field is SecretField.PASSWORD:
        return AppError(
            Code.INVALID,
            "The server has no password and no private key.",
            "Give --password-file FILE or --private-key FILE; - is standard input.",
        )
    option = f"--{field.value.replace('_', '-')}-file"
    return AppError(Code.INVALID, f"The server has no {field.value.replace('_', ' ')}.", f"Give it with {option} FILE.")


def _read(field: SecretField, file: str) -> Secret:
    try:
        if file == "-":
            read = sys.stdin.buffer.read(LARGEST) if field in WHOLE else sys.stdin.buffer.readline(LONGEST_LINE)
        else:
            with Path(file).open("rb") as stream:
                read = stream.read(LARGEST + 1)
    except OSError as error:
        raise AppError(
            Code.INVALID,
            f"{file} cannot be read ({(error.strerror or 'unknown error').lower()}).",
            "Name another file.",
        ) from error
    return Secret(read if field in WHOLE else read.partition(b"\n")[0].rstrip(b"\r"))
