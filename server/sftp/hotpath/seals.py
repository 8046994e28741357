"""The packet ciphers, in place: what is opened or sealed stays where it lies in a buffer.

A packet is `length(4) | body(length) | tag`, RFC 4253 section 6, where body is padding length, payload and padding.
The ciphers are those that authenticate before they decrypt: AES-GCM (RFC 5647, as section 1.6 of OpenSSH's PROTOCOL has
it), chacha20-poly1305 (PROTOCOL.chacha20poly1305), and AES-CTR with an encrypt-then-MAC HMAC (PROTOCOL section 1.5).

A seal also is an asyncssh `Encryption`, since asyncssh's own code handles some packets of the same connection.
"""

import hmac
import struct
from typing import Any

from asyncssh.encryption import ChachaEncryption, Encryption, ETMEncryption, GCMEncryption
from asyncssh.misc import MACError
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.poly1305 import Poly1305

LENGTH = 4
# HMAC needs the packet's number in front of the packet in one piece; so many bytes before it belong to the seal.
HEADROOM = 4

_UINT32 = struct.Struct(">I")


class Seal(Encryption):
    """One direction of a connection: opens or seals packet after packet, in their order.

    `at` is where a packet begins in `view`, with `HEADROOM` bytes before it and `tag_size` behind it; `length` is what
    its length field says, `number` its sequence number. `open` raises `MACError` for a packet that was changed.
    """

    tag_size: int

    def __init__(self) -> None:
        self._opened: bytes | None = None

    def read_length(self, number: int, view: memoryview, at: int) -> int:
        """The length field, which is encrypted or not, of a packet of which at least four bytes are there."""
        length: int = _UINT32.unpack_from(view, at)[0]
        return length

    def open(self, number: int, view: memoryview, at: int, length: int) -> None:
        """Check a whole packet and decrypt its body."""
        raise NotImplementedError

    def seal(self, number: int, view: memoryview, at: int, length: int) -> None:
        """Encrypt a packet whose length field and body are there, and put its tag behind it."""
        raise NotImplementedError

    # What asyncssh's own code calls

    def hand_over(self, body: bytes) -> None:
        """The packet that asyncssh asks for next has been opened already, and this is its body."""
        self._opened = body

    def encrypt_packet(self, seq: int, header: bytes, packet: bytes) -> tuple[bytes, bytes]:
        """Seal one packet; it and its tag."""
        view, end = memoryview(bytearray(HEADROOM + LENGTH + len(packet) + self.tag_size)), LENGTH + len(packet)
        view[HEADROOM : HEADROOM + end] = header + packet
        self.seal(seq, view, HEADROOM, len(packet))
        return bytes(view[HEADROOM : HEADROOM + end]), bytes(view[HEADROOM + end :])

    def decrypt_header(self, seq: int, first_block: bytes, header_len: int) -> tuple[bytes, bytes]:
        """The first block as it is, and the packet's length field."""
        return first_block, _UINT32.pack(self.read_length(seq, memoryview(first_block), 0))

    def decrypt_packet(self, seq: int, first: bytes, rest: bytes, header_len: int, mac: bytes) -> bytes | None:
        """The body of one packet; None if it was changed."""
        opened, self._opened = self._opened, None
        if opened is not None:
            return opened
        length = len(first) + len(rest) - LENGTH
        view = memoryview(bytearray(bytes(HEADROOM) + first + rest + mac))
        try:
            self.open(seq, view, HEADROOM, length)
        except MACError:
            return None
        return bytes(view[HEADROOM + LENGTH : HEADROOM + LENGTH + length])


class GcmSeal(Seal):
    """AES-GCM. The nonce is a fixed part and a counter of the packets (RFC 5647 section 7.1)."""

    tag_size = 16

    def __init__(self, key: bytes, nonce: bytes) -> None:
        super().__init__()
        self._cipher = AESGCM(key)
        self._fixed, self._counter = nonce[:4], int.from_bytes(nonce[4:], "big")

    def open(self, number: int, view: memoryview, at: int, length: int) -> None:
        """Check a whole packet and decrypt its body; the length field is authenticated."""
        body, end = at + LENGTH, at + LENGTH + length
        try:
            self._cipher.decrypt_into(self._nonce(), view[body : end + 16], view[at:body], view[body:end])
        except InvalidTag:
            raise MACError("MAC verification failed") from None

    def seal(self, number: int, view: memoryview, at: int, length: int) -> None:
        """Encrypt the body and put the tag behind it."""
        body, end = at + LENGTH, at + LENGTH + length
        self._cipher.encrypt_into(self._nonce(), view[body:end], view[at:body], view[body : end + 16])

    def _nonce(self) -> bytes:
        counter = self._counter
        self._counter = (counter + 1) & 0xFFFF_FFFF_FFFF_FFFF
        return self._fixed + counter.to_bytes(8, "big")


class ChachaSeal(Seal):
    """chacha20-poly1305@openssh.com: one key for bodies and tags, another for the length fields."""

    tag_size = 16

    def __init__(self, key: bytes, length_key: bytes) -> None:
        super().__init__()
        self._body = Cipher(ChaCha20(key, bytes(16)), None).encryptor()
        self._length = Cipher(ChaCha20(length_key, bytes(16)), None).encryptor()

    def read_length(self, number: int, view: memoryview, at: int) -> int:
        """Decrypt the length field, without changing it."""
        self._length.reset_nonce(_chacha_nonce(number))
        length: int = _UINT32.unpack(self._length.update(view[at : at + LENGTH]))[0]
        return length

    def open(self, number: int, view: memoryview, at: int, length: int) -> None:
        """Check a whole packet and decrypt its body."""
        end = at + LENGTH + length
        tag_key = self._start(number)
        try:
            Poly1305.verify_tag(tag_key, view[at:end], bytes(view[end : end + 16]))
        except InvalidSignature:
            raise MACError("MAC verification failed") from None
        self._body.update_into(view[at + LENGTH : end], view[at + LENGTH : end])

    def seal(self, number: int, view: memoryview, at: int, length: int) -> None:
        """Encrypt length field and body, and put the tag behind them."""
        end = at + LENGTH + length
        tag_key = self._start(number)
        self._length.reset_nonce(_chacha_nonce(number))
        view[at : at + LENGTH] = self._length.update(view[at : at + LENGTH])
        self._body.update_into(view[at + LENGTH : end], view[at + LENGTH : end])
        view[end : end + 16] = Poly1305.generate_tag(tag_key, view[at:end])

    def _start(self, number: int) -> bytes:
        """Begin the key stream of one packet; the tag's key. The first block of the stream is for that alone."""
        self._body.reset_nonce(_chacha_nonce(number))
        return self._body.update(bytes(64))[:32]


class CtrSeal(Seal):
    """AES-CTR and an encrypt-then-MAC HMAC over the packet's number, its length field and its encrypted body."""

    def __init__(self, stream: Any, key: bytes, digest: str, tag_size: int) -> None:
        super().__init__()
        self.tag_size = tag_size
        self._stream, self._key, self._digest = stream, key, digest

    def open(self, number: int, view: memoryview, at: int, length: int) -> None:
        """Check a whole packet and decrypt its body."""
        end = at + LENGTH + length
        if not hmac.compare_digest(self._tag(number, view, at, end), view[end : end + self.tag_size]):
            raise MACError("MAC verification failed")
        self._stream.update_into(view[at + LENGTH : end], view[at + LENGTH : end])

    def seal(self, number: int, view: memoryview, at: int, length: int) -> None:
        """Encrypt the body and put the tag behind it."""
        end = at + LENGTH + length
        self._stream.update_into(view[at + LENGTH : end], view[at + LENGTH : end])
        view[end : end + self.tag_size] = self._tag(number, view, at, end)

    def _tag(self, number: int, view: memoryview, at: int, end: int) -> bytes:
        before = bytes(view[at - HEADROOM : at])  # perhaps the tag of the packet before this one
        _UINT32.pack_into(view, at - HEADROOM, number)
        tag = hmac.digest(self._key, view[at - HEADROOM : end], self._digest)
        view[at - HEADROOM : at] = before
        return tag


def seal_like(encryption: Any, *, sending: bool) -> Encryption | None:
    """A seal that goes on where asyncssh's `encryption` stands; that itself if it is of another kind (or None)."""
    if type(encryption) is GCMEncryption:
        return GcmSeal(encryption._cipher._key, encryption._cipher._iv)
    if type(encryption) is ChachaEncryption:
        return ChachaSeal(encryption._cipher._key, encryption._cipher._adkey)
    if type(encryption) is ETMEncryption and (mac := _digest_of(encryption._mac)):
        cipher = encryption._cipher
        begun = cipher._encryptor if sending else cipher._decryptor
        stream = begun or (cipher._cipher.encryptor() if sending else cipher._cipher.decryptor())
        return CtrSeal(stream, encryption._mac._key, *mac)
    whatever: Encryption | None = encryption
    return whatever


def _digest_of(mac: Any) -> tuple[str, int] | None:
    """The digest's name and the tag's size of an HMAC that is not cut short."""
    alg = getattr(mac, "_hash_alg", None)
    if alg is None:
        return None
    digest = alg()
    return (digest.name, mac._hash_size) if digest.digest_size == mac._hash_size else None


def _chacha_nonce(number: int) -> bytes:
    """A block counter of zero, and the packet's number as eight bytes."""
    return bytes(12) + number.to_bytes(4, "big")
