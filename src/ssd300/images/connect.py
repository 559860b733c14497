"""HTTP connections to checked addresses, cut at a deadline even if the server keeps sending slowly."""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

_GLOBAL = ipaddress.ip_network("2000::/3")
_INSIDE = (
    ipaddress.ip_network("192.0.0.0/24"),  # of protocols, and a cloud's metadata: Python before 3.12.4 has it as public
    ipaddress.ip_network("168.63.129.16/32"),  # Azure's own server for its virtual machines
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_ISATAP = 0x00005EFE  # in front of an IPv4 address, with or without the bit for "global"

Addresses = Sequence[tuple[int, Any]]  # (family, address) as getaddrinfo gives them


class Refused(Exception):
    """The reason why one hop failed, without the address."""


def resolve_checked(host: str, port: int, allow_private: bool) -> Addresses:
    """The addresses of a host. Raises Refused if one is not public, unless `allow_private`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        raise Refused(f"the name {host!r} cannot be resolved ({error}); check the address and the network") from error
    addresses = [(family, address) for family, _, _, _, address in found]
    for _, address in addresses:
        if not allow_private and not is_public(str(address[0])):
            raise Refused(
                f"{host} is this machine or in a private network, which is refused; "
                "SSD300_ALLOW_PRIVATE_URLS=1 allows it, but never to a server's clients"
            )
    return addresses


def is_public(address: str) -> bool:
    """Whether an IP address is public; an IPv4 address inside an IPv6 one is checked as IPv4.

    >>> is_public("10.0.0.1"), is_public("::ffff:127.0.0.1"), is_public("93.184.216.34")
    (False, False, True)
    """
    ip = ipaddress.ip_address(address.split("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = _embedded_ipv4(ip)
        if inner is not None:
            return is_public(str(inner))
        if ip not in _GLOBAL:  # an allow-list: new special ranges are outside of it
            return False
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _INSIDE)


def _embedded_ipv4(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address to which packets for this IPv6 address are routed."""
    if ip in _NAT64 or (int(ip) >> 32) & 0xFDFFFFFF == _ISATAP:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)


class PlainConnection(http.client.HTTPConnection):
    """HTTP to the first of the given addresses that answers before a deadline."""

    def __init__(self, host: str, port: int, addresses: Addresses, deadline: float, silence: float) -> None:
        super().__init__(host, port, timeout=silence)
        self.addresses, self.deadline, self.silence = addresses, deadline, silence
        self.connected: socket.socket | None = None  # stays when `sock` is given to the answer

    def connect(self) -> None:
        self.connected = self.sock = connect_first(self.addresses, self.deadline, self.silence)


class TLSConnection(PlainConnection):
    """HTTPS to the first of the given addresses that answers; the certificate must be the host's."""

    default_port = http.client.HTTPS_PORT

    def connect(self) -> None:
        plain = connect_first(self.addresses, self.deadline, self.silence)
        tls = ssl.create_default_context()
        self.connected = self.sock = tls.wrap_socket(plain, server_hostname=self.host, do_handshake_on_connect=False)
        self.sock.do_handshake()  # now that `cut_at` can end it


def connect_first(addresses: Addresses, deadline: float, silence: float) -> socket.socket:
    """A connection to the first address that answers before the deadline; from then on with a timeout of `silence` s.

    All addresses share the remaining time. Raises OSError.
    """
    failure: OSError = OSError("no address")
    for family, address in addresses:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer in time")
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(min(silence, left))
        try:
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            sock.settimeout(silence)
            return sock
    raise failure


@contextmanager
def cut_at(connection: Any, deadline: float) -> Iterator[None]:
    """Close a connection's `connected` at the deadline: a server that sends slowly never triggers its timeout."""

    def shut_down() -> None:
        with suppress(OSError):  # closed already
            if connection.connected is not None:
                connection.connected.shutdown(socket.SHUT_RDWR)

    watchdog = threading.Timer(max(deadline - time.monotonic(), 0), shut_down)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()
