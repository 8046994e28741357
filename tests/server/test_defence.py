"""Faults, bans and their end, in a real file, with two processes' worth of connections to it."""

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from server import defence
from server.defence import HABIT, Defence, Fault, Rules, open_defence
from server.errors import AppError, Code
from server.settings import Settings

RULES = Rules.of(Settings())


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Defence]:
    made = Defence(tmp_path / "run" / "defence.db")
    yield made
    made.close()


def commit(book: Defence, address: str, fault: Fault, times: int, rules: Rules = RULES) -> list[str]:
    """Note a fault so many times; the addresses that are banned for it."""
    return [ban.address for ban in book.note([(address, fault)] * times, rules)]


@pytest.mark.parametrize(
    ("fault", "enough"),
    [(Fault.UNKNOWN_USER, 8), (Fault.BAD_KEY, 15), (Fault.NO_AUTH, HABIT + 15)],
)
def test_each_fault_has_its_weight(book: Defence, fault: Fault, enough: int) -> None:
    commit(book, "192.0.2.1", Fault.LOGIN, 1)
    assert commit(book, "192.0.2.1", fault, enough - 1) == []
    assert commit(book, "192.0.2.1", fault, 1) == ["192.0.2.1"]
    assert commit(book, "192.0.2.2", fault, 1) == []


@pytest.mark.parametrize("fault", [Fault.UNKNOWN_USER, Fault.BAD_KEY])
def test_an_outsider_cannot_count_out_which_names_exist(book: Defence, fault: Fault) -> None:
    commit(book, "192.0.2.1", Fault.LOGIN, 1)  # of somebody else
    assert commit(book, "192.0.2.2", fault, 7) == []
    assert commit(book, "192.0.2.2", fault, 1) == ["192.0.2.2"]


def test_an_address_is_known_by_its_login_for_a_while(book: Defence, monkeypatch: pytest.MonkeyPatch) -> None:
    at = time.time()
    monkeypatch.setattr(defence.time, "time", lambda: at)
    commit(book, "192.0.2.1", Fault.LOGIN, 1)
    at += defence.VISITS - 60
    assert commit(book, "192.0.2.1", Fault.BAD_KEY, 8) == []
    commit(book, "192.0.2.1", Fault.LOGIN, 3)
    at += 120
    assert commit(book, "192.0.2.1", Fault.BAD_KEY, 8) == []
    at += defence.VISITS
    commit(book, "192.0.2.2", Fault.LOGIN, 1)
    assert commit(book, "192.0.2.1", Fault.BAD_KEY, 8) == ["192.0.2.1"]


def test_a_clock_that_was_ahead_leaves_no_ban_and_no_fault_of_the_future(
    book: Defence, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = at = time.time()
    monkeypatch.setattr(defence.time, "time", lambda: at)
    at += 365 * 24 * 3600
    assert commit(book, "192.0.2.1", Fault.UNKNOWN_USER, 8) == ["192.0.2.1"]
    commit(book, "192.0.2.2", Fault.UNKNOWN_USER, 7)
    at = right
    assert book.changed()
    book.follow_clock()
    assert book.changed(), "others must read the bans again"
    [ban] = book.bans()
    assert (ban.since, ban.until) == pytest.approx((right, right + RULES.first))
    at += RULES.first + 1
    assert book.bans() == []
    at = right
    assert commit(book, "192.0.2.2", Fault.UNKNOWN_USER, 7) == []
    assert commit(book, "192.0.2.2", Fault.UNKNOWN_USER, 1) == ["192.0.2.2"]


def test_logins_one_after_the_other_change_nothing_that_others_must_read(book: Defence) -> None:
    commit(book, "192.0.2.1", Fault.LOGIN, 1)
    assert book.changed()
    commit(book, "192.0.2.1", Fault.LOGIN, 5)
    assert not book.changed()


def test_a_burst_over_a_limit_is_one_fault_whichever_process_saw_it(
    book: Defence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, other = time.time(), Defence(tmp_path / "run" / "defence.db")
    monkeypatch.setattr(defence.time, "time", lambda: at)
    for number in range(4):
        at += defence.ONE_BURST + 1
        assert commit(book, "192.0.2.1", Fault.LIMIT, 20) + commit(other, "192.0.2.1", Fault.LIMIT, 20) == [], number
    at += defence.ONE_BURST + 1
    assert commit(other, "192.0.2.1", Fault.LIMIT, 1) == ["192.0.2.1"]
    other.close()


def test_faults_of_different_kinds_add_up(book: Defence) -> None:
    commit(book, "192.0.2.1", Fault.LOGIN, 1)
    assert commit(book, "192.0.2.1", Fault.UNKNOWN_USER, 5) == []
    assert commit(book, "192.0.2.1", Fault.BAD_KEY, 4) == []
    assert commit(book, "192.0.2.1", Fault.BAD_KEY, 1) == ["192.0.2.1"]


def test_old_faults_do_not_count(book: Defence, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(book, "192.0.2.1", Fault.UNKNOWN_USER, 7)
    later = time.time() + RULES.window + 1
    monkeypatch.setattr(defence.time, "time", lambda: later)
    assert commit(book, "192.0.2.1", Fault.UNKNOWN_USER, 7) == []


def test_a_login_makes_some_faults_undone_but_no_ban(book: Defence) -> None:
    commit(book, "192.0.2.1", Fault.LOGIN, 1)
    commit(book, "192.0.2.1", Fault.BAD_KEY, 14)
    commit(book, "192.0.2.1", Fault.LOGIN, 1)
    assert commit(book, "192.0.2.1", Fault.BAD_KEY, 3) == []
    assert commit(book, "192.0.2.1", Fault.BAD_KEY, 1) == ["192.0.2.1"]
    commit(book, "192.0.2.1", Fault.LOGIN, 1)
    assert [ban.address for ban in book.bans()] == ["192.0.2.1"]


def test_each_ban_in_a_row_is_longer_up_to_a_day(book: Defence, monkeypatch: pytest.MonkeyPatch) -> None:
    at, lengths = time.time(), []
    monkeypatch.setattr(defence.time, "time", lambda: at)
    for _ in range(14):
        commit(book, "192.0.2.1", Fault.BAD_KEY, 15)
        (ban,) = book.bans()
        lengths.append(ban.until - ban.since)
        at = ban.until + 1
    assert lengths[:3] == pytest.approx([1800, 2700, 4050])
    assert lengths[-1] == pytest.approx(24 * 3600)
    at += defence.REMEMBERED + 1
    commit(book, "192.0.2.1", Fault.BAD_KEY, 15)
    (ban,) = book.bans()
    assert (ban.times, ban.until - ban.since) == (1, pytest.approx(1800))


def test_a_first_ban_may_be_longer_than_a_day(book: Defence) -> None:
    commit(book, "192.0.2.1", Fault.BAD_KEY, 15, replace(RULES, first=7 * 86400))
    (ban,) = book.bans()
    assert ban.until - ban.since == pytest.approx(7 * 86400)


def test_an_operator_makes_no_ban_shorter(book: Defence) -> None:
    week = book.add("192.0.2.7", 7 * 86400)
    assert book.add("192.0.2.7", 1).until == week.until
    [ban] = book.bans()
    assert ban.until == week.until
    assert book.add("192.0.2.7", 30 * 86400).until > week.until
    book.lift("192.0.2.7")
    assert book.add("192.0.2.7", 60).until < week.until


def test_a_banned_address_is_not_banned_again_for_what_was_on_its_way(book: Defence) -> None:
    assert commit(book, "192.0.2.1", Fault.BAD_KEY, 60) == ["192.0.2.1"]
    (ban,) = book.bans()
    assert ban.times == 1


def test_another_process_sees_what_changed_and_only_then(book: Defence, tmp_path: Path) -> None:
    other = Defence(tmp_path / "run" / "defence.db")
    assert other.changed()
    assert not other.changed()
    commit(book, "192.0.2.1", Fault.BAD_KEY, 15)
    assert other.changed()
    assert [ban.address for ban in other.bans()] == ["192.0.2.1"]
    assert not other.changed()
    other.lift("192.0.2.1")
    assert other.changed()
    assert book.changed()
    assert book.bans() == []
    other.close()


def test_however_many_addresses_come_the_file_is_bounded(book: Defence, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defence, "MOST_FAULTS", 500)
    monkeypatch.setattr(defence, "MOST_BANS", 50)
    for start in range(0, 2000, 100):
        book.note([(f"2001:db8:{number:x}::/64", Fault.BAD_KEY) for number in range(start, start + 100)], RULES)
        for number in range(start, start + 10):
            book.note([(f"2001:db9:{number:x}::/64", Fault.UNKNOWN_USER)] * 8, RULES)
    with sqlite3.connect(tmp := book._path) as conn:
        (faults,) = conn.execute("SELECT count(*) FROM faults").fetchone()
        (bans,) = conn.execute("SELECT count(*) FROM bans").fetchone()
    conn.close()
    assert (faults, bans) == (500, 50)
    assert tmp.stat().st_size < 1_000_000
    assert book.bans()[-1].address == "2001:db9:775::/64", "the latest is kept"


def test_a_broken_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "defence.db"
    path.write_bytes(b"this is no database" * 1000)
    book = Defence(path)
    assert book.bans() == []
    book.close()


def test_a_file_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    settings.defence.mkdir(parents=True)
    with pytest.raises(AppError) as refused, open_defence(settings):
        pass
    assert refused.value.code == Code.UNAVAILABLE
