"""Rubbish goes once it is old, and what cannot be deleted keeps nothing else."""

from pathlib import Path

from server.intake.rubbish import drop_stale


def test_only_what_is_old_goes(tmp_path: Path) -> None:
    file = tmp_path / "a.tmp"
    file.touch()
    assert drop_stale([file], age=60) == 0
    assert file.exists()
    assert drop_stale([file], age=-1) == 1
    assert not file.exists()


def test_what_cannot_be_deleted_holds_up_nothing(tmp_path: Path) -> None:
    odd, gone, file = tmp_path / "odd.tmp", tmp_path / "gone.tmp", tmp_path / "a.tmp"
    odd.mkdir()
    file.touch()
    assert drop_stale([odd, gone, file], age=-1) == 1
    assert list(tmp_path.iterdir()) == [odd]
