"""asyncssh's connection, with what it does not tell of itself."""

from typing import Any

from server.sftp.negotiation import Negotiation


class Line(Negotiation):
    """An `SSHServerConnection` whose extra info also has `kex`, the key exchange that was agreed on last."""

    def send_newkeys(self, k: bytes, h: bytes) -> None:
        """The key exchange is done; asyncssh forgets it here."""
        kex: Any = self._kex
        self.set_extra_info(kex=kex.algorithm.decode("ascii"))
        super().send_newkeys(k, h)
