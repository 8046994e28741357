"""Agreeing on algorithms; and if that fails, saying to both sides why, and what would help.

A client tells its lists in SSH_MSG_KEXINIT (RFC 4253 section 7.1). When one of them has nothing in common with ours the
connection is over before anybody has logged in, and all that the client's person sees is one sentence.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import asyncssh

from server.settings import Policy
from server.sftp.algorithms import POLICIES, Algorithms
from server.sftp.protocol import SSHConnection

MOST_NAMES = 40
LONGEST_NAME = 64
COOKIE = 16
LISTS = 6


@dataclass(frozen=True)
class Offer:
    """The names a client offered, in its order: `inward` from it to us, `outward` from us to it, ciphers and MACs."""

    key_exchanges: tuple[str, ...]
    host_keys: tuple[str, ...]
    inward: tuple[tuple[str, ...], tuple[str, ...]]
    outward: tuple[tuple[str, ...], tuple[str, ...]]

    def as_words(self) -> dict[str, list[str]]:
        """The same for people: names by what they are of."""
        both = zip(self.inward, self.outward, strict=True)
        ciphers, macs = ([*dict.fromkeys(there + back)] for there, back in both)
        exchanges, host_keys = list(self.key_exchanges), list(self.host_keys)
        return {"key exchange": exchanges, "host key": host_keys, "cipher": ciphers, "MAC": macs}


class Listener(Protocol):
    """Is told that a client and we have nothing in common."""

    def disagree(self, offer: Offer, host_keys: Collection[str]) -> str:
        """Take note, and say the sentence for the client. `host_keys` are the names that our host keys sign under."""
        ...


class Negotiation(SSHConnection):
    """An SSH connection that does not end wordlessly when the two sides have nothing in common.

    What asyncssh calls its owner must be a `Listener`.
    """

    def _choose_alg(self, alg_type: str, local_algs: Sequence[bytes], remote_algs: Sequence[bytes]) -> bytes:
        try:
            chosen: bytes = super()._choose_alg(alg_type, local_algs, remote_algs)
        except asyncssh.KeyExchangeFailed:
            raise self._disagreement() from None
        return chosen

    def choose_server_host_key(self, peer_host_key_algs: Sequence[bytes]) -> bool:
        """As asyncssh's, which ends with a bare "unable" where this ends with a sentence."""
        if not super().choose_server_host_key(peer_host_key_algs):
            raise self._disagreement()
        return True

    def _disagreement(self) -> asyncssh.KeyExchangeFailed:
        held = {name.decode() for name in self._server_host_keys}
        listener = cast(Listener, cast(Any, self)._owner)
        return asyncssh.KeyExchangeFailed(listener.disagree(read_offer(self._client_kexinit), held))


def read_offer(payload: bytes) -> Offer:
    """The lists in the payload of a KEXINIT. Names are cut to what a log line can hold: printable and not too many."""
    lists = list(_name_lists(payload))
    lists += [()] * (LISTS - len(lists))
    exchanges, host_keys, ciphers_in, ciphers_out, macs_in, macs_out = lists
    return Offer(exchanges, host_keys, inward=(ciphers_in, macs_in), outward=(ciphers_out, macs_out))


def _name_lists(payload: bytes) -> Iterator[tuple[str, ...]]:
    at = 1 + COOKIE
    for _ in range(LISTS):
        length = int.from_bytes(payload[at : at + 4], "big")
        names = payload[at + 4 : at + 4 + length].split(b",", MOST_NAMES)[:MOST_NAMES]
        yield tuple(_printable(name) for name in names if name)
        at += 4 + length


def _printable(name: bytes) -> str:
    return "".join(character for character in name[:LONGEST_NAME].decode("ascii", "replace") if character.isprintable())


def find_missing(offer: Offer, policy: Algorithms, host_keys: Collection[str]) -> tuple[str, ...]:
    """In what the client and the policy have nothing in common; empty if they get along. `host_keys` are ours."""
    missing = []
    if not _first(offer.key_exchanges, policy.key_exchanges):
        missing.append("key exchange")
    if not _first(offer.host_keys, [name for name in policy.host_keys if name in host_keys]):
        missing.append("host key")
    for ciphers, macs in (offer.inward, offer.outward):
        cipher = _first(ciphers, policy.ciphers)
        if not cipher:
            missing.append("cipher")
        if not _authenticates(cipher) and not _first(macs, policy.macs):
            missing.append("MAC")
    return tuple(dict.fromkeys(missing))


def find_fitting(offer: Offer, host_keys: Collection[str]) -> tuple[Policy, ...]:
    """The policies under which the client could come in, in the order of `POLICIES`."""
    return tuple(name for name, policy in POLICIES.items() if not find_missing(offer, policy, host_keys))


def _first(theirs: Sequence[str], ours: Sequence[str]) -> str:
    """The choice of RFC 4253 section 7.1: the client's first that is ours too."""
    return next((name for name in theirs if name in ours), "")


def _authenticates(cipher: str) -> bool:
    """Whether a cipher needs no MAC beside it."""
    return "gcm" in cipher or "poly1305" in cipher
