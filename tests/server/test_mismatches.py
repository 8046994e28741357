"""What is kept of clients that could not agree with us on algorithms."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from server.checkup import examine
from server.mismatches import LAST, Mismatch, Mismatches
from server.state import State

OLD = Mismatch(
    at="2026-11-21T01:02:03+00:00",
    source_ip="192.0.2.7",
    client="SSH-2.0-libssh2_1.4.3",
    policy="2025-03",
    missing=("cipher", "MAC"),
    offered={"cipher": ["aes128-cbc"], "MAC": ["hmac-sha1"]},
    fitting=("compat",),
)


def test_nothing_is_kept_of_nothing(tmp_path: Path) -> None:
    assert Mismatches(tmp_path).last() == []


def test_the_newest_come_first_and_the_oldest_go(tmp_path: Path) -> None:
    store = Mismatches(tmp_path)
    for number in range(LAST + 10):
        store.keep([replace(OLD, source_ip=f"192.0.2.{number}")])
    assert [kept.source_ip for kept in store.last()] == [f"192.0.2.{number}" for number in range(LAST + 9, 9, -1)]


def test_who_comes_again_is_counted(tmp_path: Path) -> None:
    store = Mismatches(tmp_path)
    store.keep([OLD, replace(OLD, source_ip="192.0.2.8"), replace(OLD, at="2026-11-22T00:00:00+00:00")])
    store.keep([OLD])
    assert [(kept.source_ip, kept.times) for kept in store.last()] == [("192.0.2.7", 3), ("192.0.2.8", 1)]


def test_a_file_that_cannot_be_read_is_no_end_of_the_world(tmp_path: Path) -> None:
    store = Mismatches(tmp_path)
    for content in ("", "{", "[1]", '[{"at": 1}]', "null"):
        (tmp_path / "run").mkdir(exist_ok=True)
        (tmp_path / "run" / "mismatches.json").write_text(content)
        assert store.last() == []
        store.keep([OLD])
        assert store.last() == [OLD]


def test_processes_do_not_lose_each_others(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from server.mismatches import Mismatch, Mismatches\n"
        "for n in range(10):\n"
        "    Mismatches(Path(sys.argv[1])).keep([Mismatch('', f'{sys.argv[2]}.{n}', '', '', ('MAC',), {}, ())])"
    )
    writers = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(number)]) for number in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    assert {kept.source_ip for kept in Mismatches(tmp_path).last()} == {f"{w}.{n}" for w in range(4) for n in range(10)}


def test_the_doctor_says_who_could_not_come_in_and_what_would_help(state: State) -> None:
    hopeless = replace(
        OLD, source_ip="192.0.2.8", missing=("key exchange",), fitting=(), offered={"key exchange": ["x"]}
    )
    Mismatches(state.settings.data).keep([OLD, hopeless])
    found = [finding for finding in examine(state) if "algorithms" in finding.subject]
    assert all(finding.good for finding in found)
    assert "must be updated" in found[0].sentence
    assert "no common cipher and no common MAC under 2025-03" in found[1].sentence
    assert "it would come in under policy compat" in found[1].sentence
