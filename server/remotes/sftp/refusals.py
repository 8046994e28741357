"""What goes wrong with a remote SFTP server, in sentences a person can act on; never with a secret in them."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import asyncssh

from server.errors import AppError, Code
from server.remotes.places import missing
from server.remotes.server import SecretField, Server

LONGEST_REASON = 120  # characters of what the other side said


def place_name(server: Server) -> str:
    """Where it is, for people."""
    host = f"[{server.host}]" if ":" in (server.host or "") else server.host
    return f"{host} port {server.port}"


@contextmanager
def translated(server: Server, path: str) -> Iterator[None]:
    """Turn what asyncssh and the network say while `path` is used into `AppError`."""
    try:
        yield
    except TimeoutError:
        raise silent(server) from None
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
        raise missing(path) from None
    except asyncssh.SFTPPermissionDenied:
        raise AppError(
            Code.DENIED,
            f"The server {server.name} does not let {server.username} use {path} like this.",
            "Ask its administrator for the right to list, read, write and delete there, as far as it is needed.",
        ) from None
    except (asyncssh.SFTPNoConnection, asyncssh.SFTPConnectionLost, asyncssh.ConnectionLost, ConnectionError):
        raise cut_off(server) from None
    except asyncssh.SFTPError as error:
        # One file is locked there, or one folder's quota is used up: the server itself goes on.
        raise AppError(
            Code.INVALID,
            f"The server {server.name} could not do what it was asked for with {path}{said(error.reason)}.",
            "Perhaps another program holds it open there, or its space is used up; it is tried again.",
        ) from None
    except (asyncssh.Error, EOFError):
        raise cut_off(server) from None


def refused_connection(server: Server, error: Exception) -> AppError:
    """Why there is no connection, or no login."""
    where = place_name(server)
    match error:
        case TimeoutError():
            return AppError(
                Code.UNAVAILABLE,
                f"{where} did not answer within {server.timeout:g} s.",
                "Check host and port, and that its firewall lets this machine in; a slow one needs a longer --timeout.",
            )
        case socket.gaierror():
            return AppError(
                Code.UNAVAILABLE, f"There is no address for the host {server.host}.", "Check its name, and the DNS."
            )
        case asyncssh.PermissionDenied():
            return _refused_login(server)
        case asyncssh.KeyExchangeFailed():
            return AppError(
                Code.INVALID,
                f"{where} and dropslot have no SSH algorithm in common.",
                "The server is too old, or its policy too narrow; ask its administrator to allow a current one.",
            )
        case asyncssh.ProtocolError() | asyncssh.ProtocolNotSupported():
            return AppError(
                Code.INVALID, f"What answers at {where} does not speak SSH as it should.", "Check host and port."
            )
        case asyncssh.ChannelOpenError() | asyncssh.SFTPError():
            return AppError(
                Code.INVALID, f"{where} lets us log in, but has no SFTP.", "Ask its administrator to switch SFTP on."
            )
        case OSError():
            return _refused_network(server, error)
    return cut_off(server)


def silent(server: Server) -> AppError:
    """The refusal of a server that says nothing any more."""
    return AppError(
        Code.UNAVAILABLE,
        f"The server {server.name} fell silent for more than {server.timeout:g} s.",
        "It is tried again; a slow one needs a longer --timeout.",
    )


def cut_off(server: Server) -> AppError:
    """The refusal of a server that hung up."""
    return AppError(
        Code.UNAVAILABLE,
        f"The connection to the server {server.name} ({place_name(server)}) was cut off.",
        "It is tried again. If it happens each time, look at that server's log, and at its firewall.",
    )


def said(reason: str) -> str:
    """What the other side gave as a reason, made harmless; empty if it gave none."""
    text = "".join(character for character in reason if character.isprintable())[:LONGEST_REASON].strip(" .")
    return f" (it says: {text})" if text else ""


def _refused_login(server: Server) -> AppError:
    if SecretField.PRIVATE_KEY in server.sealed:
        hint = "Check that its public half is among that user's keys there, and how the user is spelt (case matters)."
        return AppError(Code.DENIED, f"{place_name(server)} refused the key of {server.username}.", hint)
    hint = "Check user (case matters) and password; some servers take keys only."
    return AppError(Code.DENIED, f"{place_name(server)} refused the password of {server.username}.", hint)


def _refused_network(server: Server, error: OSError) -> AppError:
    if error.errno == errno.ECONNREFUSED or isinstance(error, ConnectionRefusedError):
        return AppError(
            Code.UNAVAILABLE,
            f"{place_name(server)} refused the connection.",
            "Check the port, that the server runs, and that its firewall lets this machine in.",
        )
    if isinstance(error, ConnectionError):
        return cut_off(server)
    why = (error.strerror or "no way to it").lower()
    return AppError(
        Code.UNAVAILABLE, f"{place_name(server)} cannot be reached ({why}).", "Check host, port and network."
    )
