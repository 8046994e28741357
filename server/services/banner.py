"""The text that clients show before login, such as a county's legal notice."""

import unicodedata
from pathlib import Path

from server.errors import AppError, Code

MOST = 16 * 1024


def load_banner(setting: str) -> str:
    r"""The text of the setting: itself (`\n` is a new line), or the UTF-8 file it names after an `@`; "" for none.

    Lines end as RFC 4252 section 5.4 wants it, and what could steer a terminal is left out. Raises `AppError` invalid.
    """
    text = _read(Path(setting[1:])) if setting.startswith("@") else setting.replace("\\n", "\n")
    lines = ["".join(filter(_is_harmless, line)).rstrip() for line in text.strip().splitlines()]
    return "".join(f"{line}\r\n" for line in lines)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST + 1)
        if len(content) > MOST:
            raise AppError(Code.INVALID, f"The banner in {path} is too long.", f"At most {MOST} bytes are shown.")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AppError(Code.INVALID, f"The banner in {path} is not UTF-8.", "Save it as UTF-8.") from error
    except OSError as error:
        reason = (error.strerror or "unknown").lower()
        raise AppError(
            Code.INVALID, f"The banner in {path} cannot be read ({reason}).", "See DROPSLOT_BANNER."
        ) from error


def _is_harmless(character: str) -> bool:
    return character == "\t" or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co"}
