"""Where a bucket is, and what goes wrong with one, in sentences a person can act on.

The codes are those of the S3 API (Amazon Simple Storage Service API Reference, "Error responses"); all that speak its
protocol use them.
"""

import re

from server.errors import AppError, Code
from server.remotes.places import changed, missing
from server.remotes.server import Server

LONGEST_KEY = 120  # characters of one that are shown
_CODE = re.compile(r"<Code>(\w{1,64})</Code>|(?<!status )\bcode: \"?([A-Za-z]\w{1,63})")
_STATUS = re.compile(r"status code: (\d{3})")
_ODD_KEY = re.compile(r'invalid path: (?:Error parsing )?Path "(.{0,1024}?)"[: ]', re.DOTALL)
_TLS = re.compile(r"certificate|UnknownIssuer|handshake|InvalidContentType|TLS", re.IGNORECASE)


def endpoint_of(server: Server) -> str:
    """The address requests go to; with the bucket in the host's name unless the server wants path style."""
    scheme, usual = ("http", 80) if server.plain_http else ("https", 443)
    host = f"[{server.host}]" if ":" in (server.host or "") else server.host
    port = "" if server.port in (None, usual) else f":{server.port}"
    return f"{scheme}://{host}{port}" if server.path_style else f"{scheme}://{server.bucket}.{host}{port}"


def refusal(server: Server, path: str, error: Exception, one_key: bool) -> AppError:
    """Why the bucket did not do what was asked. What it said is read for its code only, and never shown.

    With `one_key` an odd answer concerns that key alone, and does not mean that the server is away.
    """
    text = str(error)
    found = _CODE.search(text)
    code = (found[1] or found[2]) if found else ""
    status = int(match[1]) if (match := _STATUS.search(text)) else 0
    if known := _of_code(server, path, code):
        return known
    if odd := _ODD_KEY.search(text):
        return _odd_key(server, odd[1])
    if status == 412 or type(error).__name__ == "PreconditionError":
        return changed(path)
    if status == 404 or isinstance(error, FileNotFoundError):
        return missing(path)
    if status in (401, 403):
        return _denied(server, path)
    if status in (301, 307, 400):
        return _elsewhere(server)
    if status:
        return AppError(
            Code.INVALID if one_key else Code.UNAVAILABLE,
            f"{_where(server)} answered with status {status} when asked for {path}.",
            "It is tried again; look at its log.",
        )
    return _unreachable(server, text)


def _of_code(server: Server, path: str, code: str) -> AppError | None:
    edit = f"dropslot server edit {server.name}"
    match code:
        case "InvalidAccessKeyId":
            hint = f"Check it, then: {edit} --access-key-file FILE"
            return AppError(Code.DENIED, f"{_where(server)} does not know the access key.", hint)
        case "SignatureDoesNotMatch":
            hint = f"Check the secret key, then: {edit} --secret-key-file FILE"
            return AppError(Code.DENIED, f"{_where(server)} says that the secret key is wrong.", hint)
        case "RequestTimeTooSkewed":
            hint = "Set this machine's clock (timedatectl shows whether it is synchronised)."
            return AppError(Code.DENIED, f"{_where(server)} refuses us because the clocks differ too much.", hint)
        case "NoSuchBucket":
            hint = f"Create it, or correct its name: {edit} --bucket NAME"
            return AppError(Code.NOT_FOUND, f"There is no bucket {server.bucket} at {server.host}.", hint)
        case "NoSuchKey":
            return missing(path)
        case "AccessDenied" | "AllAccessDisabled" | "AccountProblem":
            return _denied(server, path)
        case "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException":
            return _elsewhere(server)
        case "PreconditionFailed":
            return changed(path)
    return None


class OddKeyError(AppError):
    """A key keeps the library from listing those around it."""


def show_key(key: str) -> str:
    """A key as it may be shown."""
    return "".join(character if character.isprintable() else "?" for character in key)[:LONGEST_KEY]


def _odd_key(server: Server, key: str) -> OddKeyError:
    return OddKeyError(
        Code.INVALID,
        f"{_where(server)} has a key that cannot be listed: {show_key(key)}",
        "Delete or rename it: a key with '//', '.' or '..' as a folder, or a control character, hides all others.",
    )


def _denied(server: Server, path: str) -> AppError:
    return AppError(
        Code.DENIED,
        f"{_where(server)} does not let these keys use {path} like this.",
        "They need s3:ListBucket, s3:GetObject and s3:PutObject, and s3:DeleteObject where files are to be deleted.",
    )


def _elsewhere(server: Server) -> AppError:
    return AppError(
        Code.INVALID,
        f"{_where(server)} says that the request was made in a wrong way for this bucket.",
        f"Check region ({server.region}) and host; a server that is not Amazon's may want path style: "
        f"dropslot server edit {server.name} --region REGION --style path",
    )


def _unreachable(server: Server, text: str) -> AppError:
    where = endpoint_of(server)
    if _TLS.search(text):
        return AppError(
            Code.UNAVAILABLE,
            f"{where} cannot be trusted, or does not speak TLS as it should.",
            "Check host and port; a certificate of a private authority must be known to this machine.",
        )
    if "dns error" in text:
        return AppError(Code.UNAVAILABLE, f"There is no address for {where}.", "Check the host's name, and the DNS.")
    return AppError(
        Code.UNAVAILABLE,
        f"{where} cannot be reached, or did not answer within {server.timeout:g} s.",
        "Check host, port and network; it is tried again.",
    )


def _where(server: Server) -> str:
    return f"{server.host} (bucket {server.bucket})"
