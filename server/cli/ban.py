"""`dropslot ban`: addresses that the SFTP door does not listen to for a while."""

import ipaddress
import re
from datetime import UTC, datetime
from typing import Annotated

import typer

from server.cli.output import Json, print_list, print_one
from server.defence import Ban, open_defence
from server.errors import AppError, Code
from server.networks import contains, group, parse_networks, plain
from server.settings import Settings
from server.state import prepare_folders, require_installation

app = typer.Typer(help="List, add and lift bans of addresses.", no_args_is_help=True)

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST = 3650 * 86400
NOBODYS = parse_networks("0.0.0.0/8 255.255.255.255/32")

Address = Annotated[str, typer.Argument(help="An IPv4 address, or an IPv6 one, which stands for its /64.")]


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List the addresses that are banned now, the longest first."""
    with open_defence(_prepared(context)) as defence:
        rows = [_document(ban) for ban in reversed(defence.bans())]
    print_list(rows, as_json, ("address", "reason", "times", "since", "until"), "Nobody is banned.")


@app.command()
def add(
    context: typer.Context,
    address: Address,
    length: Annotated[str, typer.Option("--for", help="For how long: 90s, 30m, 12h or 7d.")] = "30m",
    as_json: Json = False,
) -> None:
    """Ban an address; its open sessions stay. All processes know within two seconds.

    A ban that lasts longer already is not made shorter: lift it first.
    """
    settings, name, seconds = _prepared(context), _name(address), _seconds(length)
    if _is_nobodys(address):
        raise AppError(Code.INVALID, f"Nobody connects from {address}.", "Name the address of a client: 203.0.113.7")
    if contains(parse_networks(settings.never_ban), _bare(address)):
        raise AppError(Code.CONFLICT, f"{address} is never banned.", "Take it out of DROPSLOT_NEVER_BAN first.")
    if contains(parse_networks(settings.proxy_networks), _bare(address)):
        raise AppError(Code.CONFLICT, f"{address} is a load balancer's.", "Ban the client behind it.")
    with open_defence(settings) as defence:
        ban = defence.add(name, seconds)
    print_one(_document(ban), as_json, f"{name} is banned until {_moment(ban.until):%Y-%m-%d %H:%M:%SZ}.")


@app.command()
def lift(
    context: typer.Context,
    address: Annotated[str | None, typer.Argument(help="The address, as `ban list` shows it.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Lift all bans.")] = False,
    as_json: Json = False,
) -> None:
    """Lift a ban and forget what the address did wrong. All processes know within two seconds."""
    if (address is None) is not everybody:
        raise AppError(Code.INVALID, "Whose ban?", "Name one address, or --all.")
    names = [] if address is None else [_name(address)]
    with open_defence(_prepared(context)) as defence:
        lifted = sum(defence.lift(name) for name in names) if names else defence.lift_all()
    if names and not lifted:
        raise AppError(Code.NOT_FOUND, f"{names[0]} is not banned.", "See: dropslot ban list")
    print_one({"lifted": lifted}, as_json, f"{names[0] if names else f'{lifted} address(es)'} may connect again.")


def _prepared(context: typer.Context) -> Settings:
    settings: Settings = context.obj
    require_installation(settings.data)
    prepare_folders(settings.data)
    return settings


def _bare(address: str) -> str:
    """`ban list` shows a /64, which may be given back as it is."""
    return address.removesuffix("/64") if ":" in address else address


def _name(address: str) -> str:
    """What the address is counted as."""
    text = _bare(address)
    try:
        ipaddress.ip_address(text)
    except ValueError as error:
        raise AppError(Code.INVALID, f"'{address}' is no address.", "For example: 203.0.113.7") from error
    return group(text)


def _is_nobodys(address: str) -> bool:
    """Whether no packet has it as its source: this network (RFC 1122), a group of receivers, or all of them."""
    found = ipaddress.ip_address(plain(_bare(address)))
    return found.is_multicast or found.is_unspecified or contains(NOBODYS, str(found))


def _seconds(length: str) -> int:
    written = re.fullmatch(r"([1-9][0-9]{0,8})([smhd])", length.strip())
    seconds = int(written[1]) * SECONDS[written[2]] if written else 0
    if not 0 < seconds <= LONGEST:
        raise AppError(Code.INVALID, f"'{length}' is no length of time.", "For example: 90s, 30m, 12h or 7d.")
    return seconds


def _document(ban: Ban) -> dict[str, object]:
    instants = {"since": _moment(ban.since), "until": _moment(ban.until)}
    return {"address": ban.address, "reason": ban.reason, "times": ban.times, **instants}


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
