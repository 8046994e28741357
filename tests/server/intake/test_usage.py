"""What is counted of an agency's uploads, by many at once, and after somebody died or counted wrong."""

import multiprocessing
import os
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from server.intake.locks import BusyError
from server.intake.usage import FullError, Meter, Quota, Usage, measure

LIMIT = 1000


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    folder = tmp_path / "court" / "upload"
    folder.mkdir(parents=True)
    return folder


def make_meter(uploads: Path, size: int | None = LIMIT, files: int | None = None) -> Meter:
    return Meter(uploads.parent.parent / "run", "court", uploads, Quota(size, files))


def test_what_is_there_is_measured(uploads: Path) -> None:
    (uploads / "deep").mkdir()
    (uploads / "a.csv").write_bytes(b"x" * 10)
    (uploads / "deep" / ".b.csv.filepart").write_bytes(b"x" * 5)
    with (uploads / "holes.csv").open("wb") as file:
        file.truncate(1000)
    (uploads / "link").symlink_to(uploads / "a.csv")
    (uploads / "loop").symlink_to(uploads)
    os.mkfifo(uploads / "pipe")
    assert measure(uploads) == Usage(1015, 4), "three files and a directory"
    assert measure(uploads / "nothing") == Usage(0, 0)


def test_deep_directories_are_measured_as_well(uploads: Path) -> None:
    (uploads / "deep").mkdir()
    (uploads / "deep" / "a.csv").write_bytes(b"x" * 5)
    for number in range(1200):  # by renaming, directories become deeper than a path may be said
        (uploads / "next").mkdir()
        (uploads / "deep").rename(uploads / "next" / "d")
        (uploads / "next").rename(uploads / "deep")
        if number % 400 == 0:
            (uploads / "deep" / "b.csv").write_bytes(b"x")
    found = measure(uploads)
    subprocess.run(["rm", "-rf", uploads], check=True)  # Python's own rmtree gives up at such a depth
    assert found == Usage(8, 4 + 1201)


def test_what_cannot_be_measured_is_not_guessed(uploads: Path) -> None:
    meter = make_meter(uploads)
    with meter.joined():
        meter.take(5, 1)
    (uploads / "deep").mkdir()
    for _ in range(20):
        (uploads / "next").mkdir()
        (uploads / "deep").rename(uploads / "next" / ("d" * 250))
        (uploads / "next").rename(uploads / "deep")
    with pytest.raises(OSError, match="too long"):
        meter.recount()
    assert meter.usage() == Usage(5, 1)


def test_it_is_counted_before_the_first_change(uploads: Path) -> None:
    (uploads / "a.csv").write_bytes(b"x" * 990)
    meter = make_meter(uploads)
    with pytest.raises(BusyError):
        meter.join(wait=False)
    with meter.joined():
        assert meter.usage() == Usage(990, 1)
        os.close(meter.join(wait=False))
        with pytest.raises(FullError):
            meter.take(11)
        assert meter.take(10) == 10


@pytest.mark.parametrize("rubbish", [b"", b"\0" * 20, b"used", b"\0" * 100])
def test_numbers_that_a_power_failure_left_are_not_believed(uploads: Path, rubbish: bytes) -> None:
    (uploads / "a.csv").write_bytes(b"x" * 7)
    meter = make_meter(uploads)
    assert meter.recount()
    (uploads.parent.parent / "run" / "quota" / "court").write_bytes(rubbish)
    with meter.joined():
        assert meter.usage() == Usage(7, 1)


def test_nothing_is_less_than_nothing(uploads: Path) -> None:
    meter = make_meter(uploads)
    meter.give(50, 3)
    assert meter.usage() == Usage(0, 0)


def test_only_growth_is_refused_above_a_lowered_quota(uploads: Path) -> None:
    make_meter(uploads).take(900, 9)
    lowered = make_meter(uploads, 100, 5)
    assert lowered.take(0) == 0
    lowered.give(100, 1)
    with pytest.raises(FullError):
        lowered.take(1)
    with pytest.raises(FullError):
        lowered.take(0, files=1)
    assert lowered.usage() == Usage(800, 8)


def test_what_is_taken_ahead_leaves_room_for_others(uploads: Path) -> None:
    meters = [make_meter(uploads, 1600) for _ in range(50)]
    assert meters[0].take(1, ahead=10_000) < 110
    for meter in meters[1:]:
        assert meter.take(1, ahead=10_000) >= 1


def test_who_changes_something_keeps_it_from_being_counted_anew(uploads: Path) -> None:
    meter = make_meter(uploads)
    with meter.joined():
        meter.take(10, 1)
        assert not meter.recount()
        assert meter.usage() == Usage(10, 1)
    assert meter.recount()
    assert meter.usage() == Usage(0, 0)


def _die_in_the_middle(uploads: Path) -> None:
    meter = make_meter(uploads)
    meter.join()
    meter.take(100, 1)
    os._exit(1)


def test_what_a_process_took_that_died_is_found_by_counting(uploads: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_die_in_the_middle, args=(uploads,))
    process.start()
    process.join(20)
    meter = make_meter(uploads)
    assert meter.usage() == Usage(100, 1)
    assert meter.recount()
    assert meter.usage() == Usage(0, 0)


def _grab(uploads: Path, grabbed: "multiprocessing.Queue[int]") -> None:
    meter, mine = make_meter(uploads, 10_000), 0
    with meter.joined(), suppress(FullError):
        while True:
            mine += meter.take(7, ahead=20)
    grabbed.put(mine)


def test_many_processes_never_take_more_than_there_is(uploads: Path) -> None:
    context = multiprocessing.get_context("fork")
    grabbed: multiprocessing.Queue[int] = context.Queue()
    processes = [context.Process(target=_grab, args=(uploads, grabbed)) for _ in range(4)]
    for process in processes:
        process.start()
    taken = sum(grabbed.get(timeout=30) for _ in processes)
    for process in processes:
        process.join(20)
    assert 10_000 - 7 < taken <= 10_000
    assert make_meter(uploads).usage().size == taken


def test_counting_while_files_come_and_go_is_exact_in_the_end(uploads: Path) -> None:
    meter, done = make_meter(uploads, 10**6), threading.Event()

    def come_and_go(number: int) -> None:
        file = uploads / f"{number}.csv"
        for size in range(1, 60):
            with meter.joined():
                meter.take(size, 1)
                file.write_bytes(b"x" * size)
            with meter.joined():
                file.unlink()
                meter.give(size, 1)
        with meter.joined():
            meter.take(number, 1)
            file.write_bytes(b"x" * number)

    def count() -> None:
        while not done.wait(0.001):
            meter.recount()

    threads = [threading.Thread(target=come_and_go, args=(number,)) for number in (1, 2, 3)]
    counter = threading.Thread(target=count)
    for thread in (*threads, counter):
        thread.start()
    for thread in threads:
        thread.join(30)
    done.set()
    counter.join(30)
    assert meter.usage() == measure(uploads) == Usage(6, 3)
