"""PROXY protocol, version 2: what a load balancer says before SSH begins about the client it speaks for.

    signature 12 bytes | version and command | family and transport | length, 2 bytes | addresses, then TLVs

(haproxy's doc/proxy-protocol.txt, section 2.2.) Only the addresses matter here. TLVs are skipped, and a checksum among
them is not looked at: TCP has one, and whoever could change the header could also change that.
"""

import ipaddress
import struct
from dataclasses import dataclass

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
FIXED = 16
MOST = 4096  # with the TLVs; what load balancers send is below 600

VERSION = 2
LOCAL, PROXY = 0, 1
TCP4, TCP6 = 0x11, 0x21
UNSPECIFIED, UNIX = 0x00, 0x31

Peer = tuple[str, int]


class NotProxy(ValueError):  # noqa: N818  it says what the bytes are
    """The bytes are no header that we take; the text says why."""


@dataclass(frozen=True)
class Header:
    """A whole header: its length in bytes, and the client; None if the load balancer speaks for itself."""

    length: int
    client: Peer | None


def read_header(data: bytes) -> Header | None:
    """The header that `data` begins with; None while it is not whole. Raises `NotProxy` as soon as it cannot be one."""
    if not SIGNATURE.startswith(data[: len(SIGNATURE)]):
        version_1 = data.startswith(b"PROXY ")
        raise NotProxy("it sent version 1 of the PROXY protocol" if version_1 else "it sent no PROXY header")
    if len(data) < FIXED:
        return None
    command, family, length = struct.unpack_from(">BBH", data, len(SIGNATURE))
    if command >> 4 != VERSION or command & 0x0F not in (LOCAL, PROXY):
        raise NotProxy("its PROXY header has another version or command")
    if FIXED + length > MOST:
        raise NotProxy("its PROXY header is too long")
    if len(data) < FIXED + length:
        return None
    body = data[FIXED : FIXED + length]
    return Header(FIXED + length, None if command & 0x0F == LOCAL else _client(family, body))


def _client(family: int, body: bytes) -> Peer | None:
    if family in (UNSPECIFIED, UNIX):
        return None
    if family not in (TCP4, TCP6):
        raise NotProxy("its PROXY header is of another transport than TCP")
    size = 4 if family == TCP4 else 16
    if len(body) < 2 * size + 4:
        raise NotProxy("its PROXY header is too short for its addresses")
    address = ipaddress.ip_address(body[:size])
    (port,) = struct.unpack_from(">H", body, 2 * size)
    return str(address), port
