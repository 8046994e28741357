"""`dropslot agency connect-kit`: a folder for the person who sets up a court's nightly transfer."""

import socket
import stat
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Connection

from ingest import inbox
from keys.sshkey import PublicKey, as_ppk
from keys.store import ensure_host_keys
from server.agencies import find_agency
from server.cli.output import Json, print_one
from server.cli.place import look
from server.cli.written import new_files, unwritable
from server.clock import new_id, now
from server.errors import AppError, Code
from server.services.kit import Court, write_kit
from server.services.provision import make_key
from server.settings import Settings
from server.state import State, door_port, open_installation

LABEL = "connect kit"
ANOTHER = "Name another folder with --out."


def connect_kit(
    context: typer.Context,
    slug: Annotated[str, typer.Argument(help="The agency's login name.")],
    out: Annotated[Path | None, typer.Option(help="A new folder.", show_default="SLUG-connect-kit")] = None,
    host: Annotated[
        str | None, typer.Option(help="The server's name as the court knows it.", show_default="this machine's")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="The port the court connects to.", min=1, max=65535, show_default="the door's")
    ] = None,
    new_key: Annotated[
        bool, typer.Option("--with-new-key", help="Make a key pair too; its private half is in the folder only.")
    ] = False,
    directory: Annotated[
        str | None, typer.Option(help="Where the court sends its files.", show_default="its profiles'")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a folder with which a court can connect: scripts, host keys, and what to do in plain words."""
    settings: Settings = context.obj
    place = out or Path(f"{slug}-connect-kit")
    with open_installation(settings) as state:
        known = _host_keys(state)
        with ExitStack() as written, state.database.writing() as conn:
            agency = find_agency(conn, slug)
            address = host or _own_name(), port or door_port(settings)
            court = Court(slug, agency.name, *address, known, new_key, directory or _directory(conn, agency.id))
            kit = write_kit(court)
            _make_folder(place)
            pair = _make_pair(conn, slug) if new_key else {}
            # Before the commit: a key whose private half was lost is not enrolled.
            written.enter_context(new_files(_placed(place, {**kit, **pair}), ANOTHER))
    document = {"agency": slug, "folder": str(place), "host": court.host, "port": court.port, "new_key": new_key}
    print_one({**document, "files": sorted({**kit, **pair})}, as_json, _sentence(place, court))


def _sentence(place: Path, court: Court) -> str:
    told = f"What {court.slug} needs to connect to {court.host}:{court.port} is in {place}; begin with README.txt."
    if court.with_key:
        told += f" It has a private key ({court.slug}_key and .ppk): hand the folder over safely, and delete it here."
    return told


def _directory(conn: Connection, agency_id: str) -> str:
    """Where the agency's profiles look for its files. Raises `AppError` invalid if there are several such places."""
    profiles = inbox.list_profiles(conn, agency_id)
    directories = sorted({profile.directory for profile in profiles if profile.server_id is None})
    if len(directories) > 1:
        told = ", ".join(directories)
        raise AppError(
            Code.INVALID,
            f"Its profiles look into several directories: {told}.",
            "Say into which the court sends, and make one kit for each: --directory DIRECTORY --out FOLDER",
        )
    return directories[0] if directories else Court.directory


def _own_name() -> str:
    """This machine's name in the network. Raises `AppError` invalid if it has none that a court could use."""
    name = socket.getfqdn()
    if name.partition(".")[0] == "localhost":
        raise AppError(Code.INVALID, "This machine does not know its own name.", "Say it: --host sftp.example.gov")
    return name


def _host_keys(state: State) -> list[PublicKey]:
    """What the door shows as its own."""
    with state.database.writing() as conn:
        return [key.public for key in ensure_host_keys(conn, state.cipher(), now(), new_id)]


def _make_pair(conn: Connection, slug: str) -> Mapping[str, bytes]:
    """A new key of the agency, enrolled, as the files of its two halves; the private one as PuTTY wants it too."""
    private, key = make_key(conn, slug, LABEL)
    halves = {"": private.reveal(), ".ppk": as_ppk(private, key.public).reveal()}
    return {
        **{f"{slug}_key{ending}": half for ending, half in halves.items()},
        f"{slug}_key.pub": f"{key.public.openssh()}\n".encode(),
    }


def _make_folder(place: Path) -> None:
    there = look(place)
    try:
        if there and (not stat.S_ISDIR(there.st_mode) or any(place.iterdir())):
            raise AppError(Code.CONFLICT, f"{place} is there already.", ANOTHER)
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(place, error, ANOTHER) from error


def _placed(place: Path, kit: Mapping[str, bytes]) -> dict[Path, tuple[bytes, int]]:
    """Files that only their owner reads; scripts for a shell can be run."""
    return {place / name: (content, 0o700 if name.endswith(".sh") else 0o600) for name, content in kit.items()}
