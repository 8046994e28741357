"""PuTTY's key files: PuTTYgen reads what we write, and finds the same key in it."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keys.errors import KeysError
from keys.secret import Secret
from keys.sshkey import KINDS, generate, parse_public
from keys.sshkey.ppk import write_ppk
from tests.keys.programs import need, puttygen, run, ssh_keygen

PASSPHRASE = "open sesame"


def saved(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def converted(ppk: Path, *options: str | Path) -> Path:
    """The same pair in OpenSSH's format, made by PuTTYgen."""
    out = ppk.with_suffix(".openssh")
    puttygen(ppk, *options, "-O", "private-openssh", "-o", out)
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_puttygen_finds_the_same_pair_in_a_plain_file(tmp_path: Path, kind: str) -> None:
    private, public = generate(kind, "made for gwinnett", form="ppk")
    ppk = saved(tmp_path / "pair.ppk", private.reveal())
    assert puttygen("-L", ppk).strip() == public.openssh()
    # ssh-keygen derives the public half from the private numbers alone
    assert parse_public(ssh_keygen("-y", "-f", converted(ppk))).fingerprint == public.fingerprint


@pytest.mark.parametrize("kind", KINDS)
def test_puttygen_opens_a_locked_file_with_its_passphrase_only(tmp_path: Path, kind: str) -> None:
    private, public = generate(kind, "locked", Secret(PASSPHRASE.encode()), form="ppk")
    ppk = saved(tmp_path / "pair.ppk", private.reveal())
    right, empty = saved(tmp_path / "right", PASSPHRASE.encode()), saved(tmp_path / "empty", b"")
    plain = converted(ppk, "--old-passphrase", right, "--new-passphrase", empty)
    assert parse_public(ssh_keygen("-y", "-f", plain)).fingerprint == public.fingerprint
    wrong = saved(tmp_path / "wrong", b"another")
    with pytest.raises(AssertionError, match="passphrase"):
        converted(ppk, "--old-passphrase", wrong, "--new-passphrase", empty)


@pytest.mark.parametrize("first_and_last", [(0, 0), (0xFF, 0x80)])
def test_numbers_with_zeros_at_their_ends_are_kept(tmp_path: Path, first_and_last: tuple[int, int]) -> None:
    seed = bytes([first_and_last[0], *range(1, 31), first_and_last[1]])
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = parse_public(private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))
    ppk = saved(tmp_path / "pair.ppk", write_ppk(private, public, "", None).reveal())
    assert parse_public(ssh_keygen("-y", "-f", converted(ppk))).fingerprint == public.fingerprint


def test_a_file_that_was_altered_is_refused_by_puttygen(tmp_path: Path) -> None:
    private, _ = generate("ed25519", "honest", form="ppk")
    altered = saved(tmp_path / "pair.ppk", private.reveal().replace(b"Comment: honest", b"Comment: forged"))
    need("puttygen", "putty-tools")
    with pytest.raises(AssertionError, match="MAC"):
        run("puttygen", altered, "-O", "private-openssh", "-o", tmp_path / "out")


def test_another_form_is_refused() -> None:
    with pytest.raises(KeysError, match="openssh, ppk"):
        generate(form="pem")
