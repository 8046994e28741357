"""Many clients at once, clients beside a busy worker, and clients that want what there is not.

What each program can do is in test_matrix.
"""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.acceptance.clients import CLIENTS, Client
from tests.acceptance.court import Court, ecr, ecr_row, need, run_quietly, wait_for


@pytest.mark.parametrize("kind", [kind for kind in CLIENTS if not kind.compat], ids=lambda kind: kind.name)
def test_the_default_policy_is_enough(court: Court, kind: type[Client]) -> None:
    """The matrix runs with `compat`, for the sake of the few that need it."""
    kind.version()
    client = kind(court)
    try:
        client.put(court.write("ecr.txt", ecr(ecr_row(1))), "/upload/ecr.txt")
    finally:
        client.close()
    wait_for(lambda: court.arrivals(name="ecr.txt"), "the file")


def test_fifty_sessions_at_once(court: Court) -> None:
    files = [court.write(f"ecr{number}.txt", ecr(ecr_row(number))) for number in range(50)]
    with ThreadPoolExecutor(50) as pool:
        done = list(pool.map(lambda file: court.sftp(f'put "{file}" /upload/{file.name}', check=False), files))
    assert [one.stderr for one in done if one.returncode] == []
    court.settled(50, seconds=100)
    assert len(court.records("events")) == 50


def test_a_session_is_answered_while_a_large_file_is_ingested(court: Court) -> None:
    big = court.write("big.txt", ecr(*(ecr_row(number) for number in range(60_000))))
    court.sftp(f'put "{big}" /upload/big.txt')
    slowest = 0.0
    while not court.uploads():
        began = time.monotonic()
        court.sftp("ls /upload")
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < 15, "WinSCP gives up after 15 s"


def test_a_shell_and_old_scp_are_refused_in_a_sentence(court: Court) -> None:
    ssh = [
        need("ssh"),
        "-p",
        str(court.dropslot.port),
        "-i",
        str(court.key),
        *court.ssh_options(),
        f"{court.slug}@127.0.0.1",
    ]
    for command in ([*ssh], [*ssh, "id"]):
        done = run_quietly(command, stdin=subprocess.DEVNULL)
        assert done.returncode != 0
        assert "SFTP" in done.stdout + done.stderr
