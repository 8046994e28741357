"""The programs courts really use, against the running server: each sends a file, lists it and fetches it back."""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import paramiko

from tests.acceptance.conftest import make_court
from tests.acceptance.court import Court, Dropslot, ecr, ecr_row, need, run_quietly, wait_for

CONTENT = ecr(*(ecr_row(number) for number in range(500)))


def check(court: Court, back: Path) -> None:
    """What was sent is what came back, and what was ingested."""
    assert back.read_bytes() == CONTENT
    [upload] = court.settled()
    assert upload["rows"] == 500
    assert upload["status"] == "processed"


def test_openssh_sftp(court: Court) -> None:
    court.push("ecr.txt", CONTENT)
    court.sftp(f'get /upload/ecr.txt "{court.folder}/back"')
    check(court, court.folder / "back")


def test_openssh_scp(court: Court) -> None:
    file, back = court.write("ecr.txt", CONTENT), court.folder / "back"
    scp = [need("scp"), "-s", "-P", str(court.dropslot.port), "-i", str(court.key), *court.ssh_options()]
    sent = run_quietly([*scp, str(file), f"{court.slug}@127.0.0.1:/upload/ecr.txt"])
    assert sent.returncode == 0, sent.stderr
    assert run_quietly([*scp, f"{court.slug}@127.0.0.1:/upload/ecr.txt", str(back)]).returncode == 0
    check(court, back)


def test_putty_psftp(court: Court) -> None:
    file, back, ppk = court.write("ecr.txt", CONTENT), court.folder / "back", court.folder / "court.ppk"
    assert run_quietly([need("puttygen"), str(court.key), "-O", "private", "-o", str(ppk)]).returncode == 0
    batch = court.write("batch", f"put {file} /upload/ecr.txt\nls /upload\nget /upload/ecr.txt {back}\n".encode())
    fingerprint = _fingerprint(court)
    command = [need("psftp"), "-batch", "-P", str(court.dropslot.port), "-i", str(ppk), "-hostkey", fingerprint]
    done = run_quietly([*command, "-b", str(batch), f"{court.slug}@127.0.0.1"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ecr.txt" in done.stdout
    check(court, back)


def test_lftp(court: Court) -> None:
    file, back = court.write("ecr.txt", CONTENT), court.folder / "back"
    ssh = " ".join(["ssh", "-a", "-x", "-i", str(court.key), *court.ssh_options()])
    script = (
        f'set sftp:connect-program "{ssh}"; set net:max-retries 1; open -u {court.slug}, sftp://127.0.0.1:{court.dropslot.port};'
        f" put {file} -o /upload/ecr.txt; cls /upload; get /upload/ecr.txt -o {back}; bye"
    )
    done = run_quietly([need("lftp"), "-c", script])
    assert done.returncode == 0, done.stderr
    check(court, back)


def test_curl(dropslot: Dropslot, tmp_path: Path) -> None:
    """Debian 12's is built with libssh2 1.10, which has neither AES-GCM nor encrypt-then-MAC."""
    court = make_court(dropslot, tmp_path / "court", "gwinnett")
    dropslot.start("--policy", "compat")
    file, back = court.write("ecr.txt", CONTENT), court.folder / "back"
    url = f"sftp://127.0.0.1:{court.dropslot.port}/upload/ecr.txt"
    curl = [
        need("curl"),
        "-sS",
        "--insecure",
        "--user",
        f"{court.slug}:",
        "--key",
        str(court.key),
        "--pubkey",
        f"{court.key}.pub",
    ]
    sent = run_quietly([*curl, "-T", str(file), url])
    assert sent.returncode == 0, sent.stderr
    assert run_quietly([*curl, "-o", str(back), url]).returncode == 0
    check(court, back)


def test_rclone(court: Court) -> None:
    file, back = court.write("ecr.txt", CONTENT), court.folder / "back"
    remote = (
        f":sftp,host=127.0.0.1,port={court.dropslot.port},user={court.slug},key_file='{court.key}',shell_type=none:"
    )
    rclone = [need("rclone"), "--config", str(court.folder / "none.conf"), "--retries", "1"]
    sent = run_quietly([*rclone, "copyto", str(file), f"{remote}/upload/ecr.txt"])
    assert sent.returncode == 0, sent.stderr
    assert run_quietly([*rclone, "copyto", f"{remote}/upload/ecr.txt", str(back)]).returncode == 0
    check(court, back)


def test_paramiko(court: Court) -> None:
    file, back = court.write("ecr.txt", CONTENT), court.folder / "back"
    with paramiko.SSHClient() as client:
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        client.connect("127.0.0.1", court.dropslot.port, court.slug, key_filename=str(court.key), look_for_keys=False)
        sftp = client.open_sftp()
        assert sftp.put(str(file), "/upload/ecr.txt").st_size == len(CONTENT)
        assert sorted(sftp.listdir("/")) == ["download", "upload"]
        sftp.get("/upload/ecr.txt", str(back))
    check(court, back)


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


def _fingerprint(court: Court) -> str:
    """The host key's fingerprint as `dropslot doctor` shows it to whoever sets up WinSCP or PuTTY."""
    findings = wait_for(lambda: court.dropslot.run("doctor", "--json", check=False).stdout, "the doctor")
    return next(word for word in findings.replace('"', " ").split() if word.startswith("SHA256:"))
