"""`dropslot key`: the public keys agencies log in with."""

import sys
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from keys import store
from keys.secret import Secret
from keys.store import StoredKey
from server.agencies import find_agency, list_agencies
from server.cli import authority, key_audit, key_master
from server.cli.key_file import read_key_file
from server.cli.output import Json, print_list, print_one
from server.cli.place import look
from server.cli.written import new_files
from server.clock import now
from server.errors import AppError, Code
from server.services.provision import PairWish, TermWish, change_key, enrol_key, make_key
from server.state import open_installation

app = typer.Typer(
    help="SSH keys of agencies, authorities that sign them, and the master key.",
    no_args_is_help=True,
)
app.add_typer(authority.app, name="authority")
app.command("audit")(key_audit.audit)
app.command("rotate-master")(key_master.rotate)
app.command("replace-lost-master")(key_master.replace)

LONGEST_PASSPHRASE = 1024
ANOTHER = "Name another file with --out."

Slug = Annotated[str, typer.Argument(metavar="AGENCY", help="The agency's slug.")]
OptionalSlug = Annotated[str | None, typer.Argument(metavar="AGENCY", help="Only of this agency.")]
Which = Annotated[str, typer.Argument(help="Its id, its label, or the beginning of its fingerprint.")]
Label = Annotated[str, typer.Option(help="A word to know the key by.")]
NotBefore = Annotated[
    str | None,
    typer.Option(
        help="First day (2027-01-01, in the agency's zone), day and time (2027-01-01T06:00), or from now (2d)."
    ),
]
Expires = Annotated[
    str | None,
    typer.Option(help="Last day (2027-03-31: until it ends in the agency's zone), day and time, or from now (90d)."),
]


class Form(StrEnum):
    """How a private key is written."""

    OPENSSH = "openssh"
    PPK = "ppk"


class Kind(StrEnum):
    """Which pair is made."""

    ED25519 = "ed25519"
    ECDSA = "ecdsa-nistp256"
    RSA = "rsa-3072"


@app.command()
def add(
    context: typer.Context,
    agency: Slug,
    file: Annotated[str, typer.Argument(help="File with a public key (OpenSSH or RFC 4716), or - for standard input.")],
    label: Label = "",
    not_before: NotBefore = None,
    expires: Expires = None,
    as_json: Json = False,
) -> None:
    """Let the holder of a key log in as the agency."""
    text = read_key_file(file)
    with open_installation(context.obj) as state, state.database.writing() as conn:
        key = enrol_key(conn, agency, text, label, TermWish(not_before, expires))
    sentence = f"Key {key.fingerprint} ({key.algorithm}) may log in as {agency}{_term(key)}."
    print_one(_document(key), as_json, sentence)


@app.command()
def generate(
    context: typer.Context,
    agency: Slug,
    out: Annotated[Path, typer.Option(help="File for the private key, or - to print it; it is not kept here.")],
    label: Label = "",
    form: Annotated[Form, typer.Option("--format", help="OpenSSH's file, or PuTTY's (for WinSCP).")] = Form.OPENSSH,
    kind: Annotated[Kind, typer.Option(help="Which pair; old clients may need rsa-3072.")] = Kind.ED25519,
    passphrase_stdin: Annotated[
        bool, typer.Option("--passphrase-stdin", help="Lock it with the first line of standard input.")
    ] = False,
    not_before: NotBefore = None,
    expires: Expires = None,
    as_json: Json = False,
) -> None:
    """Make a new key pair for an agency: the public half is enrolled, the private half is written once."""
    printed = str(out) == "-"
    if printed and as_json:
        raise AppError(Code.INVALID, "--out - and --json both want standard output.", "Name a file with --out.")
    if not printed:
        _check_free(out)
    pair = PairWish(kind, form, _read_passphrase() if passphrase_stdin else None)
    with open_installation(context.obj) as state, ExitStack() as written, state.database.writing() as conn:
        private, key = make_key(conn, agency, label, TermWish(not_before, expires), pair)
        # Before the commit: a key whose private half was lost is not enrolled.
        if printed:
            sys.stdout.write(private.reveal().decode())
            sys.stdout.flush()
        else:
            written.enter_context(new_files(_halves(out, private, key), ANOTHER))
    if printed:
        return
    sentence = f"Private key in {out}, public key in {out}.pub. Hand the private key to the agency and delete it here."
    print_one({**_document(key), "private_key": str(out), "public_key": f"{out}.pub"}, as_json, sentence)


@app.command("list")
def list_(context: typer.Context, agency: OptionalSlug = None, as_json: Json = False) -> None:
    """List the keys of an agency, or of all, revoked and expired ones too."""
    with open_installation(context.obj) as state, state.database.reading() as conn:
        chosen = [find_agency(conn, agency)] if agency else list_agencies(conn)
        rows = [{"agency": owner.slug, **_document(key)} for owner in chosen for key in store.list_keys(conn, owner.id)]
    columns = ("agency", "fingerprint", "algorithm", "bits", "label", "state", "created_at", "not_before")
    ends = ("expires_at", "revoked_at", "last_used_at", "last_used_from", "last_used_client")
    print_list(rows, as_json, (*columns, *ends), "No key yet. Add one with: dropslot key add AGENCY KEY.pub")


@app.command()
def edit(
    context: typer.Context,
    agency: Slug,
    key: Which,
    label: Label = "",
    not_before: NotBefore = None,
    expires: Expires = None,
    as_json: Json = False,
) -> None:
    """Give a key another label, first day or expiry (`never` takes a bound away); open sessions keep to it."""
    if not label and not_before is None and expires is None:
        raise AppError(Code.INVALID, "What shall change?", "Give --label, --not-before or --expires.")
    with open_installation(context.obj) as state, state.changing_trust() as conn:
        edited = change_key(conn, agency, key, label, TermWish(not_before, expires))
    print_one(_document(edited), as_json, f"Key {edited.fingerprint} is '{edited.label}'{_term(edited)}.")


@app.command()
def revoke(context: typer.Context, agency: Slug, key: Which, as_json: Json = False) -> None:
    """Let a key log in no longer, from now on."""
    with open_installation(context.obj) as state, state.changing_trust() as conn:
        revoked = store.revoke_key(conn, find_agency(conn, agency).id, key, now())
    print_one(_document(revoked), as_json, f"Key {revoked.fingerprint} is revoked.")


def _read_passphrase() -> Secret:
    return Secret(sys.stdin.buffer.readline(LONGEST_PASSPHRASE).rstrip(b"\r\n"))


def _check_free(out: Path) -> None:
    for place in (out, Path(f"{out}.pub")):
        if look(place):
            raise AppError(Code.CONFLICT, f"{place} is there already.", ANOTHER)


def _halves(out: Path, private: Secret, key: StoredKey) -> dict[Path, tuple[bytes, int]]:
    """The files of a pair, each with its mode."""
    public = f"{key.public.openssh()}\n".encode()
    return {out: (private.reveal(), 0o600), Path(f"{out}.pub"): (public, 0o666)}


def _term(key: StoredKey) -> str:
    bounds = (("from", key.term.not_before), ("until", key.term.expires_at))
    return "".join(f", {word} {instant:%Y-%m-%d %H:%M %Z}" for word, instant in bounds if instant)


def _document(key: StoredKey) -> dict[str, object]:
    names = ("id", "fingerprint", "algorithm", "bits", "label", "created_at", "revoked_at")
    return {
        **{name: getattr(key, name) for name in names},
        "state": key.state(now()),
        "not_before": key.term.not_before,
        "expires_at": key.term.expires_at,
        "last_used_at": key.last_use and key.last_use.at,
        "last_used_from": key.last_use and key.last_use.address,
        "last_used_client": key.last_use and key.last_use.client,
    }
