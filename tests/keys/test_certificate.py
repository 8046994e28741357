"""Certificates that ssh-keygen signs, and which of them are good for whom."""

import base64
import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keys.errors import KeysError
from keys.sshkey import Certificate, check_certificate, parse_public, read_certificate
from tests.keys.programs import ssh_keygen

NOW = datetime.now(UTC)
HERE = "192.0.2.7"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority `ca_ed25519`, another one `ca_rsa`, and the pairs `ed25519`, `ecdsa` and `rsa`."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("ca_ed25519", "ca_rsa", "ed25519", "ecdsa", "rsa"):
        ssh_keygen("-q", "-t", name.removeprefix("ca_"), "-N", "", "-f", folder / name)
    return folder


def blob(file: Path) -> bytes:
    return base64.b64decode(file.read_text().split()[1])


def sign(folder: Path, *options: str, pair: str = "ed25519", ca: str = "ca_ed25519") -> Certificate:
    """A certificate for `gwinnett`, unless the options say otherwise."""
    given = options if {"-n", "--"} & set(options) else ("-n", "gwinnett", *options)
    words = [word for word in given if word != "--"]
    ssh_keygen("-q", "-s", folder / ca, "-I", "the clerk's laptop", *words, folder / f"{pair}.pub")
    return read_certificate(blob(folder / f"{pair}-cert.pub"))


@pytest.mark.parametrize("pair", ["ed25519", "ecdsa", "rsa"])
def test_what_ssh_keygen_signs_is_read(folder: Path, pair: str) -> None:
    read = sign(folder, "-n", "gwinnett,fulton", "-z", str(2**64 - 1), "-V", "always:forever", pair=pair)
    assert read.key == parse_public(blob_line(folder / f"{pair}.pub"))
    assert read.authority.fingerprint == parse_public((folder / "ca_ed25519.pub").read_text()).fingerprint
    assert (read.serial, read.key_id, read.principals) == (2**64 - 1, "the clerk's laptop", ("gwinnett", "fulton"))
    assert read.expires_at is None
    check_certificate(read, "gwinnett", HERE, NOW)
    check_certificate(read, "fulton", HERE, NOW)


def blob_line(file: Path) -> str:
    return " ".join(file.read_text().split()[:2])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["-n", "fulton"], "other user names"),
        (["--"], "names no principal"),
        (["-h"], "host's certificate"),
        (["-V", "+1d:+2d"], "not valid yet"),
        (["-V", "-2d:-1d"], "has expired"),
        (["-O", "force-command=internal-sftp"], "force-command"),
        (["-O", "critical:colour@example.com=blue"], "colour@example.com"),
        (["-O", "verify-required"], "verify-required"),
        (["-O", "source-address=198.51.100.0/24"], "from this address"),
    ],
)
def test_a_certificate_that_is_not_good_here_is_refused_with_the_reason(
    folder: Path, options: list[str], reason: str
) -> None:
    with pytest.raises(KeysError, match=reason) as caught:
        check_certificate(sign(folder, *options), "gwinnett", HERE, NOW)
    assert caught.value.code == "denied"


@pytest.mark.parametrize(
    "options",
    [
        ["-V", "-1d:+1d"],
        ["-O", "source-address=198.51.100.0/24,192.0.2.0/24"],
        ["-O", "no-port-forwarding"],
        ["-O", "clear"],
        ["-O", "extension:colour@example.com=blue"],
    ],
)
def test_a_certificate_that_is_good_here_is_let_in(folder: Path, options: list[str]) -> None:
    check_certificate(sign(folder, *options), "gwinnett", HERE, NOW)


@pytest.mark.parametrize(("signature", "good"), [("rsa-sha2-256", True), ("rsa-sha2-512", True), ("ssh-rsa", False)])
def test_an_authority_must_not_sign_with_sha1(folder: Path, signature: str, good: bool) -> None:
    read = sign(folder, "-t", signature, ca="ca_rsa")
    assert read.signature == signature
    if good:
        check_certificate(read, "gwinnett", HERE, NOW)
    else:
        with pytest.raises(KeysError, match="signed it with ssh-rsa"):
            check_certificate(read, "gwinnett", HERE, NOW)


def test_the_end_of_a_certificate_is_exact(folder: Path) -> None:
    read = sign(folder, "-V", "-1d:+1d")
    assert read.expires_at is not None
    check_certificate(read, "gwinnett", HERE, read.expires_at - timedelta(seconds=1))
    with pytest.raises(KeysError, match="has expired"):
        check_certificate(read, "gwinnett", HERE, read.expires_at)


def test_a_certificate_that_is_cut_or_lengthened_is_refused(folder: Path) -> None:
    sign(folder)
    whole = blob(folder / "ed25519-cert.pub")
    read_certificate(whole)
    for length in range(len(whole)):
        with pytest.raises(KeysError):
            read_certificate(whole[:length])
    with pytest.raises(KeysError, match="too many"):
        read_certificate(whole + b"\0")
    with pytest.raises(KeysError, match="no OpenSSH certificate"):
        read_certificate(blob(folder / "ed25519.pub"))


def test_a_certificate_of_a_weak_key_is_refused(folder: Path) -> None:
    ssh_keygen("-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", folder / "weak")
    with pytest.raises(KeysError, match="weak"):
        sign(folder, pair="weak")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 2000), byte=st.integers(0, 255), cut=st.integers(0, 4), junk=st.binary(max_size=8))
def test_whatever_was_done_to_a_certificate_it_is_read_or_refused(
    folder: Path, place: int, byte: int, cut: int, junk: bytes
) -> None:
    if not (folder / "ed25519-cert.pub").exists():
        sign(folder, "-O", "source-address=192.0.2.0/24")
    data = bytearray(blob(folder / "ed25519-cert.pub"))
    place %= len(data)
    data[place : place + cut] = bytes([byte]) + junk
    with contextlib.suppress(KeysError):
        check_certificate(read_certificate(bytes(data)), "gwinnett", HERE, NOW)
