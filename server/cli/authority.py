"""`dropslot key authority`: who may sign certificates that let agencies in."""

from typing import Annotated

import typer

from keys import store
from keys.sshkey import parse_public
from keys.store import Authority
from server.agencies import find_agency, list_agencies
from server.cli.key_file import read_key_file
from server.cli.output import Json, counted, print_list, print_one
from server.clock import new_id, now
from server.errors import AppError, Code
from server.state import open_installation, open_state

app = typer.Typer(help="Trust authorities whose OpenSSH certificates let agencies in.", no_args_is_help=True)

LONGEST = 20  # digits of 64 bits

Which = Annotated[str, typer.Argument(metavar="ID", help="Its id, its label, or the beginning of its fingerprint.")]


@app.command()
def add(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="File with the authority's public key, or - for standard input.")],
    agency: Annotated[str | None, typer.Option(help="Only for this agency.", show_default="for all")] = None,
    label: Annotated[str, typer.Option(help="A word to know it by.")] = "",
    as_json: Json = False,
) -> None:
    """Let in whoever has a certificate of this authority, as the agency that is its principal."""
    public = parse_public(read_key_file(file))
    with open_state(context.obj) as state, state.database.writing() as conn:
        agency_id = find_agency(conn, agency).id if agency else None
        added = store.add_authority(conn, new_id(), agency_id, public, label, now())
        document = _document(added, frozenset(), agency)
    whose = f"as {agency}" if agency else "as the agency that is their principal"
    sentence = f"Certificates that {added.public.fingerprint} signs let in, {whose}. Its id is {added.id}."
    print_one(document, as_json, sentence)


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List the trusted authorities; with --json also the serial numbers that are revoked."""
    with open_installation(context.obj) as state, state.database.reading() as conn:
        slugs = {agency.id: agency.slug for agency in list_agencies(conn)}
        rows = [
            _document(one, store.revoked_serials(conn, one.id), slugs.get(one.agency_id or ""))
            for one in store.list_authorities(conn)
        ]
    shown = rows if as_json else [{**row, "revoked": len(row["revoked"])} for row in rows]  # type: ignore[arg-type]
    columns = ("id", "agency", "fingerprint", "algorithm", "bits", "label", "created_at", "revoked")
    used = ("last_used_at", "last_used_from", "last_used_client", "last_used_serial")
    print_list(
        shown, as_json, (*columns, *used), "No authority is trusted. Add one with: dropslot key authority add FILE.pub"
    )


@app.command()
def remove(context: typer.Context, authority: Which, as_json: Json = False) -> None:
    """Trust an authority no longer; sessions with its certificates end."""
    with open_installation(context.obj) as state, state.changing_trust() as conn:
        removed = store.remove_authority(conn, authority, now())
        document = _document(removed, store.revoked_serials(conn, removed.id), None)
    print_one(document, as_json, f"Certificates of {removed.public.fingerprint} let nobody in any more.")


@app.command()
def revoke(
    context: typer.Context,
    authority: Which,
    serials: Annotated[list[str], typer.Argument(metavar="SERIAL...", help="As ssh-keygen -L -f FILE shows them.")],
    as_json: Json = False,
) -> None:
    """Let the certificates with these serial numbers in no longer; their sessions end."""
    with open_installation(context.obj) as state, state.changing_trust() as conn:
        found = store.find_authority(conn, authority)
        fresh = store.revoke_serials(conn, found, map(_serial, serials), now(), new_id)
        document = _document(found, store.revoked_serials(conn, found.id), None)
    before = len(set(serials)) - len(fresh)
    already = f", {before:,} {'was' if before == 1 else 'were'} so already" if before else ""
    sentence = f"{counted(len(fresh), 'certificate')} revoked{already}."
    print_one(document, as_json, sentence)


def _serial(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > LONGEST:
        raise AppError(
            Code.INVALID,
            f"A serial number has digits only, and at most {LONGEST}.",
            "See it with: ssh-keygen -L -f FILE",
        )
    return int(text)


def _document(authority: Authority, revoked: frozenset[int], slug: str | None) -> dict[str, object]:
    use = authority.last_use
    return {
        "id": authority.id,
        "agency": slug,
        "fingerprint": authority.public.fingerprint,
        "algorithm": authority.public.algorithm,
        "bits": authority.public.bits,
        "label": authority.label,
        "created_at": authority.created_at,
        "removed_at": authority.removed_at,
        "revoked": sorted(revoked),
        "last_used_at": use and use.at,
        "last_used_from": use and use.address,
        "last_used_client": use and use.client,
        "last_used_serial": use and use.serial,
    }
