"""Passwords: strong when made, refused when weak, and nothing of them in what is stored."""

import pytest

from keys.errors import KeysError
from keys.password import hash_password, is_password, make_password, version_of
from keys.secret import Secret

GOOD = Secret(b"correct horse battery staple")


def test_the_right_password_is_told_from_a_wrong_one() -> None:
    stored = hash_password(GOOD)
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert is_password(GOOD, stored)
    for wrong in (b"", b"correct horse battery stapl", b"Correct horse battery staple", GOOD.reveal() + b"\0"):
        assert not is_password(Secret(wrong), stored)


def test_the_same_password_is_stored_differently_each_time() -> None:
    first, second = hash_password(GOOD), hash_password(GOOD)
    assert first != second
    assert version_of(first) != version_of(second)
    assert "horse" not in first


def test_made_passwords_are_good_and_never_the_same() -> None:
    made = {make_password().reveal() for _ in range(100)}
    assert len(made) == 100
    assert all(len(password) == 29 for password in made)
    assert is_password(Secret(min(made)), hash_password(Secret(min(made))))


@pytest.mark.parametrize(
    "bad",
    [b"", b"fourteen chars", b"a" * 40, b"ab" * 20, b"x" * 129, b"a tab\tin a password", "pässwörter überall".encode()],
)
def test_a_bad_password_is_refused_and_not_repeated(bad: bytes) -> None:
    with pytest.raises(KeysError, match="--generate") as caught:
        hash_password(Secret(bad))
    assert caught.value.code == "invalid"
    assert not bad or bad.decode() not in str(caught.value)
