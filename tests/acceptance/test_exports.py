"""A court gets its records back: a file in its /exports, which it reads and moves; one that it deletes comes back."""

from pathlib import Path

from tests.acceptance.conftest import make_court
from tests.acceptance.court import Court, Dropslot, ecr, ecr_row, wait_for


def test_a_court_fetches_its_export(court: Court) -> None:
    court.push("ecr.txt", ecr(ecr_row(1), ecr_row(2)))
    court.settled()
    run = court.dropslot.run
    assert "daily at 06:30 America/New_York" in run("export", "add", court.slug, "clients", "--at", "06:30").stdout
    assert "exports" not in court.sftp("ls -1").stdout.split()
    said = run("export", "run", court.slug, "clients").stdout
    name = said.split(":")[0].rsplit("/", 1)[-1]
    assert "2 rows" in said
    assert "/exports" in court.sftp("ls -1 /").stdout
    assert name in court.sftp("ls -1 /exports").stdout
    got = court.folder / name
    court.sftp(f'get "/exports/{name}" "{got}"')
    assert got.read_bytes().startswith(b"\xef\xbb\xbfid,record_state,reference,first_name")
    assert b"1000001,Avery,,Alder1" in got.read_bytes()
    court.sftp("mkdir /exports/done", f'rename "/exports/{name}" "/exports/done/{name}"')
    assert (court.home / "exports" / "done" / name).exists()
    assert "Permission denied" in court.sftp(f'put "{got}" /exports/mine.csv', check=False).stderr
    assert "no news" in run("export", "run", court.slug, "clients").stdout
    shown = run("export", "show", court.slug, "clients").stdout
    assert name in shown
    assert "Run by hand." in shown


def test_the_scheduler_puts_back_what_is_gone(dropslot: Dropslot, tmp_path: Path) -> None:
    court = make_court(dropslot, tmp_path / "court", "gwinnett")
    dropslot.run("export", "add", "gwinnett", "cases", "--at", "06:30", "--directory", "/exports/civil")
    dropslot.run("export", "run", "gwinnett", "cases")
    (file,) = (court.home / "exports" / "civil").iterdir()
    content = file.read_bytes()
    file.unlink()
    dropslot.start()
    wait_for(file.exists, "the file to be put back")
    assert file.read_bytes() == content
    wait_for(lambda: dropslot.json("export", "show", "gwinnett", "cases")["runs"][0]["copies"] == 1, "the count")
    assert dropslot.stop() == 0
