"""Sizes as operators write and read them."""

import pytest

from server.sizes import read_size, say_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("10GiB", 10 * 1024**3),
        ("10 gib", 10 * 1024**3),
        ("1.5KiB", 1536),
        ("500MB", 500_000_000),
        ("2kB", 2000),
        ("1048576", 1048576),
        ("17b", 17),
        ("1TiB", 1024**4),
        ("123456789012345678", 123456789012345678),
    ],
)
def test_a_size_is_read(text: str, size: int) -> None:
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "-1", "10GiG", "1e3", "0", "0.1B", "9999999PiB", "١GiB", "nan"])
def test_what_is_no_size_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="size"):
        read_size(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1, "1 byte"), (1023, "1023 bytes"), (1024, "1 KiB"), (10 * 1024**3, "10 GiB"), (1536, "1.5 KiB")],
)
def test_a_size_is_said(size: int, text: str) -> None:
    assert say_size(size) == text
