"""docs/clients.md tells what works: its commands are run, its WinSCP script is read, its sentences are the server's."""

import os
import re
from pathlib import Path

import pytest

from server.sftp import checking, guard, paths, refusals, session
from tests.acceptance.court import Court, ecr, ecr_row, need, run_quietly, wait_for
from tests.server.services.test_kit import HOST_KEY, SWITCHES

ROOT = Path(__file__).parent.parent.parent
DOCUMENT = (ROOT / "docs" / "clients.md").read_text()
BLOCKS = [line[4:] for line in DOCUMENT.splitlines() if line.startswith("    ")]
PROGRAMS = ("ssh-keygen", "puttygen", "sftp", "echo", "scp", "psftp", "pscp")
COMMANDS = [line for line in BLOCKS if line.split()[0] in PROGRAMS]


def test_every_program_has_its_command() -> None:
    assert {command.split()[0] for command in COMMANDS} == set(PROGRAMS)


@pytest.fixture
def desk(court: Court) -> Path:
    """A directory as the document leaves it: the key in both formats, known_hosts and the file."""
    known = run_quietly(["ssh-keyscan", "-p", str(court.dropslot.port), "127.0.0.1"])
    (court.folder / "known_hosts").write_text(known.stdout)
    court.key.rename(court.folder / "gwinnett_key")
    make_ppk = [need("puttygen"), "gwinnett_key", "-O", "private", "-o", "gwinnett_key.ppk"]
    assert run_quietly(make_ppk, cwd=court.folder).returncode == 0
    court.write("psftp-batch.txt", b"put ecr.txt /upload/ecr.txt\n")
    court.write("ecr.txt", ecr(*(ecr_row(number) for number in range(5))))
    receipts = court.receipts
    receipts.mkdir(parents=True, exist_ok=True)
    (receipts / "some-receipt.txt").write_text("a receipt")
    return court.folder


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_document(court: Court, desk: Path, command: str) -> None:
    """With this court's name, address and port in it."""
    for program in PROGRAMS[:3] + PROGRAMS[4:]:
        need(program)
    fingerprint = court.fingerprint()
    here = command.replace("gwinnett@sftp.example.gov", f"{court.slug}@127.0.0.1")
    here = here.replace(" 2022 ", f" {court.dropslot.port} ")
    here = re.sub(r"SHA256:\d+", fingerprint, here)
    if here.startswith("ssh-keygen"):
        (desk / "gwinnett_key").unlink()
    if here.startswith("sftp"):  # by hand
        here = "echo bye | " + here.replace("sftp ", "sftp -o UserKnownHostsFile=known_hosts ", 1)
    done = run_quietly(["sh", "-c", here], cwd=desk, env={**os.environ, "HOME": str(desk)})
    assert done.returncode == 0, f"{here}: {done.stderr}{done.stdout}"
    if "/upload" in command or "psftp" in command:
        wait_for(lambda: court.arrivals(name="ecr.txt"), "the file")
    if "receipts" in command:
        assert (desk / "some-receipt.txt").read_text() == "a receipt"


def test_the_winscp_script_of_the_document() -> None:
    begin = BLOCKS.index("option batch abort")
    script = BLOCKS[begin : BLOCKS.index("exit") + 1]
    for line in script:
        command, *words = re.findall(r'(?:[^\s"]|"[^"]*")+', line)
        assert {word[1:].split("=")[0] for word in words if word.startswith("-")} == SWITCHES[command]
        for key in re.findall(r'-hostkey="([^"]*)"', line):
            assert HOST_KEY.fullmatch(key)


def told() -> list[str]:
    """The server's sentences as the document has them, where `...` stands for a number or a reason."""
    table = DOCUMENT[DOCUMENT.index("| the server says |") : DOCUMENT.index("When there is no sentence")]
    return [line.split("|")[1].strip() for line in table.strip().splitlines()[2:]]


def said_alone(court: Court, where: str) -> list[str]:
    """What OpenSSH and PuTTY say of a file that is refused: the action, then the reason."""
    ppk, batch = court.folder / "key.ppk", court.folder / "batch.txt"
    if not ppk.exists():
        court.dropslot.run("key", "generate", court.slug, "--out", ppk, "--format", "ppk", "--label", "psftp")
    file = court.write("big.txt", b"x" * 300_000)
    batch.write_text(f'put "{file}" "{where}/psftp.txt"\n')
    host_key = court.dropslot.json("host-key", "list")[0]["fingerprint"]
    login = ("-P", str(court.dropslot.port), "-i", str(ppk), "-hostkey", host_key, "-b", str(batch))
    psftp = run_quietly([need("psftp"), "-batch", *login, f"{court.slug}@127.0.0.1"])
    sftp = court.sftp(f'put "{file}" {where}/sftp.txt', check=False)
    assert (psftp.returncode, sftp.returncode) == (2, 1)
    return f"{psftp.stdout}{psftp.stderr}\n{sftp.stderr}".splitlines()


def test_programs_without_a_sentence_say_what_the_document_explains(court: Court) -> None:
    alone = DOCUMENT[DOCUMENT.index("When there is no sentence") :]
    denied = [re.sub('"?/(p?sftp)[.]txt"?:? ?', "", line) for line in said_alone(court, "")]
    assert {"dest open Permission denied", "open for write: permission denied"} <= set(denied)
    court.dropslot.run("agency", "edit", court.slug, "--quota-bytes", "1KiB")
    full = said_alone(court, "/upload")
    assert {'write remote "/upload/sftp.txt": Failure', "error while writing: failure"} <= set(full)
    assert not any("Your files" in line or "Only /upload" in line for line in (*denied, *full))
    for action in ("dest open", "open for write", "write remote", "error while writing"):
        assert f"`{action}`" in alone


def test_no_sentence_is_made_up() -> None:
    source = "".join(file.read_text() for file in sorted((ROOT / "server" / "sftp").rglob("*.py")))
    flat = re.sub(r'"\s*\n\s*f?"', "", source)
    for sentence in told():
        assert all(part in flat for part in re.split(r" ?\.\.\. ?", sentence)), sentence


def test_the_common_refusals_are_told() -> None:
    patterns = [".*".join(map(re.escape, sentence.split("..."))) for sentence in told()]
    common = {sentence for _, sentence in refusals._SENTENCES.values()} | {refusals.LINKS, refusals.INTERNAL}
    common |= {guard.BANNED, guard.TOO_FAST, session.TOO_MANY_STRANGERS}
    common |= {checking.TOO_LONG, checking.TOO_MANY, checking.SMALL_BLOCK, checking.UNKNOWN}
    common |= set(re.findall(r'SFTP\w+\("([^"]+)"\)', Path(paths.__file__).read_text()))
    assert [sentence for sentence in common if not any(re.fullmatch(one, sentence) for one in patterns)] == []
