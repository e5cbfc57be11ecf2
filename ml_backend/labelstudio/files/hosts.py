"""Which hosts files are fetched from, and which addresses no host may have."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from ml_backend.errors import MediaError

__all__ = ["FileHosts", "is_inside"]

_PORTS: Final = {"http": 80, "https": 443}
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: This machine, its link, and where clouds tell a machine its secrets. Other private networks are
#: open: many storages live there.
_INSIDE: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            *("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "::/128", "::1/128", "fe80::/10"),
            # Alibaba's, Azure's, Amazon's, Google's, Oracle's and Scaleway's.
            *("100.100.100.200/32", "168.63.129.16/32", "fd00:ec2::/32", "fd20:ce::254/128"),
            *("fd00:c1::a9fe:a9fe/128", "fd00:42::42/128"),
        ),
    )
)
#: IPv6 networks whose addresses end with an IPv4 address, which is then what is reached: mapped,
#: translated, by NAT64 (RFC 6052 and 8215), and compatible.
_ENDS_WITH_IPV4: Final = tuple(
    map(
        ipaddress.IPv6Network,
        ("::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "::/96"),
    )
)


class FileHosts:
    """Compares the hosts of addresses; where they are not known, what lies behind their names.

    Args:
        homes: addresses of Label Studio; of their hosts only these ports are known.
        listed: the hosts that the owner of the machine lists, as host or host:port.
    """

    def __init__(self, homes: Sequence[str], listed: Sequence[str]) -> None:
        self._homes = {_place(httpx.URL(home)) for home in homes}
        entries = [urlsplit(f"//{entry}") for entry in listed]
        self._listed = {(entry.hostname or "", entry.port) for entry in entries}

    def lists(self, url: str) -> bool:
        """Whether the owner of the machine has listed an address' host, or just this port of it."""
        host, port = _place(httpx.URL(url))
        return not self._listed.isdisjoint({(host, None), (host, port)})

    def extensions(self, url: str) -> dict[str, Any]:
        """Return what a request carries, so that no name leads inside but a known one."""
        known = self.lists(url) or _place(httpx.URL(url)) in self._homes
        return {} if known else {"trace": _refuse_inside}


def is_inside(found: _Address) -> bool:
    """Whether an address is of this machine, its link, or of its cloud's own services."""
    return any(one in network for one in _reached(found) for network in _INSIDE)


def _reached(found: _Address) -> list[_Address]:
    """Return an address and those that it stands for."""
    reached: list[_Address] = [found]
    if isinstance(found, ipaddress.IPv6Address):
        if any(found in network for network in _ENDS_WITH_IPV4):
            reached.append(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF))
        reached += [one for one in (found.sixtofour, *(found.teredo or ())) if one is not None]
    return reached


def _refuse_inside(event: str, info: dict[str, Any]) -> None:
    """Look at the address behind a name once it is connected to, before anything is sent."""
    if not event.endswith("connect_tcp.complete"):
        return
    found = ipaddress.ip_address(info["return_value"].get_extra_info("server_addr")[0])
    if is_inside(found):
        info["return_value"].close()
        found = getattr(found, "ipv4_mapped", None) or found
        raise MediaError(
            f"lies at {found}, inside this machine or its cloud; if that is meant, add its host "
            "and port (host:port) to RELOOK_MEDIA_HOSTS"
        )


def _place(url: httpx.URL) -> tuple[str, int | None]:
    return url.host, url.port or _PORTS.get(url.scheme)
