"""`python -m bench.keeper COMMAND ...`: runs a server and waits for every process it leaves behind.

sshd does not wait for the processes of its sessions, so the CPU they used would be lost when they end. A keeper is
their new parent (PR_SET_CHILD_SUBREAPER, prctl(2)) and waits for them, so that the kernel adds their time to its own.
"""

import ctypes
import os
import signal
import subprocess
import sys

PR_SET_CHILD_SUBREAPER = 36


def main(command: list[str]) -> int:
    """Run the command until it ends; SIGTERM is passed on. Gives its exit status."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    server = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(server.pid, signal.SIGTERM))
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == server.pid:
            return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
