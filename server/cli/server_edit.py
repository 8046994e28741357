"""`dropslot server add` and `edit`: what a server is like."""

from enum import StrEnum
from typing import Annotated

import typer

from server.agencies import find_agency
from server.cli.output import Json, print_one
from server.cli.server_secrets import ask_secrets, read_secrets
from server.cli.server_words import document, hint_of_tls
from server.clock import now
from server.errors import AppError, Code
from server.remotes import store
from server.remotes.server import MANAGED_ID, Kind, SecretField, Server
from server.remotes.wish import ServerWish, change_server, make_server
from server.state import State, open_installation, open_state
from server.sync.places import resume


class Style(StrEnum):
    """Where the bucket's name stands in a request."""

    PATH = "path"
    VIRTUAL = "virtual"


Name = Annotated[str, typer.Argument(help="The server's name.")]
Host = Annotated[
    str | None,
    typer.Option(
        help="Name or address; of a bucket: its endpoint, such as s3.us-gov-west-1.amazonaws.com.",
        rich_help_panel="Address",
    ),
]
Port = Annotated[
    int | None, typer.Option(help="22 for SFTP, 443 for a bucket unless given.", rich_help_panel="Address")
]
Timeout = Annotated[
    float | None,
    typer.Option(
        help="Seconds for connecting, and for each silent stretch; 10 unless given.", rich_help_panel="Address"
    ),
]
Directory = Annotated[
    str | None,
    typer.Option(
        help="Directory below which all directories of profiles are; unless given: where a login lands, or /.",
        rich_help_panel="Address",
    ),
]
Username = Annotated[
    str | None, typer.Option(help="Login on the remote server; case matters.", rich_help_panel="Type sftp")
]
PasswordFile = Annotated[
    str | None,
    typer.Option(help="File whose first line is the password; - is standard input.", rich_help_panel="Type sftp"),
]
PrivateKey = Annotated[
    str | None, typer.Option(help="File of the private key (OpenSSH or PEM).", rich_help_panel="Type sftp")
]
PassphraseFile = Annotated[
    str | None,
    typer.Option(help="File whose first line is the private key's passphrase.", rich_help_panel="Type sftp"),
]
Bucket = Annotated[str | None, typer.Option(help="Its name.", rich_help_panel="Type s3")]
Region = Annotated[
    str | None, typer.Option(help="Such as us-gov-west-1; unless given: what the host says.", rich_help_panel="Type s3")
]
AccessKeyFile = Annotated[
    str | None, typer.Option(help="File whose first line is the access key.", rich_help_panel="Type s3")
]
SecretKeyFile = Annotated[
    str | None, typer.Option(help="File whose first line is the secret key.", rich_help_panel="Type s3")
]
StyleOption = Annotated[
    Style | None,
    typer.Option(
        "--style",
        help="Bucket in the path, or in the host's name; unless given: virtual for Amazon, path for others.",
        rich_help_panel="Type s3",
    ),
]
PlainHttp = Annotated[
    bool | None,
    typer.Option("--plain-http/--https", help="Without TLS, where the network is safe.", rich_help_panel="Type s3"),
]


def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A name for the server.")],
    kind: Annotated[Kind, typer.Option("--type", help="Our own endpoint, a remote SFTP server, or a bucket.")],
    agency: Annotated[
        str | None, typer.Option(help="Only this agency's profiles may use it.", show_default="all agencies")
    ] = None,
    host: Host = None,
    port: Port = None,
    timeout: Timeout = None,
    directory: Directory = None,
    username: Username = None,
    password_file: PasswordFile = None,
    private_key: PrivateKey = None,
    passphrase_file: PassphraseFile = None,
    bucket: Bucket = None,
    region: Region = None,
    access_key_file: AccessKeyFile = None,
    secret_key_file: SecretKeyFile = None,
    style: StyleOption = None,
    plain_http: PlainHttp = None,
    as_json: Json = False,
) -> None:
    """Add a server: our own endpoint (managed), a remote SFTP server (sftp) or a bucket (s3).

    Secrets are read from files, from standard input, or asked for. They are sealed, and never shown.
    """
    files = _files(password_file, private_key, passphrase_file, access_key_file, secret_key_file)
    secrets = ask_secrets(kind, read_secrets(files))
    virtual = None if style is None else style is Style.PATH
    wish = ServerWish(host, port, timeout, username, directory, bucket, region, virtual, plain_http, secrets)
    with open_state(context.obj) as state:
        state.cipher()  # it may have to be fetched from far away: not while others are kept out
        with state.database.writing() as conn:
            owner = find_agency(conn, agency).id if agency else None
            server = store.add_server(conn, make_server(name, kind, owner, wish, state.cipher()))
            told = document(conn, server)
    sentence = f"Server {name} is there. Next: dropslot server test {name}"
    print_one(told, as_json, "\n".join(filter(None, (sentence, hint_of_tls(server)))))


def edit(
    context: typer.Context,
    name: Name,
    host: Host = None,
    port: Port = None,
    timeout: Timeout = None,
    directory: Directory = None,
    username: Username = None,
    password_file: PasswordFile = None,
    private_key: PrivateKey = None,
    passphrase_file: PassphraseFile = None,
    bucket: Bucket = None,
    region: Region = None,
    access_key_file: AccessKeyFile = None,
    secret_key_file: SecretKeyFile = None,
    style: StyleOption = None,
    plain_http: PlainHttp = None,
    as_json: Json = False,
) -> None:
    """Change a server; what is not named stays. At another host or port, its host key must be confirmed anew.

    A server that failed, or was parked, is tried again at once.
    """
    files = _files(password_file, private_key, passphrase_file, access_key_file, secret_key_file)
    path_style = None if style is None else style is Style.PATH
    wish = ServerWish(
        host, port, timeout, username, directory, bucket, region, path_style, plain_http, read_secrets(files)
    )
    if wish.is_empty:
        raise AppError(Code.INVALID, "What shall change?", "See: dropslot server edit --help")
    with open_installation(context.obj) as state:
        told = _change(state, name, wish)
    print_one(told, as_json, f"Server {name} is changed. Next: dropslot server test {name}")


def _change(state: State, name: str, wish: ServerWish) -> dict[str, object]:
    state.cipher()  # see `add`
    with state.database.writing() as conn:
        found = store.find_server(conn, name)
        refuse_default(found)
        resume(conn, found.id, now())
        return document(conn, store.update_server(conn, change_server(found, wish, state.cipher())))


def refuse_default(server: Server) -> None:
    """Raises `AppError` denied for the server that is there for everyone."""
    if server.id == MANAGED_ID:
        raise AppError(
            Code.DENIED,
            "The server 'managed' is there for everyone and stays as it is.",
            "Add another one: dropslot server add NAME --type sftp (or s3)",
        )


def _files(
    password: str | None, private_key: str | None, passphrase: str | None, access: str | None, secret: str | None
) -> dict[SecretField, str | None]:
    """In the order in which they are read from standard input: what takes all of it comes last."""
    return {
        SecretField.PASSWORD: password,
        SecretField.PASSPHRASE: passphrase,
        SecretField.ACCESS_KEY: access,
        SecretField.SECRET_KEY: secret,
        SecretField.PRIVATE_KEY: private_key,
    }
