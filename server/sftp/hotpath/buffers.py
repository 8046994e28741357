"""The two buffers of one event loop, shared by all its connections.

The loop reads from one socket at a time and everything that was read is dealt with before it reads again; what is sent
is handed to the kernel before anything else is laid out. So a thousand sessions need one buffer of each kind, and an
idle one needs none.
"""

# Room in front of what is read, for the beginning of a packet that came with the read before: the longest packet that
# asyncssh accepts is 256 KiB or a little more, and a seal wants some bytes in front of it.
ROOM = 512 * 1024
# As much as one session gets before another's turn: in tiny packets this is some hundredths of a second.
RECEIVE = 256 * 1024
SEND = 1024 * 1024
# A client that takes 5 KiB a second must have taken this before it is asked, three times, whether it still lives.
UNSENT = 256 * 1024


class Buffers:
    """`receive` holds what was read behind `ROOM` bytes; in `send`, packets are laid out and sealed."""

    def __init__(self) -> None:
        self.receive = memoryview(bytearray(ROOM + RECEIVE))
        self.send = memoryview(bytearray(SEND))

    @property
    def reading(self) -> memoryview:
        """Where the transport puts what it reads."""
        return self.receive[ROOM:]
