"""Real programs at the door: OpenSSH, PuTTY, lftp, curl, rclone, paramiko; and what is seen when they are killed."""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import paramiko
import psutil
import pytest

from server.intake.entry import State
from tests.server.sftp.conftest import RunningDoor, need, wait_until

MIB = 1024 * 1024


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """3 MiB that compress badly."""
    file = tmp_path / "big.csv"
    file.write_bytes(os.urandom(3 * MIB))
    return file


@pytest.fixture
def ppk(keys: Path) -> Path:
    """The court's key in PuTTY's format."""
    need("puttygen")
    file = keys / "id.ppk"
    if not file.exists():
        subprocess.run(
            ["puttygen", keys / "id", "-O", "private", "-o", file, "--new-passphrase", "/dev/null"], check=True
        )
    return file


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, **options)  # type: ignore[call-overload,no-any-return]


def test_openssh_sftp(door: RunningDoor, big: Path, tmp_path: Path) -> None:
    need("sftp")
    back = tmp_path / "back.csv"
    done = door.sftp(
        "cd /upload",
        "mkdir d",
        f"put -p {big} d/big.csv",
        "rename d/big.csv d/b.csv",
        f"get d/b.csv {back}",
        "ls -l d",
        "df -h",
        "ls -l /",
    )
    assert back.read_bytes() == big.read_bytes()
    # The client asks for the names of ids and makes these lines itself; it does not know how many links there are.
    assert re.search(rf"-rw-r--r--    [?1] agency   agency    {3 * MIB}", done.stdout)
    assert "upload" in done.stdout
    assert door.content(door.arrival()) == big.read_bytes()
    door.sftp("rm /upload/d/b.csv", "rmdir /upload/d")
    assert list((door.home() / "upload").iterdir()) == []


def test_openssh_resumes(door: RunningDoor, big: Path) -> None:
    need("sftp")
    client = door.raw()
    handle = client.open("/upload/big.csv")
    for offset in range(0, MIB, 65536):
        client.write(handle, offset, big.read_bytes()[offset : offset + 65536])
    client.hang_up()
    torn = door.tear()
    door.sftp(f"reput {big} /upload/big.csv")
    arrived = door.arrival()
    assert arrived.id == torn.id
    assert door.content(arrived) == big.read_bytes()


def test_openssh_scp_overwrites_a_longer_file(door: RunningDoor, big: Path, tmp_path: Path) -> None:
    need("scp")
    small = tmp_path / "small.csv"
    small.write_bytes(b"small")
    for number, file in enumerate((big, small), 1):
        done = run(*door.command("scp", str(file), "court@127.0.0.1:/upload/a.csv"))
        assert done.returncode == 0, done.stderr
        assert door.content(door.arrival(number)) == file.read_bytes()
    done = run(*door.command("scp", "court@127.0.0.1:/upload/a.csv", str(tmp_path / "back")))
    assert (tmp_path / "back").read_bytes() == b"small"


def test_what_is_not_sftp_is_told_so(door: RunningDoor, big: Path) -> None:
    need("scp", "ssh")
    old_scp = run(*door.command("scp", "-O", str(big), "court@127.0.0.1:/upload/a.csv"))
    shell = run(*door.command("ssh", "court@127.0.0.1"))
    command = run(*door.command("ssh", "court@127.0.0.1", "id"))
    for done in (old_scp, shell, command):
        assert done.returncode != 0
        assert "This server speaks SFTP only" in done.stderr
    assert door.intake.arrived == []


@pytest.mark.parametrize("option", ["-W localhost:22", "-N -R 0:localhost:1"])
def test_nothing_is_forwarded(door: RunningDoor, option: str) -> None:
    need("ssh")
    done = run(*door.command("ssh", "-o", "ExitOnForwardFailure=yes", *option.split(), "court@127.0.0.1"))
    assert done.returncode != 0


@pytest.mark.parametrize("victim", ["sftp", "ssh"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_client_killed_in_mid_upload_leaves_a_torn_file(
    door: RunningDoor, tmp_path: Path, victim: str, how: signal.Signals
) -> None:
    need("sftp")
    endless = tmp_path / "endless.csv"
    with endless.open("wb") as file:
        file.truncate(40 * 1024 * MIB)
    sftp = subprocess.Popen(door.command("sftp", "-b", "-", "court@127.0.0.1"), stdin=subprocess.PIPE, text=True)
    assert sftp.stdin
    sftp.stdin.write(f"put {endless} /upload/endless.csv\n")
    sftp.stdin.flush()
    wait_until(lambda: door.uploaded("endless.csv").exists(), "the upload to begin")
    wait_until(lambda: door.uploaded("endless.csv").stat().st_size > MIB, "the first bytes")
    (ssh,) = psutil.Process(sftp.pid).children()
    os.kill({"sftp": sftp.pid, "ssh": ssh.pid}[victim], how)
    sftp.stdin.close()
    sftp.wait(10)
    torn = door.tear()
    assert torn.state is State.TORN
    assert torn.size == door.uploaded("endless.csv").stat().st_size
    assert door.intake.arrived == []
    assert door.events.named("PARTIAL_CLOSE")


def test_ctrl_c_in_openssh_is_a_clean_close(door: RunningDoor, tmp_path: Path) -> None:
    """No server can tell it from a finished upload (the client does not say how long the file is); it arrives."""
    need("sftp")
    endless = tmp_path / "endless.csv"
    with endless.open("wb") as file:
        file.truncate(3 * 1024 * MIB)
    sftp = subprocess.Popen(door.command("sftp", "-b", "-", "court@127.0.0.1"), stdin=subprocess.PIPE, text=True)
    assert sftp.stdin
    sftp.stdin.write(f"put {endless} /upload/endless.csv\n")
    sftp.stdin.flush()
    wait_until(lambda: door.uploaded("endless.csv").exists(), "the upload to begin")
    wait_until(lambda: door.uploaded("endless.csv").stat().st_size > MIB, "the first bytes")
    os.kill(sftp.pid, signal.SIGINT)
    sftp.stdin.close()
    sftp.wait(20)
    if door.intake.partial:  # it may stop between two pipelined writes that arrived out of order
        return
    assert door.arrival().size < 3 * 1024 * MIB


def psftp(door: RunningDoor, ppk: Path, *lines: str) -> subprocess.CompletedProcess[str]:
    need("psftp")
    shown = run("ssh-keygen", "-lf", door.keys / "host_ed25519.pub").stdout.split()[1]
    options = ["-batch", "-i", ppk, "-P", str(door.port), "-hostkey", shown, "-b", "/dev/stdin"]
    return run("psftp", *options, "court@127.0.0.1", input="\n".join(lines) + "\n")


def test_putty_psftp(door: RunningDoor, ppk: Path, big: Path, tmp_path: Path) -> None:
    back = tmp_path / "back.csv"
    done = psftp(door, ppk, "cd upload", f"put {big} big.csv", "mv big.csv b.csv", f"get b.csv {back}", "ls")
    assert done.returncode == 0, done.stdout + done.stderr
    assert back.read_bytes() == big.read_bytes()
    assert "b.csv" in done.stdout
    assert door.content(door.arrival()) == big.read_bytes()


def test_putty_resumes(door: RunningDoor, ppk: Path, big: Path) -> None:
    client = door.raw()
    client.write(client.open("/upload/big.csv"), 0, big.read_bytes()[:30_000])
    client.hang_up()
    door.tear()
    assert psftp(door, ppk, "cd upload", f"reput {big} big.csv").returncode == 0
    assert door.content(door.arrival()) == big.read_bytes()
    assert psftp(door, ppk, "cd upload", f"reput {big} big.csv").returncode == 0
    assert len(list(door.spool.all())) == 1


def test_putty_pscp(door: RunningDoor, ppk: Path, big: Path) -> None:
    need("pscp")
    shown = run("ssh-keygen", "-lf", door.keys / "host_ed25519.pub").stdout.split()[1]
    options = ["-sftp", "-batch", "-i", ppk, "-P", str(door.port), "-hostkey", shown]
    done = run("pscp", *options, big, "court@127.0.0.1:/upload/big.csv")
    assert done.returncode == 0, done.stdout + done.stderr
    assert door.content(door.arrival()) == big.read_bytes()


def test_lftp(door: RunningDoor, big: Path, tmp_path: Path) -> None:
    need("lftp")
    connect = " ".join(door.command("ssh", "-a", "-x")).replace(f"-p {door.port} ", "")
    back = tmp_path / "back.csv"
    script = (
        f'set sftp:connect-program "{connect}"; set sftp:auto-confirm yes; set net:max-retries 1;'
        f"open -u court, sftp://127.0.0.1:{door.port}; cd /upload; put {big} -o big.csv; cls -l;"
        f"get big.csv -o {back}; mv big.csv b.csv"
    )
    done = run("lftp", "-f", "/dev/stdin", input=script.replace(";", "\n"))
    assert done.returncode == 0, done.stderr
    assert back.read_bytes() == big.read_bytes()
    assert door.content(door.arrival()) == big.read_bytes()


def test_curl(open_door: Callable[..., RunningDoor], big: Path, tmp_path: Path) -> None:
    """Debian 12's is built with libssh2 1.10, which has neither AES-GCM nor encrypt-then-MAC."""
    need("curl")
    if "sftp" not in run("curl", "--version").stdout:
        pytest.skip("this curl is built without sftp")
    door = open_door(policy="compat")
    key = ["--key", door.keys / "id", "--pubkey", door.keys / "id.pub", "-u", "court:", "--insecure", "-sS"]
    url = f"sftp://127.0.0.1:{door.port}/upload/big.csv"
    done = run("curl", *key, "-T", big, url)
    assert done.returncode == 0, done.stderr
    assert door.content(door.arrival()) == big.read_bytes()
    back = tmp_path / "back.csv"
    assert run("curl", *key, "-o", back, url).returncode == 0
    assert back.read_bytes() == big.read_bytes()


def test_rclone(door: RunningDoor, big: Path, tmp_path: Path) -> None:
    """Debian's is built with an old pkg/sftp, which pads its last WRITE."""
    need("rclone")
    hashes = "shell_type=none,md5sum_command=none,sha1sum_command=none"
    place = f":sftp,host=127.0.0.1,port={door.port},user=court,key_file={door.keys / 'id'},{hashes}"
    options = ["--config", "/dev/null", "--retries", "1"]
    done = run("rclone", *options, "copyto", big, f"{place}:/upload/big.csv")
    assert done.returncode == 0, done.stderr
    assert door.content(door.arrival()) == big.read_bytes()
    back = tmp_path / "back.csv"
    assert run("rclone", *options, "copyto", f"{place}:/upload/big.csv", back).returncode == 0
    assert back.read_bytes() == big.read_bytes()


def test_paramiko(door: RunningDoor, big: Path, tmp_path: Path) -> None:
    client = door.paramiko()
    sftp = client.open_sftp()
    seen = sftp.put(str(big), "/upload/big.csv", confirm=True)
    assert seen.st_size == 3 * MIB
    assert door.content(door.arrival()) == big.read_bytes()
    sftp.get("/upload/big.csv", str(tmp_path / "back.csv"))
    assert (tmp_path / "back.csv").read_bytes() == big.read_bytes()
    sftp.rename("/upload/big.csv", "/upload/b.csv")
    sftp.utime("/upload/b.csv", (1_600_000_000, 1_600_000_000))
    assert sftp.stat("/upload/b.csv").st_mtime == 1_600_000_000
    with pytest.raises(FileNotFoundError):
        sftp.stat("/upload/big.csv")
    with pytest.raises(PermissionError):
        sftp.put(str(big), "/big.csv")
    client.close()


def test_fifty_sessions_at_once(open_door: Callable[..., RunningDoor], tmp_path: Path) -> None:
    need("sftp")
    door = open_door(durability="fsync")
    sessions = []
    for number in range(50):
        file = tmp_path / f"{number}.csv"
        file.write_bytes(os.urandom(50_000 + number))
        command = door.command("sftp", "-b", "-", "court@127.0.0.1")
        session = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        assert session.stdin
        session.stdin.write(f"put {file} /upload/\nget /upload/{file.name} {tmp_path}/back-{number}\n")
        session.stdin.close()
        sessions.append(session)
    assert [session.wait(90) for session in sessions] == [0] * 50
    door.arrival(50)
    for manifest in door.intake.arrived:
        assert door.content(manifest) == (tmp_path / manifest.name).read_bytes()


def test_a_rekey_in_mid_transfer(door: RunningDoor, big: Path, tmp_path: Path) -> None:
    need("sftp")
    command = door.command("sftp", "-o", "RekeyLimit=256K", "-b", "-", "court@127.0.0.1")
    back = tmp_path / "back.csv"
    done = run(*command, input=f"put {big} /upload/big.csv\nget /upload/big.csv {back}\n")
    assert done.returncode == 0, done.stderr
    assert back.read_bytes() == big.read_bytes()


def test_draining_lets_a_running_upload_end(open_door: Callable[..., RunningDoor]) -> None:
    door = open_door()
    client = door.raw()
    handle = client.open("/upload/ecr.csv.filepart")
    client.write(handle, 0, b"01234")
    draining = threading.Thread(target=door.drain, args=(10,))
    draining.start()
    time.sleep(0.3)
    with pytest.raises((OSError, paramiko.SSHException, EOFError)):
        door.paramiko()
    client.write(handle, 5, b"56789")
    client.close(handle)
    client.rename("/upload/ecr.csv.filepart", "/upload/ecr.csv")
    draining.join()
    assert door.arrival().size == 10


def test_draining_tears_what_does_not_end(open_door: Callable[..., RunningDoor]) -> None:
    door = open_door()
    client = door.raw()
    client.write(client.open("/upload/ecr.csv"), 0, b"01234")
    door.drain(0.2)
    entry = door.journal.find("court", "/upload/ecr.csv")
    assert entry
    assert (entry.state, entry.covered) == (State.TORN, ((0, 5),))
    assert door.intake.partial == [entry]
