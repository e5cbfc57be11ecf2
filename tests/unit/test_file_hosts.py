"""Hosts and ports that files are fetched from, and addresses that none may have."""

import ipaddress

import pytest

from ml_backend.labelstudio.files.hosts import FileHosts, is_inside

HOSTS = FileHosts(
    ["http://labels.example:8080/", "https://people.example"],
    ["images.example", "Minio.example:9000", "[fd00::7]:9000", "secure.example:443"],
)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.9.1", "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.170.2"),
        *("100.100.100.200", "168.63.129.16", "::", "::1", "fe80::1", "fe80::1%eth0"),
        *("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:c1::a9fe:a9fe", "fd00:42::42"),
        # What stands for 127.0.0.1 or 169.254.169.254: mapped, translated, compatible, NAT64.
        *("::ffff:127.0.0.1", "::ffff:0:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1"),
        *("64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "::ffff:100.100.100.200"),
        # By 6to4, and by Teredo, whose client is written inverted.
        *("2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:5ef5:79fb:0:0:80ff:fffe"),
    ],
)
def test_addresses_inside_this_machine_or_its_cloud(address):
    assert is_inside(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        # Storages live in private networks, and S3 behind NAT64.
        *("10.0.0.7", "172.16.0.7", "192.168.1.7", "100.64.0.7", "fd00::7", "fd12:3456::1"),
        *("52.216.1.1", "2600:1f18::1", "64:ff9b::34d8:101", "64:ff9b::a00:7", "2002:34d8:101::"),
        *("::ffff:52.216.1.1", "::ffff:10.0.0.7", "168.63.129.17"),
    ],
)
def test_addresses_of_storages(address):
    assert not is_inside(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("url", "listed", "known"),
    [
        ("http://labels.example:8080/a", False, True),
        ("http://LABELS.example:8080/a", False, True),
        ("http://labels.example/a", False, False),
        ("http://labels.example:9000/a", False, False),
        ("https://people.example/a", False, True),
        ("https://people.example:443/a", False, True),
        ("http://people.example/a", False, False),
        ("http://people.example:443/a", False, True),
        ("http://images.example:1234/a", True, True),
        ("http://minio.example:9000/a", True, True),
        ("http://minio.example/a", False, False),
        ("http://[fd00::7]:9000/a", True, True),
        ("http://[fd00::7]/a", False, False),
        ("https://secure.example/a", True, True),
        ("http://secure.example/a", False, False),
    ],
)
def test_hosts_are_compared_with_their_ports(url, listed, known):
    assert HOSTS.lists(url) is listed
    assert (HOSTS.extensions(url) == {}) is known
