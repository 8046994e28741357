"""What a person sees who has mistyped something: a sentence, whatever it was."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from server.cli.program import main

ODD = os.fsdecode(b"caf\xe9.csv")
LONG = "a" * 300


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, str]:
    """The exit status of a command, and what it said to a person."""
    monkeypatch.setattr(sys, "argv", ["dropslot", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.err or said.out


@pytest.mark.parametrize(
    "words",
    [
        ("agency", "add", "gwinnett", "--name", ODD, "--timezone", "America/New_York"),
        ("agency", "show", ODD),
        ("ingest", ODD, "--agency", "gwinnett", "--profile", "nightly"),
        ("profile", "add", "gwinnett", "nightly", "--template", "odyssey-ecr", "--keyword", ODD),
        ("template", "show", "gwinnett", ODD),
        ("template", "check", "odyssey-ecr", "sample.csv", "--timezone", ODD),
    ],
    ids=["agency-name", "slug", "file", "keyword", "template", "zone"],
)
def test_what_is_no_text_is_refused(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    status, said = run(capsys, monkeypatch, "--data", str(data), *words)
    assert (status, said) == (
        1,
        "dropslot: 'caf\ufffd.csv' is not UTF-8 text. Write it in UTF-8; rename a file that has such a name.\n",
    )


@pytest.mark.parametrize(
    "words",
    [
        ("ingest", LONG, "--agency", "gwinnett", "--profile", "nightly"),
        ("template", "check", "odyssey-ecr", LONG),
        ("template", "check", LONG, "sample.csv"),
        ("template", "infer", LONG),
        ("key", "generate", "gwinnett", "--out", LONG),
        ("agency", "connect-kit", "gwinnett", "--host", "sftp.example.gov", "--out", LONG),
        ("report", "run", "gwinnett", "clients", "--output", LONG),
    ],
    ids=["ingest", "sample", "template", "infer", "key", "kit", "report"],
)
def test_a_name_too_long_for_a_file_is_told(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    data.with_name("sample.csv").write_text("a,b\n")
    run(capsys, monkeypatch, "--data", str(data), "agency", "add", "gwinnett", "--name=G", "--timezone=UTC")
    status, said = run(capsys, monkeypatch, "--data", str(data), *words)
    assert status == 1
    assert "file name too long" in said.lower()


def test_what_was_typed_steers_no_terminal(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, said = run(capsys, monkeypatch, "--data", str(data), "agency", "show", "\x1b[31mred")
    assert "'?[31mred'" in said


@pytest.mark.parametrize("data_option", ["--data {}", "--data={}"], ids=["apart", "together"])
def test_a_bug_is_noted_in_the_data_directory(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, data_option: str
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("404-555-0101")

    monkeypatch.setattr("server.agencies.find_agency", fail)
    words = data_option.format(data).split()
    status, said = run(capsys, monkeypatch, *words, "agency", "show", "gwinnett")
    assert status == 1
    assert str(data / "logs" / "errors.log") in said
    noted = (data / "logs" / "errors.log").read_text()
    assert "ZeroDivisionError" in noted
    assert "404" not in noted.split("ZeroDivisionError")[1]


def shell(line: str) -> "subprocess.CompletedProcess[str]":
    command = f"{shlex.quote(str(Path(sys.executable).with_name('dropslot')))} {line}"
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)


def test_output_on_a_full_disk_is_told(data: Path) -> None:
    done = shell(f"--data {data} agency list --json >/dev/full")
    assert (done.returncode, done.stderr) == (1, "dropslot: The output cannot be written (No space left on device).\n")


def test_streams_may_be_closed(data: Path) -> None:
    assert shell(f"--data {data} agency list >&-").returncode == 0
    done = shell(f"--data {data} key add gwinnett - <&-")
    assert (done.returncode, "There is no agency" in done.stderr) == (1, True)
    assert shell(f"--data {data} agency show nobody 2>&-").returncode == 1


def test_a_key_whose_private_half_was_lost_is_not_enrolled(data: Path) -> None:
    shell(f"--data {data} agency add gwinnett --name G --timezone UTC")
    done = shell(f"--data {data} key generate gwinnett --out - >/dev/full")
    assert (done.returncode, "cannot be written" in done.stderr) == (1, True)
    assert shell(f"--data {data} key list gwinnett --json").stdout == "[]\n"


def test_ctrl_c_shows_nothing_of_python_while_the_program_is_imported() -> None:
    """A module that takes long to import; whoever waits presses Ctrl-C."""
    code = (
        "import _thread, sys\n"
        "class Slow:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer':\n"
        "            _thread.interrupt_main()\n"
        "sys.meta_path.insert(0, Slow())\n"
        "from server.cli import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, "Aborted!\n")
