"""Networks in CIDR notation: reading a list of them, and where an address belongs."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# What one customer of a provider is given (RFC 6177): whoever has one such address has 2^64 of them.
SUBSCRIBER_BITS = 64
MAPPED_BITS = 96  # of an IPv4 address that is written as one of IPv6, those before the address itself


def parse_networks(text: str) -> tuple[Network, ...]:
    """The networks of a list with spaces or commas between, such as `10.1.0.0/16 2001:db8::/32`.

    Raises ValueError with a sentence for anything else, also for an address with bits beyond its prefix.
    """
    return tuple(_network(word) for word in text.replace(",", " ").split())


def _network(word: str) -> Network:
    try:
        return _unmapped(ipaddress.ip_network(word))
    except ValueError:
        pass
    try:
        meant = ipaddress.ip_network(word, strict=False)
    except ValueError as error:
        raise ValueError(f"'{word}' is no network. Write it as 203.0.113.0/24 or 2001:db8::/32.") from error
    raise ValueError(f"'{word}' has bits set beyond its prefix. The network is {meant}.")


def _unmapped(network: Network) -> Network:
    """A network; one of `::ffff:10.0.0.0/104` and the like is that of IPv4, as are addresses."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    if mapped is None or network.prefixlen < MAPPED_BITS:
        return network
    return ipaddress.ip_network((int(mapped), network.prefixlen - MAPPED_BITS))


@lru_cache(maxsize=4096)
def group(address: str) -> str:
    """The name under which an address is counted: an IPv4 address itself, an IPv6 one its /64 network.

    A text that is no address (a socket of another family) is its own name.
    """
    try:
        found = _address(address)
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    return str(ipaddress.ip_network((int(found), SUBSCRIBER_BITS), strict=False))


def plain(address: str) -> str:
    """The address as people write it: one of IPv4 also where the socket is for both families."""
    try:
        return str(_address(address))
    except ValueError:
        return address


def contains(networks: Iterable[Network], address: str) -> bool:
    """Whether the address is in one of the networks."""
    try:
        found = _address(address)
    except ValueError:
        return False
    return any(found in network for network in networks)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address; one of IPv4 that a socket for both families writes as `::ffff:192.0.2.1` is that of IPv4."""
    found = ipaddress.ip_address(text.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found
