"""Where the master key comes from: the data directory, the environment, a secret manager's file, AWS KMS."""

import base64
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.cipher import Cipher
from keys.errors import KeysError
from keys.kms import Kms
from keys.masters import MasterKeys, MasterSettings, read_text
from keys.secret import Secret

ONE, TWO = Secret(bytes(range(32))), Secret(bytes(range(1, 33)))


def written(secret: Secret, form: str) -> bytes:
    forms = {
        "base64": base64.b64encode(secret.reveal()),
        "hex": secret.reveal().hex().encode(),
        "line": base64.b64encode(secret.reveal()) + b"\n",
        "raw": secret.reveal(),
    }
    return forms[form]


@pytest.mark.parametrize("form", ["base64", "hex", "line", "raw"])
def test_a_secret_managers_file_is_the_master_key(tmp_path: Path, form: str) -> None:
    file = tmp_path / "mounted"
    file.write_bytes(written(ONE, form))
    file.chmod(0o444)  # as they are mounted
    link = tmp_path / "link"
    link.symlink_to(file)
    cipher = MasterKeys(tmp_path / "keys", MasterSettings(file=str(link))).cipher()
    assert cipher.open(Cipher(ONE).seal(b"plain", "x"), "x") == b"plain"
    assert not (tmp_path / "keys" / "master.key").exists()


def test_the_environment_is_the_master_key_and_keys_of_before_still_open(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(written(TWO, "hex"))
    text = Secret(written(ONE, "base64"))
    cipher = MasterKeys(tmp_path, MasterSettings(text=text, previous_file=str(tmp_path / "old"))).cipher()
    assert cipher.key_id == Cipher(ONE).key_id
    old = Cipher(TWO).seal(b"plain", "x")
    assert cipher.open(old, "x") == b"plain"
    assert not cipher.is_current(old)
    assert cipher.is_current(cipher.reseal(old, "x"))
    assert Cipher(ONE).open(cipher.reseal(old, "x"), "x") == b"plain"


@pytest.mark.parametrize("text", [b"", b"short", b"x" * 44, b"z" * 64, base64.b64encode(bytes(33)), b"\xff" * 44])
def test_what_is_no_key_is_refused_without_quoting_it(text: bytes) -> None:
    with pytest.raises(KeysError, match="is no master key") as refused:
        read_text(text, "DROPSLOT_MASTER_KEY")
    assert refused.value.code == "invalid"
    assert not text or text.decode("latin-1") not in str(refused.value)


def test_a_missing_file_is_waited_for_and_several_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="cannot be read") as refused:
        MasterKeys(tmp_path, MasterSettings(file=str(tmp_path / "none"))).cipher()
    assert refused.value.code == "unavailable"
    with pytest.raises(KeysError, match="several ways"):
        MasterKeys(tmp_path, MasterSettings(text=ONE, file="x"))


def test_the_next_key_seals_and_both_open_until_it_takes_the_place(tmp_path: Path) -> None:
    masters = MasterKeys(tmp_path / "keys", MasterSettings())
    before = masters.cipher()
    sealed = before.seal(b"plain", "x")
    masters.begin()
    masters.begin()  # as after a crash
    between = masters.cipher()
    assert between.key_id != before.key_id
    assert masters.under_way
    assert between.open(sealed, "x") == b"plain"
    masters.finish()
    masters.finish()
    after = masters.cipher()
    assert (after.key_id, masters.under_way) == (between.key_id, False)
    assert os.listdir(tmp_path / "keys") == ["master.key"]
    with pytest.raises(KeysError, match=f"another master key .{before.key_id}."):
        after.open(sealed, "x")


@dataclass
class FakeKms:
    """What KMS does with a symmetric key, over its JSON protocol; signatures are not looked at."""

    key: bytes = field(default_factory=lambda: os.urandom(32))
    asked: list[str] = field(default_factory=list)
    fault: str = ""
    port: int = 0

    def answer(self, what: str, body: dict[str, object]) -> tuple[int, dict[str, object]]:
        self.asked.append(what)
        if self.fault:
            return 400, {"__type": self.fault, "message": "no"}
        bound = json.dumps([body["KeyId"], body["EncryptionContext"]], sort_keys=True).encode()
        if what == "GenerateDataKey":
            plain, nonce = os.urandom(32), os.urandom(12)
            blob = nonce + AESGCM(self.key).encrypt(nonce, plain, bound)
        else:
            blob = base64.b64decode(str(body["CiphertextBlob"]))
            try:
                plain = AESGCM(self.key).decrypt(blob[:12], blob[12:], bound)
            except Exception:
                return 400, {"__type": "InvalidCiphertextException"}
        texts = {"Plaintext": plain, "CiphertextBlob": blob}
        return 200, {
            "KeyId": body["KeyId"],
            **{name: base64.b64encode(value).decode() for name, value in texts.items()},
        }


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKms]:
    fake = FakeKms()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = fake.answer(self.headers["X-Amz-Target"].rpartition(".")[2], body)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    for name, value in {"AWS_ACCESS_KEY_ID": "AKTEST", "AWS_SECRET_ACCESS_KEY": "test"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield fake
    server.shutdown()
    server.server_close()
    thread.join()


def at(fake: FakeKms, key: str = "alias/dropslot") -> MasterSettings:
    return MasterSettings(kms=Kms(key, "us-gov-west-1", f"http://127.0.0.1:{fake.port}"))


def test_kms_opens_the_key_that_lies_encrypted_in_the_data_directory(tmp_path: Path, kms: FakeKms) -> None:
    masters = MasterKeys(tmp_path / "keys", at(kms))
    sealed = masters.cipher().seal(b"plain", "x")
    masters.cipher()
    assert kms.asked == ["GenerateDataKey", "Decrypt"], "once for each process"
    again = MasterKeys(tmp_path / "keys", at(kms))
    assert again.cipher().open(sealed, "x") == b"plain"
    assert os.listdir(tmp_path / "keys") == ["master.kms"]
    assert stat.S_IMODE((tmp_path / "keys" / "master.kms").stat().st_mode) == 0o600
    masters.begin()
    assert masters.cipher().open(sealed, "x") == b"plain"
    masters.finish()
    new = MasterKeys(tmp_path / "keys", at(kms)).cipher()
    assert new.key_id == masters.cipher().key_id
    assert not new.is_current(sealed)


def test_a_key_of_the_data_directory_still_opens_after_kms_took_over(tmp_path: Path, kms: FakeKms) -> None:
    sealed = MasterKeys(tmp_path / "keys", MasterSettings()).cipher().seal(b"plain", "x")
    masters = MasterKeys(tmp_path / "keys", at(kms))
    assert masters.cipher().open(sealed, "x") == b"plain"
    assert not masters.cipher().is_current(sealed)
    assert masters.kept_file == tmp_path / "keys" / "master.key"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("AccessDeniedException", "denied"),
        ("NotFoundException", "not_found"),
        ("DisabledException", "unavailable"),
        ("ThrottlingException", "unavailable"),
    ],
)
def test_what_kms_refuses_is_a_sentence(
    tmp_path: Path, kms: FakeKms, fault: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keys.kms.TRIES", 1)
    kms.fault = fault
    with pytest.raises(KeysError) as refused:
        MasterKeys(tmp_path / "keys", at(kms)).cipher()
    assert refused.value.code == code
    assert refused.value.hint
    assert os.listdir(tmp_path / "keys") == [], "nothing is made that nobody could open"


def test_another_key_of_kms_opens_nothing(tmp_path: Path, kms: FakeKms) -> None:
    MasterKeys(tmp_path / "keys", at(kms)).cipher()
    with pytest.raises(KeysError, match="belongs to another key"):
        MasterKeys(tmp_path / "keys", at(kms, "alias/other")).cipher()


def test_kms_that_is_forgotten_is_asked_for_before_a_new_key_is_made(tmp_path: Path, kms: FakeKms) -> None:
    MasterKeys(tmp_path / "keys", at(kms)).cipher()
    with pytest.raises(KeysError, match="AWS KMS keeps this"):
        MasterKeys(tmp_path / "keys", MasterSettings()).cipher()
    assert os.listdir(tmp_path / "keys") == ["master.kms"]


def test_without_boto3_a_sentence_says_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['boto3'] = None\n"
        "from pathlib import Path\n"
        "from keys.kms import Kms\n"
        "from keys.masters import MasterKeys, MasterSettings\n"
        "try: MasterKeys(Path(sys.argv[1]), MasterSettings(kms=Kms('k'))).cipher()\n"
        "except Exception as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "keys")], capture_output=True, text=True, check=True
    )
    assert "dropslot[aws]" in done.stdout
