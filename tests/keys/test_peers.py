"""The same keys in the hands of OpenSSH and PuTTY: both read what we write, we read what they write."""

from pathlib import Path

import pytest

from keys.errors import KeysError
from keys.secret import Secret
from keys.sshkey import KINDS, generate, parse_public
from tests.keys.programs import bits, fingerprint, puttygen, ssh_keygen

PASSPHRASE = "open sesame"
OPENSSH_KINDS = [
    ("ed25519", 256),
    ("ecdsa", 256),
    ("ecdsa", 384),
    ("ecdsa", 521),
    ("rsa", 2048),
    ("rsa", 4096),
]


def saved(path: Path, private: Secret) -> Path:
    path.write_bytes(private.reveal())
    path.chmod(0o600)
    return path


@pytest.fixture(params=OPENSSH_KINDS, ids=lambda kind: f"{kind[0]}-{kind[1]}")
def public_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    kind, size = request.param
    ssh_keygen("-q", "-t", kind, "-b", str(size), "-N", "", "-C", "a clerk's key", "-f", tmp_path / "pair")
    return tmp_path / "pair.pub"


def test_openssh_lines_are_read_as_openssh_reads_them(public_file: Path) -> None:
    key = parse_public(public_file.read_bytes())
    assert key.fingerprint == fingerprint(public_file)
    assert key.bits == bits(public_file)
    assert key.comment == "a clerk's key"
    assert key.openssh() == public_file.read_text().strip()


def test_rfc4716_of_openssh_is_read(public_file: Path) -> None:
    exported = ssh_keygen("-e", "-m", "RFC4716", "-f", public_file)
    assert parse_public(exported).fingerprint == fingerprint(public_file)
    assert "converted by" in parse_public(exported).comment


@pytest.mark.parametrize("form", ["PKCS8", "PEM"])
def test_pem_is_refused_with_the_command_that_converts_it(tmp_path: Path, form: str) -> None:
    ssh_keygen("-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", tmp_path / "pair")
    exported = ssh_keygen("-e", "-m", form, "-f", tmp_path / "pair.pub")
    with pytest.raises(KeysError, match=f"ssh-keygen -i -m {form} -f FILE"):
        parse_public(exported)
    (tmp_path / "exported").write_text(exported)
    converted = ssh_keygen("-i", "-m", form, "-f", tmp_path / "exported")
    assert parse_public(converted).fingerprint == fingerprint(tmp_path / "pair.pub")


@pytest.mark.parametrize(("kind", "size"), [("ed25519", 255), ("ecdsa", 384), ("rsa", 2048)])
def test_what_puttygen_saves_is_read_and_its_private_file_refused(tmp_path: Path, kind: str, size: int) -> None:
    ppk, empty = tmp_path / "pair.ppk", tmp_path / "empty"
    empty.write_text("")
    puttygen("-q", "-t", kind, "-b", str(size), "-C", "putty", "--new-passphrase", empty, "-o", ppk)
    rfc4716 = puttygen("-p", ppk)  # what the button "Save public key" writes
    one_line = puttygen("-L", ppk)  # what the box "for pasting" shows
    assert parse_public(rfc4716) == parse_public(one_line)
    assert parse_public(rfc4716).comment == "putty"
    assert parse_public(rfc4716).fingerprint in puttygen("-l", ppk)
    with pytest.raises(KeysError, match="PRIVATE key"):
        parse_public(ppk.read_bytes())


@pytest.mark.parametrize("kind", KINDS)
def test_openssh_reads_the_pairs_we_make(tmp_path: Path, kind: str) -> None:
    private, public = generate(kind, "made here")
    path = saved(tmp_path / "pair", private)
    assert parse_public(ssh_keygen("-y", "-f", path)).fingerprint == public.fingerprint
    line = tmp_path / "pair.pub"
    line.write_text(public.openssh() + "\n")
    assert fingerprint(line) == public.fingerprint
    assert bits(line) == public.bits
    assert "made here" in ssh_keygen("-lf", line)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa-nistp256"])
def test_a_passphrase_locks_the_private_half(tmp_path: Path, kind: str) -> None:
    private, public = generate(kind, passphrase=Secret(PASSPHRASE.encode()))
    path = saved(tmp_path / "pair", private)
    assert parse_public(ssh_keygen("-y", "-P", PASSPHRASE, "-f", path)).fingerprint == public.fingerprint
    with pytest.raises(AssertionError, match="passphrase"):
        ssh_keygen("-y", "-P", "wrong", "-f", path)


def test_an_empty_passphrase_is_refused() -> None:
    with pytest.raises(KeysError, match="empty"):
        generate(passphrase=Secret(b""))


def test_puttygen_reads_the_pairs_we_make(tmp_path: Path) -> None:
    private, public = generate()
    assert public.fingerprint in puttygen("-l", saved(tmp_path / "pair", private))
