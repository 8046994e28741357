"""Public keys as people send them: what is understood, and the sentence for what is not."""

import base64
import string

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.errors import KeysError
from keys.sshkey import KINDS, PublicKey, generate, parse_public, read_blob

ED25519 = generate("ed25519", "clerk@court")[1]
ECDSA = generate("ecdsa-nistp256")[1]
RSA = generate("rsa-3072")[1]
LINE = ED25519.openssh()
WORD = LINE.split()[1]
BEGIN, END = "---- BEGIN SSH2 PUBLIC KEY ----", "---- END SSH2 PUBLIC KEY ----"
DASHES = "-----"


def text(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def number(value: int) -> bytes:
    return text(value.to_bytes(value.bit_length() // 8 + 1, "big"))


def line(name: str, *fields: bytes) -> str:
    return f"{name} {base64.b64encode(text(name.encode()) + b''.join(fields)).decode()}"


def openssh(private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def rfc4716(*headers: str, word: str = WORD, width: int = 70) -> str:
    body = [word[at : at + width] for at in range(0, len(word), width)]
    return "\n".join((BEGIN, *headers, *body, END)) + "\n"


def private_file(kind: str, form: PrivateFormat) -> bytes:
    return new_private(kind).private_bytes(Encoding.PEM, form, NoEncryption())


def new_private(kind: str) -> rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey:
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    return ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())


# --- what is understood -------------------------------------------------------

UNDERSTOOD: dict[str, str | bytes] = {
    "one line": LINE,
    "with its line end": LINE + "\n",
    "Windows line end": LINE + "\r\n",
    "old Mac line end": LINE + "\r",
    "blanks around": "  \n\t" + LINE + "   \n\n",
    "comment lines around": f"# from the clerk\n\n{LINE}\n# end\n",
    "tabs between": LINE.replace(" ", "\t"),
    "byte-order mark": "\ufeff" + LINE,
    "UTF-8 with mark": LINE.encode("utf-8-sig"),
    "UTF-16 of Notepad and PowerShell": b"\xff\xfe" + LINE.encode("utf-16-le"),
    "UTF-16 the other way": b"\xfe\xff" + LINE.encode("utf-16-be"),
    "RFC 4716": rfc4716('Comment: "clerk@court"'),
    "RFC 4716 with Windows line ends": rfc4716('Comment: "clerk@court"').replace("\n", "\r\n"),
    "RFC 4716, comment without quotes": rfc4716("Comment: clerk@court"),
    "RFC 4716, other headers": rfc4716("Subject: me", "x-odd: y", "COMMENT:clerk@court"),
    "RFC 4716, comment over two lines": rfc4716('Comment: "clerk@\\', 'court"'),
    "RFC 4716, PuTTYgen's width": rfc4716('Comment: "clerk@court"', width=64),
    "RFC 4716 between comments": "# the key\n\n" + rfc4716("Comment: clerk@court") + "\n\n# that was it\n",
    "RFC 4716 with mark": "\ufeff" + rfc4716("Comment: clerk@court"),
}


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_understood(name: str) -> None:
    assert parse_public(UNDERSTOOD[name]) == ED25519


@pytest.mark.parametrize(
    ("key", "bits"),
    [(ED25519, 256), (ECDSA, 256), (RSA, 3072)],
    ids=KINDS,
)
def test_each_kind_comes_back_from_its_own_line(key: PublicKey, bits: int) -> None:
    assert parse_public(key.openssh()) == key
    assert read_blob(key.blob, key.comment) == key
    assert key.bits == bits
    assert key.algorithm in KINDS.values()


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_the_three_curves_are_accepted(curve: ec.EllipticCurve) -> None:
    key = parse_public(openssh(ec.generate_private_key(curve)))
    assert key.bits == curve.key_size
    assert key.algorithm == f"ecdsa-sha2-nistp{curve.key_size}"


def test_rsa_of_2048_bits_is_accepted() -> None:
    assert parse_public(openssh(rsa.generate_private_key(65537, 2048))).bits == 2048


def test_equal_keys_have_one_fingerprint_whatever_file_they_came_in() -> None:
    assert len({parse_public(value).fingerprint for value in UNDERSTOOD.values()}) == 1


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("several words here", "several words here"),
        ("José at 3º", "José at 3º"),
        ("tab\there", "tab here"),
        ("bell\x07 escape\x1b[31m", "bell escape [31m"),
        ("left\u202eright", "left right"),
        ("", ""),
    ],
)
def test_comments_are_one_printable_line(written: str, read: str) -> None:
    key = parse_public(f"{ED25519.algorithm} {WORD} {written}")
    assert key.comment == read
    assert parse_public(key.openssh()) == key


def test_a_long_comment_is_cut() -> None:
    assert len(parse_public(f"{LINE} {'x' * 5000}").comment) <= 1024


# --- what is refused, and how -------------------------------------------------

WEAK = line("ssh-rsa", number(65537), number(2**1023 + 1))
EVEN = line("ssh-rsa", number(65537), number(2**2047))
MODULUS = number(2**2047 + 1)
POINT = ECDSA.blob[-65:]
CURVE = text(b"nistp256")

REFUSED: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "empty"),
    "blanks": (" \n\r\n\t", "empty"),
    "comments only": ("# nothing\n", "empty"),
    "a letter": ("Dear Sir, here is our key.", "not an SSH public key"),
    "binary": (bytes(range(256)), "not an SSH public key"),
    "too large": (LINE + " " * 70_000, "too large"),
    "two keys": (f"{LINE}\n{RSA.openssh()}\n", "several keys"),
    "the same key twice": (f"{LINE}\n{LINE}\n", "several keys"),
    "two RFC 4716 keys": (rfc4716() * 2, "several keys"),
    "both forms": (rfc4716() + LINE, "other text"),
    "options": (f'from="10.0.0.0/8",no-pty {LINE}', "options"),
    "an option": (f"no-pty {LINE}", "options"),
    "a known_hosts line": (f"host {LINE}", "options"),
    "broken over lines": (LINE[:60] + "\n" + LINE[60:], "broken over lines"),
    "text beside it": (f"Here it comes:\n{LINE}", "other text"),
    "only the type": ("ssh-ed25519", "damaged"),
    "type and rubbish": ("ssh-ed25519 hello", "damaged"),
    "bad base64": (LINE.replace("AAAAC3", "AAAAC*", 1), "base64"),
    "no padding": (f"ssh-rsa {RSA.openssh().split()[1].rstrip('=')[:-1]}", "damaged"),
    "cut short": (f"ssh-ed25519 {WORD[:-8]}", "too early"),
    "bytes after its end": (line("ssh-ed25519", text(bytes(32)), b"xx"), "2 bytes too many"),
    "31 bytes of Ed25519": (line("ssh-ed25519", text(bytes(31))), "32 bytes"),
    "another type inside": (f"ssh-rsa {WORD}", "says ssh-rsa"),
    "rsa-sha2 is a signature": (f"rsa-sha2-256 {RSA.openssh().split()[1]}", "(rsa-sha2-256) is not accepted"),
    "weak RSA": (WEAK, "1024 bits"),
    "huge RSA": (line("ssh-rsa", number(65537), number(2**16384 + 1)), "16385 bits"),
    "even modulus": (EVEN, "no RSA key"),
    "even exponent": (line("ssh-rsa", number(4), MODULUS), "no RSA key"),
    "exponent 1": (line("ssh-rsa", number(1), MODULUS), "no RSA key"),
    "endless exponent": (line("ssh-rsa", number(2**2000 + 1), MODULUS), "no RSA key"),
    "number with needless zeros": (line("ssh-rsa", text(b"\0\1\0\1"), MODULUS), "badly encoded"),
    "negative number": (line("ssh-rsa", text(b"\x80"), MODULUS), "badly encoded"),
    "number zero": (line("ssh-rsa", text(b""), MODULUS), "badly encoded"),
    "DSA": (line("ssh-dss", number(2**1023 + 1)), "DSA"),
    "hardware token": (line("sk-ssh-ed25519@openssh.com", text(bytes(32)), text(b"ssh:")), "hardware token"),
    "ECDSA token": (line("sk-ecdsa-sha2-nistp256@openssh.com", CURVE, text(POINT)), "hardware token"),
    "certificate": (line("ssh-ed25519-cert-v01@openssh.com", text(bytes(32))), "certificate"),
    "unknown type": (line("ssh-ed448", text(bytes(57))), "(ssh-ed448) is not accepted"),
    "unspeakable type": (line("ssh-x\x1b[0m", text(bytes(57))), "This type of key is not accepted"),
    "ECDSA, two curves": (line("ecdsa-sha2-nistp384", CURVE, text(POINT)), "two different curves"),
    "ECDSA, point off the curve": (line("ecdsa-sha2-nistp256", CURVE, text(b"\4" + b"\1" * 64)), "not on the curve"),
    "ECDSA, no point": (line("ecdsa-sha2-nistp256", CURVE, text(b"")), "uncompressed"),
    "ECDSA, compressed point": (line("ecdsa-sha2-nistp256", CURVE, text(b"\2" + POINT[1:33])), "uncompressed"),
    "RFC 4716 without end": (rfc4716().replace(END, ""), "end of this public key is missing"),
    "RFC 4716 with a letter": ("Dear Sir,\n" + rfc4716(), "other text"),
    "RFC 4716, bad base64": (rfc4716(word="AAAA!!!!"), "base64"),
    "RFC 4716, empty": (f"{BEGIN}\n{END}\n", "base64"),
    "RFC 4716, headers without end": (f"{BEGIN}\nComment: a\\\n{END}\n", "damaged"),
    "a fingerprint": (ED25519.fingerprint, "fingerprint"),
    "PEM public key": (f"{DASHES}BEGIN PUBLIC KEY{DASHES}\n{WORD}\n{DASHES}END PUBLIC KEY{DASHES}\n", "PEM form"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    given_text, words = REFUSED[name]
    refusal = refused(given_text)
    assert words in refusal.message
    assert refusal.message.endswith(".")
    assert refusal.hint.strip()


def test_a_dsa_key_as_a_program_writes_it_is_refused() -> None:
    key = dsa.generate_private_key(1024).public_key().public_numbers()
    numbers = key.parameter_numbers
    fields = (number(value) for value in (numbers.p, numbers.q, numbers.g, key.y))
    assert "DSA" in refused(line("ssh-dss", *fields)).message


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("ed25519", PrivateFormat.OpenSSH),
        ("rsa", PrivateFormat.OpenSSH),
        ("rsa", PrivateFormat.TraditionalOpenSSL),
        ("ecdsa", PrivateFormat.TraditionalOpenSSL),
        ("ed25519", PrivateFormat.PKCS8),
    ],
)
def test_a_private_key_is_refused_as_leaked_and_never_repeated(kind: str, form: PrivateFormat) -> None:
    file = private_file(kind, form)
    for pasted in (file, b"\xef\xbb\xbf" + file, LINE.encode() + b"\n" + file, file.replace(b"\n", b"\r\n")):
        refusal = refused(pasted)
        assert "PRIVATE key" in refusal.message
        assert "leaked" in refusal.hint
        secret_lines = [row for row in file.decode().splitlines() if not row.startswith("-")]
        assert not any(row in str(refusal) for row in secret_lines)


@pytest.mark.parametrize(
    "pasted",
    [
        "PuTTY-User-" + "Key-File-3: ssh-ed25519\nEncryption: none\n",
        "PuTTY-User-" + "Key-File-2: ssh-rsa\r\nEncryption: aes256-cbc\r\n",
        f"{DASHES}BEGIN ENCRYPTED " + f"PRIVATE KEY{DASHES}\n",
        "---- BEGIN SSH2 ENCRYPTED " + "PRIVATE KEY ----\n",
        base64.b64encode(b"openssh-key-" + b"v1\0" + bytes(40)).decode(),
        f"\ufeff{DASHES}begin rsa " + f"private key{DASHES}",
    ],
)
def test_other_private_keys_are_recognised_by_their_first_words(pasted: str) -> None:
    assert "PRIVATE key" in refused(pasted).message
    assert "PRIVATE key" in refused(b"\xff\xfe" + pasted.lstrip("\ufeff").encode("utf-16-le")).message


@settings(max_examples=150)
@given(st.binary(max_size=300))
def test_any_bytes_give_a_key_or_a_refusal(data: bytes) -> None:
    key_or_refusal(data)
    key_or_refusal(data.decode("latin-1"))


@settings(max_examples=150)
@given(st.sampled_from([LINE, RSA.openssh(), ECDSA.openssh(), rfc4716("Comment: a")]), st.data())
def test_any_change_to_a_good_file_gives_a_key_or_a_refusal(good: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(good)))
    until = data.draw(st.integers(at, min(len(good), at + 40)))
    key_or_refusal(good[:at] + data.draw(st.text(max_size=20)) + good[until:])


@settings(max_examples=150)
@given(st.sampled_from([ED25519, ECDSA, RSA]), st.data())
def test_any_change_to_a_blob_gives_another_key_or_a_refusal(key: PublicKey, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(key.blob)))
    changed = key.blob[:at] + data.draw(st.binary(max_size=8)) + key.blob[data.draw(st.integers(at, at + 8)) :]
    found = key_or_refusal(f"{key.algorithm} {base64.b64encode(changed).decode()}")
    assert found is None or (found.fingerprint == key.fingerprint) == (changed == key.blob)


@given(st.text(alphabet=string.printable + "äß\u202e\x85", max_size=200))
def test_what_is_read_is_written_and_read_the_same(comment: str) -> None:
    key = read_blob(ED25519.blob, comment)
    assert parse_public(key.openssh()) == key
    assert "\n" not in key.openssh()


# --- new pairs ----------------------------------------------------------------


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(KeysError) as caught:
        generate("dsa")
    assert "ed25519" in caught.value.hint


def test_pairs_are_new_each_time_and_hidden() -> None:
    one, other = generate(), generate()
    assert one[1].fingerprint != other[1].fingerprint
    assert "PRIVATE" not in repr(one)


def test_a_comment_is_one_line_even_here() -> None:
    assert generate(comment="clerk\nssh-rsa AAAA")[1].comment == "clerk ssh-rsa AAAA"


def key_or_refusal(given_text: str | bytes) -> PublicKey | None:
    try:
        return parse_public(given_text)
    except KeysError:
        return None


def refused(given_text: str | bytes) -> KeysError:
    with pytest.raises(KeysError) as caught:
        parse_public(given_text)
    assert caught.value.code == "invalid"
    return caught.value
