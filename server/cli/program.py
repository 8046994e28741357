"""The program: its commands, and what a person sees when one fails."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, NoReturn

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from ingest.errors import IngestError
from keys.errors import KeysError
from server.cli.output import printable
from server.clock import now
from server.errors import AppError, Code
from server.loading import loading
from server.logs import trace
from server.settings import Settings

HELP = """dropslot: an SFTP server for courts that ingests what it receives.

A first start:  dropslot agency add | dropslot key add | dropslot profile add | dropslot serve"""


class Commands(TyperGroup):
    """All commands; what is wrong with a value is said in our words."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # typer's own kind
        """Read what was typed."""
        _refuse_empty(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # typer's own kind of context
        """Run the command that was typed."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = _said(error.message)
            raise


COMMANDS = MappingProxyType(
    {
        "serve": "serve:serve",
        "agency": "agency:app",
        "key": "key:app",
        "ban": "ban:app",
        "host-key": "host_key:app",
        "template": "template:app",
        "profile": "profile:app",
        "sync": "sync:app",
        "server": "servers:app",
        "arrival": "arrival:app",
        "upload": "upload:app",
        "record": "record:app",
        "export": "export:app",
        "report": "report:app",
        "sweep": "intake:sweep",
        "ingest": "intake:ingest",
        "doctor": "doctor:doctor",
        "demo": "demo:demo",
    }
)
"""Each command: its module here, and its name in there."""


def assemble(words: Sequence[str] = ()) -> typer.Typer:
    """The program for a command line: with the command that is typed, or to help and to suggest with all of them.

    To import all would take a tenth of a second more, for each command and each process of a server.
    """
    app = typer.Typer(
        cls=Commands, help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
    )
    app.callback()(begin)
    typed = _typed(words)
    with loading():
        for name in [typed] if typed else COMMANDS:
            module, _, own = COMMANDS[name].partition(":")
            part = getattr(import_module(f"server.cli.{module}"), own)
            app.add_typer(part, name=name) if isinstance(part, typer.Typer) else app.command(name)(part)
    return app


def _typed(words: Sequence[str]) -> str | None:
    """The first of the words, but for where the data is, if it is a command."""
    rest = iter(words)
    for word in rest:
        if word == "--data":
            next(rest, None)
        elif not word.startswith("--data="):
            return word if word in COMMANDS else None
    return None


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dropslot {version('dropslot')}")
        raise typer.Exit


def begin(
    context: typer.Context,
    data: Annotated[
        Path | None, typer.Option(help="Data directory.", show_default="$DROPSLOT_DATA or dropslot-data")
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_say_version)
    ] = False,
) -> None:
    """Read the settings; every command gets them."""
    context.obj = settings = Settings() if data is None else Settings(data=data)
    if not settings.data.name:
        raise AppError(
            Code.INVALID,
            "The data directory cannot be the root of all others.",
            "For example: --data /var/lib/dropslot",
        )


def main() -> NoReturn:
    """Run the command of `sys.argv`; exit status 0 done, 1 refused or failed, 2 wrong usage."""
    _provide_streams()
    try:
        _refuse_unreadable(sys.argv[1:])
        try:
            assemble(sys.argv[1:])()
        finally:
            sys.stdout.flush()
    except (AppError, IngestError, KeysError) as error:
        _fail(str(error))
    except ValidationError as error:
        _fail(
            "; ".join(f"setting {_name(fault)}: {_said(fault['msg'])}" for fault in error.errors()),
            status=2,
        )
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone, as `head` does
        sys.exit(1)
    except Exception as error:
        if isinstance(error, OSError) and _is_output_lost():
            _fail(f"The output cannot be written ({error.strerror}).")
        _fail(f"internal error ({type(error).__name__}). {_keep_traceback()}")
    sys.exit(0)


def _provide_streams() -> None:
    """Streams that whoever started us has closed lead nowhere. Else the next file that is opened would become one."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115  as long as we live


def _is_output_lost() -> bool:
    """Whether standard output takes nothing, not even a line end, since its disk is full, say."""
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _refuse_unreadable(words: Sequence[str]) -> None:
    """What is typed ends up in the database and in JSON, which hold text: names of files may be other bytes."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            shown = word.encode(errors="surrogateescape").decode(errors="replace")
            raise AppError(
                Code.INVALID, f"'{shown}' is not UTF-8 text.", "Write it in UTF-8; rename a file that has such a name."
            ) from error


def _refuse_empty(words: Sequence[str]) -> None:
    """A variable that a script did not set would mean all agencies, any network, whatever is there."""
    hint = "Give one, or leave it out. In a script: look whether its variable is set."
    for before, word in zip(["", *words], words, strict=False):
        option, equals, value = word.partition("=")
        if option.startswith("--") and equals and not value.strip():
            raise AppError(Code.INVALID, f"The value of {option} is empty.", hint)
        if not word.strip():
            what = f"The value of {before}" if before.startswith("-") and before != "-" else "An argument"
            raise AppError(Code.INVALID, f"{what} is empty.", hint)


def _data_directory() -> Path:
    """The --data of the command line, which may be what could not be read."""
    words = sys.argv[1:]
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == "--data" or word.startswith("--data="):
            return Path(following if word == "--data" else word.removeprefix("--data="))
    return Settings().data


def _name(fault: object) -> str:
    location = fault["loc"] if isinstance(fault, dict) else ()
    return "DROPSLOT_" + "_".join(map(str, location)).upper()


def _said(message: str) -> str:
    """What pydantic says of a setting or a value, without its own words."""
    said = message.removeprefix("Value error, ").replace("Input should be", "it must be")
    said = said.replace("greater than or equal to", "at least").replace("less than or equal to", "at most")
    return said.replace("a valid integer, unable to parse string as an integer", "a whole number")


def _fail(sentence: str, status: int = 1) -> NoReturn:
    shown = "\n".join(map(printable, sentence.split("\n")))
    sys.stderr.write(f"dropslot: {shown}\n")
    sys.exit(status)


def _keep_traceback() -> str:
    """Traces are for us, not for whoever typed the command."""
    place = _data_directory() / "logs" / "errors.log"
    error = sys.exc_info()[1]
    try:
        with place.open("a") as file:
            file.write(f"{now().isoformat()} {trace(error) if error else ''}\n")
    except OSError:
        return "This is a bug in dropslot; please report what you typed."
    return f"This is a bug in dropslot; please report it with the end of {place}."
