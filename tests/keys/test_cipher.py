"""Sealing and opening: what was sealed comes back, what was touched does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.cipher import HEADER_BYTES, NONCE_BYTES, TAG_BYTES, Cipher
from keys.errors import KeysError
from keys.secret import Secret

MASTER = Secret(bytes(range(32)))
OTHER = Secret(bytes(32))
CIPHER = Cipher(MASTER)


@given(st.binary(max_size=500), st.text(max_size=50).filter(lambda text: text.isprintable()))
def test_what_is_sealed_comes_back(plain: bytes, purpose: str) -> None:
    assert CIPHER.open(CIPHER.seal(plain, purpose), purpose) == plain


@given(st.binary(max_size=60), st.data())
def test_any_flipped_bit_is_refused(plain: bytes, data: st.DataObject) -> None:
    sealed = bytearray(CIPHER.seal(plain, "a purpose"))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    _refused(CIPHER, bytes(sealed), "a purpose")


@given(st.binary(max_size=200))
def test_rubbish_is_refused(rubbish: bytes) -> None:
    _refused(CIPHER, rubbish, "a purpose")


def test_every_length_cut_off_is_refused() -> None:
    sealed = CIPHER.seal(b"plain", "a purpose")
    for length in range(len(sealed)):
        _refused(CIPHER, sealed[:length], "a purpose")


def test_another_purpose_is_refused() -> None:
    _refused(CIPHER, CIPHER.seal(b"plain", "server 1"), "server 2")


def test_another_master_key_is_named_as_the_reason() -> None:
    refusal = _refused(Cipher(OTHER), CIPHER.seal(b"plain", "x"), "x")
    assert "another master key" in refusal.message
    assert "master.key" in refusal.hint


def test_the_same_value_is_never_sealed_the_same_way_twice() -> None:
    assert len({CIPHER.seal(b"plain", "x") for _ in range(100)}) == 100


def test_the_form_is_version_key_id_nonce_text_tag() -> None:
    sealed = CIPHER.seal(b"plain", "x")
    assert len(sealed) == HEADER_BYTES + NONCE_BYTES + len(b"plain") + TAG_BYTES
    assert sealed[0] == 1
    assert sealed[1:9].hex() == CIPHER.key_id
    assert b"plain" not in sealed


def test_the_form_stays_readable_for_ever() -> None:
    """A value sealed by version 1 with `MASTER`; if this fails, databases in the field can no longer be opened."""
    kept = bytes.fromhex("010f462180775d4e90639c82cb0afedaec683331939a3c6789a69a47d7776ac1ea9f47f8c59703529a")
    assert CIPHER.open(kept, "a test") == b"kept"


def test_the_key_id_tells_keys_apart_and_is_no_part_of_the_key() -> None:
    assert CIPHER.key_id != Cipher(OTHER).key_id
    assert bytes.fromhex(CIPHER.key_id) not in MASTER.reveal()


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_master_key_of_the_wrong_size_is_refused(size: int) -> None:
    with pytest.raises(KeysError, match="32 bytes"):
        Cipher(Secret(bytes(size)))


def _refused(cipher: Cipher, sealed: bytes, purpose: str) -> KeysError:
    with pytest.raises(KeysError) as caught:
        cipher.open(sealed, purpose)
    assert caught.value.code == "denied"
    assert caught.value.hint
    return caught.value
