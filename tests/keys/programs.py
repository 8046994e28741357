"""Other people's programs that read and write keys, as peers to compare with."""

import shutil
import subprocess
from pathlib import Path

import pytest


def run(*words: str | Path, stdin: str | None = None) -> str:
    """What the program prints; the test fails with the program's own words if it does."""
    done = subprocess.run([str(word) for word in words], input=stdin, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{words[0]}: {done.stderr or done.stdout}"
    return done.stdout


def need(program: str, package: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed (apt-get install {package}): keys are NOT compared with it")


def ssh_keygen(*words: str | Path) -> str:
    need("ssh-keygen", "openssh-client")
    return run("ssh-keygen", *words)


def puttygen(*words: str | Path) -> str:
    need("puttygen", "putty-tools")
    return run("puttygen", *words)


def fingerprint(path: Path) -> str:
    """As `ssh-keygen -l` prints it, the second of its words."""
    return ssh_keygen("-lf", path).split()[1]


def bits(path: Path) -> int:
    return int(ssh_keygen("-lf", path).split()[0])
