"""An operator tells dropslot of an SFTP server and of a bucket, tests them, and is warned when one changes."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import S3Store

from tests import peers
from tests.acceptance.court import Court, Dropslot, need, wait_for


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[peers.Sshd]:
    with peers.sshd(tmp_path_factory.mktemp("sshd") / "peer") as peer:
        yield peer


def fingerprint_of(dropslot: Dropslot, name: str, which: str = "shown_fingerprint") -> str:
    return str(dropslot.json("server", "show", name)[which])


def add_sshd(dropslot: Dropslot, peer: peers.Sshd, name: str = "county", *more: str | Path) -> None:
    where = ("--host", peer.host, "--port", str(peer.port), "--username", peer.user, "--directory", str(peer.root))
    dropslot.run("server", "add", name, "--type", "sftp", *where, "--private-key", peer.key, *more)


def scanned(port: int) -> list[str]:
    done = subprocess.run(
        [need("ssh-keyscan"), "-p", str(port), "127.0.0.1"], capture_output=True, text=True, timeout=30
    )
    return [line.split()[-1] for line in done.stdout.splitlines()]


def refused(dropslot: Dropslot, *command: str | Path) -> str:
    done = dropslot.run(*command, check=False)
    assert done.returncode == 1, done.stdout
    return done.stderr


def test_a_host_key_is_shown_confirmed_and_watched(dropslot: Dropslot, sshd: peers.Sshd) -> None:
    (sshd.root / "cases.csv").write_bytes(b"a,b\n1,2\n")
    add_sshd(dropslot, sshd)
    unseen = dropslot.run("doctor", check=False).stdout
    assert "MEND  server county: Nobody has confirmed the host key" in unseen

    said = refused(dropslot, "server", "test", "county")
    shown = fingerprint_of(dropslot, "county")
    assert f"dropslot server trust county {shown}" in said
    assert "nobody has confirmed" in said
    assert "another host key" in refused(dropslot, "server", "trust", "county", "SHA256:" + "A" * 43)

    dropslot.run("server", "trust", "county", shown)
    tried = dropslot.run("server", "test", "county", "--write").stdout
    assert "has 1 file, 8 bytes" in tried
    assert [f"may {right}" in tried for right in ("list", "read", "write", "delete")] == [True] * 4
    assert [file.name for file in sshd.root.iterdir()] == ["cases.csv"]
    assert f"ok    server county: its host key {shown} is trusted" in dropslot.run("doctor", check=False).stdout


def test_a_changed_host_key_is_an_alarm_until_a_person_trusts_the_new_one(
    dropslot: Dropslot, sshd: peers.Sshd, tmp_path: Path
) -> None:
    with peers.sshd(tmp_path / "changing") as peer:
        add_sshd(dropslot, peer)
        refused(dropslot, "server", "test", "county")
        old = fingerprint_of(dropslot, "county")
        dropslot.run("server", "trust", "county", old)
    peer.change_host_key("ecdsa")  # of another kind, too: the old kind is not offered any more
    with peer.started():
        said = refused(dropslot, "server", "test", "county")
        new = fingerprint_of(dropslot, "county")
        assert new != old
        for part in ("HOST KEY CHANGED", old, new, "Somebody may stand between"):
            assert part in said
        assert "MEND  server county: HOST KEY CHANGED" in dropslot.run("doctor", check=False).stdout
        assert "HOST KEY CHANGED" in dropslot.run("server", "list").stdout
        dropslot.run("server", "trust", "county", new)
        assert "may list" in dropslot.run("server", "test", "county").stdout
    assert dropslot.json("server", "show", "county")["host_key"] == "trusted"


def test_a_fingerprint_that_is_known_beforehand_is_trusted_in_one_step(dropslot: Dropslot, sshd: peers.Sshd) -> None:
    add_sshd(dropslot, sshd, "first")
    refused(dropslot, "server", "test", "first")
    add_sshd(dropslot, sshd, "second")
    dropslot.run("server", "trust", "second", fingerprint_of(dropslot, "first"))
    assert dropslot.json("server", "test", "second")["good"]


def test_no_secret_is_shown_or_kept_in_the_clear(dropslot: Dropslot, sshd: peers.Sshd, tmp_path: Path) -> None:
    lines = {"password": b"correct horse battery", "passphrase": b"staple-of-the-court"}
    files = {name: tmp_path / name for name in (*lines, "access", "secret")}
    contents = {**lines, "access": b"AKIAEXAMPLEEXAMPLE", "secret": b"wJalrXUtnFEMI/K7MDENG/bPx"}
    for name, content in contents.items():
        files[name].write_bytes(content + b"\n")
    locked = tmp_path / "locked"
    peers.make_key(locked, passphrase=lines["passphrase"].decode())
    where = ("--host", "sftp.example.gov", "--username", "court")
    said = [
        dropslot.run("server", "add", "one", "--type", "sftp", *where, "--password-file", files["password"]),
        dropslot.run(
            *("server", "add", "two", "--type", "sftp", *where),
            *("--private-key", locked, "--passphrase-file", files["passphrase"], "--json"),
        ),
        dropslot.run(
            *("server", "add", "three", "--type", "s3", "--host", "s3.us-gov-east-1.amazonaws.com", "--bucket", "b-1"),
            *("--access-key-file", files["access"], "--secret-key-file", files["secret"]),
        ),
        *(
            dropslot.run("server", "show", name, *flag)
            for name in ("one", "two", "three")
            for flag in ((), ("--json",))
        ),
        dropslot.run("server", "list", "--json"),
        dropslot.run("server", "test", "three", check=False),
        dropslot.run("server", "edit", "one", "--password-file", "-", stdin=b"another secret word\n"),
        dropslot.run("server", "remove", "two"),
    ]
    told = "".join(done.stdout + done.stderr for done in said)
    private = locked.read_bytes().splitlines()[2]
    for secret in (*contents.values(), private, b"another secret word"):
        assert secret.decode() not in told
        for file in (path for path in dropslot.data.rglob("*") if path.is_file()):
            assert secret not in file.read_bytes(), file
    shown = dropslot.json("server", "show", "three")
    assert (shown["region"], shown["style"], shown["secret_key"]) == ("us-gov-east-1", "virtual", True)


S3_FILES = ("--access-key-file", "P", "--secret-key-file", "P")
WRONG: dict[str, tuple[list[str], str]] = {
    "no secret": (["--type", "sftp", "--host", "h", "--username", "u"], "--password-file"),
    "no user": (["--type", "sftp", "--host", "h", "--password-file", "P"], "--username"),
    "no host": (["--type", "sftp", "--username", "u", "--password-file", "P"], "is no host"),
    "bad host": (["--type", "sftp", "--host", "a b", "--username", "u", "--password-file", "P"], "is no host"),
    "bad port": (["--type", "sftp", "--host", "h:70000", "--username", "u", "--password-file", "P"], "no host"),
    "no key": (["--type", "sftp", "--host", "h", "--username", "u", "--private-key", "P"], "no private key"),
    "both": (
        ["--type", "sftp", "--host", "h", "--username", "u", "--password-file", "P", "--private-key", "K"],
        "not both",
    ),
    "other kind": (["--type", "sftp", "--host", "h", "--bucket", "b", "--password-file", "P"], "has no bucket"),
    "up": (["--type", "sftp", "--host", "h", "--username", "u", "--password-file", "P", "--directory", "../x"], "'..'"),
    "plain": (
        [*("--type", "s3", "--host", "http://s3.example.gov", "--bucket", "b-1"), *S3_FILES],
        "--plain-http",
    ),
    "no bucket": (["--type", "s3", "--host", "h", *S3_FILES], "--bucket"),
    "no file": (["--type", "sftp", "--host", "h", "--username", "u", "--password-file", "/none"], "cannot be read"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_right_is_refused_at_once(shared: Dropslot, tmp_path: Path, wrong: str) -> None:
    flags, sentence = WRONG[wrong]
    (tmp_path / "P").write_text("pass word\n")
    peers.make_key(tmp_path / "K")
    given = [str(tmp_path / flag) if flag in ("P", "K") else flag for flag in flags]
    assert sentence in refused(shared, "server", "add", "wrong", *given)
    assert "no server" in refused(shared, "server", "show", "wrong")


def test_the_default_server_is_there_and_stays(shared: Dropslot, court: Court) -> None:
    assert shared.json("server", "list")[0]["name"] == "managed"
    for command in (["remove", "managed"], ["edit", "managed", "--directory", "/x"]):
        assert "stays as it is" in refused(shared, "server", *command)
    (court.home / "download" / "a.csv").write_bytes(b"x")
    tried = shared.json("server", "test", "managed", "--agency", court.slug, "--directory", "/download", "--write")
    assert tried["good"]
    assert "a.csv" in [file["name"] for file in tried["newest"]]


@pytest.mark.parametrize("proof", ["key", "password"])
def test_our_own_endpoint_is_a_server_like_any_other(
    shared: Dropslot, court: Court, tmp_path: Path, proof: str
) -> None:
    court.push("cases.csv", b"x")
    word = tmp_path / "word"
    word.write_bytes(b"a long enough password 17\n")
    shared.run("agency", "password", court.slug, "--stdin", stdin=word.read_bytes())
    where = ("--host", "127.0.0.1", "--port", str(shared.port), "--username", court.slug)
    given = ("--private-key", court.key) if proof == "key" else ("--password-file", word)
    name = f"{court.slug}-{proof}"
    shared.run("server", "add", name, "--type", "sftp", *where, *given, "--agency", court.slug)
    assert shared.json("server", "trust", name, court.fingerprint())["agency"] == court.slug
    test = ("server", "test", name, "--directory", "/upload", "--write", "--json")
    # Each process at the door learns by itself that there is a password now.
    done = wait_for(lambda: (done := shared.run(*test, check=False)).returncode == 0 and done, "a login", 20)
    tried = json.loads(done.stdout)
    assert (tried["good"], tried["files"], tried["bytes"]) == (True, 1, 1)
    missing = ("server", "test", name, "--directory", "/none")
    wait_for(lambda: "no /none" in refused(shared, *missing), "a login at whichever process", 20)


def test_a_wrong_proof_is_told_apart(shared: Dropslot, court: Court, sshd: peers.Sshd, tmp_path: Path) -> None:
    other = tmp_path / "other"
    peers.make_key(other)
    (tmp_path / "word").write_text("not the password of anyone\n")
    flags = {"key": ("--private-key", other), "password": ("--password-file", tmp_path / "word")}
    for what, given in flags.items():
        name = f"{court.slug}-wrong-{what}"
        where = ("--host", sshd.host, "--port", str(sshd.port), "--username", sshd.user)
        shared.run("server", "add", name, "--type", "sftp", *where, *given)
        refused(shared, "server", "test", name)
        shared.run("server", "trust", name, fingerprint_of(shared, name))
        assert f"refused the {what} of {sshd.user}" in refused(shared, "server", "test", name)


@pytest.fixture(scope="module")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[peers.Bucket]:
    with peers.seaweedfs(tmp_path_factory.mktemp("weed")) as peer:
        yield peer


def add_bucket(
    dropslot: Dropslot, weed: peers.Bucket, folder: Path, name: str, keys: tuple[str, str], *more: str
) -> None:
    for file, text in zip(("access", "secret"), keys, strict=True):
        (folder / file).write_text(text + "\n")
    files = ("--access-key-file", folder / "access", "--secret-key-file", folder / "secret")
    where = ("--host", weed.endpoint, "--region", weed.region, "--bucket", weed.bucket)
    dropslot.run("server", "add", name, "--type", "s3", *where, *files, *more)


def test_a_bucket_is_tested_and_what_is_not_allowed_is_said(
    shared: Dropslot, court: Court, weed: peers.Bucket, tmp_path: Path
) -> None:
    access, secret = weed.keys["operator"]
    store = S3Store(
        weed.bucket,
        endpoint=weed.endpoint,
        access_key_id=access,
        secret_access_key=secret,
        region=weed.region,
        client_options={"allow_http": True},
    )
    obstore.put(store, "out/cases.csv", b"abc")
    slug = court.slug
    for name, keys in {
        "good": weed.keys["operator"],
        "reader": weed.keys["reader"],
        "stranger": ("AKNOBODY", "x"),
        "wrong": (access, "wrong"),
    }.items():
        add_bucket(shared, weed, tmp_path, f"{slug}-{name}", keys, "--directory", "out")
    good: dict[str, Any] = shared.json("server", "test", f"{slug}-good", "--write")
    assert (good["good"], good["files"], good["bytes"]) == (True, 1, 3)

    done = shared.run("server", "test", f"{slug}-reader", "--write", check=False)
    assert done.returncode == 1
    assert "may read" in done.stdout
    assert "MAY NOT write" in done.stdout
    assert "s3:PutObject" in done.stdout
    assert "does not know the access key" in refused(shared, "server", "test", f"{slug}-stranger")
    assert "the secret key is wrong" in refused(shared, "server", "test", f"{slug}-wrong")
    shared.run("server", "edit", f"{slug}-good", "--bucket", "no-such-bucket")
    assert "There is no bucket no-such-bucket" in refused(shared, "server", "test", f"{slug}-good")


def test_documents_are_whole(shared: Dropslot) -> None:
    document = json.loads(shared.run("server", "show", "managed", "--json").stdout)
    assert document["type"] == "managed"
    assert ("created_at" in document, all("/" in name for name in document["profiles"])) == (False, True)


def test_the_master_key_is_replaced_while_the_server_runs(shared: Dropslot, court: Court, sshd: peers.Sshd) -> None:
    name = f"{court.slug}-county"
    add_sshd(shared, sshd, name)
    refused(shared, "server", "test", name)
    shared.run("server", "trust", name, fingerprint_of(shared, name))
    said = shared.run("key", "rotate-master").stdout
    assert "3 host keys" in said
    assert f"ok    master key: {said.split()[4]} in" in shared.run("doctor", check=False).stdout
    assert shared.json("server", "test", name)["good"]
    court.push("a.csv", b"x")


def test_a_lost_master_key_is_told_by_doctor(dropslot: Dropslot) -> None:
    dropslot.begin()
    dropslot.run("host-key", "list")
    (dropslot.data / "keys" / "master.key").write_bytes(bytes(range(32)))
    said = dropslot.run("doctor", check=False).stdout
    assert "MEND  host key: This secret was sealed with another master key" in said
    assert "If it is lost for good: dropslot key replace-lost-master" in said


def test_a_server_goes_on_without_the_master_key_that_is_lost(dropslot: Dropslot, tmp_path: Path) -> None:
    dropslot.run("agency", "add", "court", "--name", "Court", "--timezone", "America/Phoenix")
    (tmp_path / "password").write_text("s3cret-word")
    where = ("--type", "sftp", "--host", "127.0.0.1", "--username", "u", "--password-file", tmp_path / "password")
    dropslot.run("server", "add", "county", *where)
    assert "opens all that is sealed" in refused(dropslot, "key", "replace-lost-master")
    dropslot.start()
    old = {row["fingerprint"] for row in dropslot.json("host-key", "list")}
    (dropslot.data / "keys" / "master.key").unlink()
    asked = dropslot.run("key", "replace-lost-master", stdin=b"n\n", check=False)
    assert "password of the server county" in asked.stdout
    assert all(fingerprint in asked.stdout for fingerprint in old)
    assert "Add --yes" in refused(dropslot, "key", "replace-lost-master", "--json")
    assert "MEND  master key" in dropslot.run("doctor", check=False).stdout
    done = dropslot.json("key", "replace-lost-master", "--yes")
    assert set(done["host_keys"]) == old
    assert done["secrets"] == [{"server": "county", "secret": "password"}]
    said = dropslot.run("doctor", check=False).stdout
    assert f"ok    master key: {done['key_id']} in" in said
    assert old.isdisjoint(row["fingerprint"] for row in dropslot.json("host-key", "list"))
    dropslot.run("server", "edit", "county", "--password-file", tmp_path / "password")
    new = {row["known_hosts"].split()[-1] for row in dropslot.json("host-key", "list")}
    wait_for(lambda: new <= set(scanned(dropslot.port)), "the doors to show the new host keys")


def test_doctor_tells_of_secrets_that_do_not_open(dropslot: Dropslot, tmp_path: Path) -> None:
    dropslot.begin()
    (tmp_path / "password").write_text("s3cret-word")
    where = ("--type", "sftp", "--host", "127.0.0.1", "--username", "u", "--password-file", tmp_path / "password")
    dropslot.run("server", "add", "county", *where)
    (dropslot.data / "keys" / "master.key").write_bytes(bytes(range(32)))
    said = dropslot.run("doctor", check=False).stdout
    assert "MEND  server county: its password does not open with the master key at hand" in said


def test_putty_keys_are_told_how_to_be_converted(dropslot: Dropslot, tmp_path: Path) -> None:
    dropslot.run("agency", "add", "court", "--name", "Court", "--timezone", "America/Phoenix")
    dropslot.run("key", "generate", "court", "--out", tmp_path / "key.ppk", "--format", "ppk")
    where = ("--type", "sftp", "--host", "h", "--username", "u")
    said = refused(dropslot, "server", "add", "x", *where, "--private-key", tmp_path / "key.ppk")
    assert "puttygen" in said


def test_a_server_that_profiles_use_is_not_removed(shared: Dropslot, court: Court, sshd: peers.Sshd) -> None:
    name = f"{court.slug}-used"
    add_sshd(shared, sshd, name)
    profile = ("profile", "add", court.slug, "nightly-pull", "--server", name, "--directory", "/in")
    shared.run(*profile, "--template", "odyssey-ecr")
    assert "nightly-pull" in refused(shared, "server", "remove", name)
    assert shared.json("server", "show", name)["profiles"] == [f"{court.slug}/nightly-pull"]
    shared.run("profile", "remove", court.slug, "nightly-pull")
    shared.run("server", "remove", name)
    assert "no server" in refused(shared, "server", "show", name)
