"""Networks as people write them, and the name under which an address is counted."""

import pytest

from server.networks import contains, group, parse_networks, plain


def test_a_list_has_spaces_or_commas() -> None:
    networks = parse_networks(" 10.1.0.0/16, 2001:db8::/32  192.0.2.7 ")
    assert [str(network) for network in networks] == ["10.1.0.0/16", "2001:db8::/32", "192.0.2.7/32"]
    assert parse_networks("") == ()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("10.1.2.3/16", "The network is 10.1.0.0/16."),
        ("2001:db8::1/64", "The network is 2001:db8::/64."),
        ("court.example", "'court.example' is no network"),
        ("10.0.0.0/33", "is no network"),
        ("10.0.0.0/8/8", "is no network"),
    ],
)
def test_what_is_no_network_is_told_with_the_right_one(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match="network") as refused:
        parse_networks(text)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("/run/socket", "/run/socket"),
    ],
)
def test_ipv6_counts_by_subscriber(address: str, name: str) -> None:
    assert group(address) == name


def test_an_address_is_in_a_network_of_its_family() -> None:
    networks = parse_networks("10.1.0.0/16 2001:db8::/32")
    inside = ("10.1.255.1", "::ffff:10.1.0.1", "2001:db8:ffff::1")
    outside = ("10.2.0.1", "2001:db9::1", "", "nonsense")
    assert [contains(networks, address) for address in (*inside, *outside)] == [True] * 3 + [False] * 4


def test_an_address_is_written_as_people_write_it() -> None:
    assert [plain(text) for text in ("::ffff:192.0.2.7", "2001:DB8::1", "")] == ["192.0.2.7", "2001:db8::1", ""]


def test_a_network_of_ipv4_may_be_written_as_one_of_ipv6() -> None:
    networks = parse_networks("::ffff:10.0.0.0/104 ::/0")
    assert [str(network) for network in networks] == ["10.0.0.0/8", "::/0"]
    assert contains(networks, "10.1.2.3")
    assert not contains(networks, "192.0.2.7")
