"""Downloads. A URL may come from a stranger, so what it leads to is checked before and after every hop."""

import http.client
import ipaddress
import os
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from earsight.errors import MediaError
from earsight.media.limits import Limits

_BLOCK = 1 << 18
_REDIRECTS = (301, 302, 303, 307, 308)
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")  # IPv6 addresses that lead to IPv4 ones (RFC 6052)


@contextmanager
def downloaded(url: str, label: str, limits: Limits) -> Iterator[str]:
    """Yield the path of a temporary file with what an http(s) address serves; it is removed afterwards.

    Raises MediaError: other schemes, private addresses (also after a redirect), too big, too slow, HTTP errors.
    """
    handle, path = tempfile.mkstemp(prefix="earsight-")
    try:
        with os.fdopen(handle, "wb") as file:
            try:
                _download(url, label, limits, file)
            except (OSError, http.client.HTTPException, UnicodeError, ValueError) as error:
                if isinstance(error, MediaError):
                    raise
                why = "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
                raise MediaError(f"{label}: cannot be fetched ({why}); check the address or give a file.") from error
        yield path
    finally:
        os.unlink(path)


def _download(url: str, label: str, limits: Limits, file: Any) -> None:
    deadline = time.monotonic() + limits.fetch_seconds
    for _ in range(limits.max_redirects + 1):
        connection, response = _asked(url, label, limits, deadline)
        try:
            if response.status in _REDIRECTS and response.getheader("Location"):
                url = urljoin(url, response.getheader("Location"))
                continue
            if response.status != 200:
                raise MediaError(
                    f"{label}: the server answered {response.status} {response.reason}; check the address."
                )
            _save(connection, response, label, limits, deadline, file)
            return
        finally:
            response.close()
            connection.close()
    raise MediaError(f"{label}: more than {limits.max_redirects} redirects; give the final address.")


def _asked(url: str, label: str, limits: Limits, deadline: float) -> Any:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise MediaError(f"{label}: leads to a {parts.scheme or 'nameless'}: address; only http and https are fetched.")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = _checked_address(parts.hostname, port, label, limits)
    # The checked address itself is connected to: a second look-up could give another one.
    plain = socket.create_connection((address, port), timeout=_left(deadline, label, limits))
    # A server that trickles its headers never lets one read time out; this ends the connection instead.
    watchdog = threading.Timer(max(deadline - time.monotonic(), 0.0), _hang_up, (plain,))
    watchdog.daemon = True
    watchdog.start()
    try:
        connection = http.client.HTTPConnection(parts.hostname, port)
        connection.sock = plain
        if parts.scheme == "https":
            connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname)
        connection.putrequest("GET", _target(parts), skip_host=True, skip_accept_encoding=True)
        for name, value in (("Host", parts.netloc.rpartition("@")[2]), ("User-Agent", "earsight"), ("Accept", "*/*")):
            connection.putheader(name, value)
        connection.endheaders()
        return connection, connection.getresponse()
    except BaseException:
        plain.close()
        raise
    finally:
        watchdog.cancel()


def _hang_up(plain: socket.socket) -> None:
    with suppress(OSError):
        plain.shutdown(socket.SHUT_RDWR)


def _target(parts: SplitResult) -> str:
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    return path + ("?" + quote(parts.query, safe="/%:@!$&'()*+,;=~-._?[]|") if parts.query else "")


def _checked_address(host: str, port: int, label: str, limits: Limits) -> str:
    found = [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    for address in found:  # one private address among public ones is refused too
        if not limits.allow_private_addresses and not is_public(address):
            raise MediaError(
                f"{label}: leads to a private address ({address}); give a public address or the file itself."
            )
    return found[0]


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public Internet, also when it is an IPv4 one dressed as IPv6."""
    ip = ipaddress.ip_address(address.split("%")[0])
    if ip.version == 6:
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])
        if inner:
            return is_public(str(inner))
        if ip in _TRANSLATED:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _save(connection: Any, response: Any, label: str, limits: Limits, deadline: float, file: Any) -> None:
    declared = response.getheader("Content-Length") or ""
    _check_size(int(declared) if declared.isdigit() else 0, label, limits)
    n_bytes = 0
    while True:
        if connection.sock is not None:
            connection.sock.settimeout(_left(deadline, label, limits))
        _left(deadline, label, limits)
        block = response.read1(_BLOCK)
        if not block:
            break
        n_bytes += len(block)
        _check_size(n_bytes, label, limits)
        file.write(block)
    if declared.isdigit() and n_bytes < int(declared):
        raise MediaError(f"{label}: the server stopped after {n_bytes:,} of {int(declared):,} bytes; try again.")


def _check_size(n_bytes: int, label: str, limits: Limits) -> None:
    if n_bytes > limits.max_bytes:
        raise MediaError(
            f"{label}: over the limit of {limits.max_bytes:,} bytes; give a smaller file or raise max_bytes."
        )


def _left(deadline: float, label: str, limits: Limits) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise MediaError(
            f"{label}: not fetched within {limits.fetch_seconds:g} s; download it first or raise fetch_seconds."
        )
    return min(left, limits.connect_seconds)
