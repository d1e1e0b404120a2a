"""Pictures from addresses, for services whose owner allows it, and from nowhere private.

A host must be on the list; its name is looked up once, all that it stands for must be public, and
the connection goes to what was looked up. Redirects start over. (Faults of others: CVE-2025-6242,
CVE-2026-24779.)
"""

import asyncio
import ipaddress
import socket
from urllib.parse import urlsplit

import httpx

from janus.errors import PictureError
from janus.server.settings import ServerSettings

MAX_REDIRECTS = 3
PORTS = {"http": 80, "https": 443}


async def fetch(url: str, settings: ServerSettings) -> bytes:
    """What lies at an address. Raises `PictureError` where it may not, or cannot, be fetched."""
    try:
        async with asyncio.timeout(settings.fetch_seconds):
            for _ in range(1 + MAX_REDIRECTS):
                found = await _get(url, settings)
                if isinstance(found, bytes):
                    return found
                url = found
    except TimeoutError:
        raise PictureError(
            f"The picture did not come within {settings.fetch_seconds:g} seconds.",
            "Send it as a data URL.",
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError):
        raise PictureError("The picture's address does not answer.", "Check it.") from None
    raise PictureError("The picture's address redirects too often.", "Give the last one.")


async def _get(url: str, settings: ServerSettings) -> bytes | str:
    """The body, or where it redirects to."""
    target, host = checked(url, settings.fetch_from)
    port = target.port or PORTS[target.scheme]
    pinned = target.copy_with(host=await _public_address(host, port), port=port)
    headers = {"host": host, "accept": "image/*"}
    async with (
        httpx.AsyncClient(trust_env=False, timeout=settings.fetch_seconds) as client,
        client.stream("GET", pinned, headers=headers, extensions={"sni_hostname": host}) as answer,
    ):
        if answer.is_redirect:
            return str(target.join(answer.headers["location"]))
        if answer.status_code != 200:
            raise PictureError(f"The picture's address answers {answer.status_code}.", "Check it.")
        body = b""
        async for piece in answer.aiter_bytes():
            body += piece
            if len(body) > settings.max_picture_bytes:
                raise PictureError(
                    f"The picture has more than {settings.max_picture_bytes:,} bytes.",
                    "Scale it down first.",
                )
        return body


def checked(url: str, allowed: tuple[str, ...]) -> tuple[httpx.URL, str]:
    """The address and its host, if pictures may come from there.

    Two readers must agree on the host: where they do not, one of them is being deceived.
    """
    try:
        target, other = httpx.URL(url), urlsplit(url)
        hosts = {target.host.lower(), (other.hostname or "").lower()}
        ports = {target.port, other.port}
    except (httpx.InvalidURL, ValueError):
        raise PictureError("The picture's address cannot be read.", "Check it.") from None
    is_plain = not (target.userinfo or "\\" in url or other.username is not None)
    ports -= {None, PORTS.get(target.scheme)}
    if len(hosts) != 1 or ports or not is_plain or target.scheme not in PORTS:
        raise PictureError(
            "The picture's address is none of an ordinary web page.",
            "Use http or https without user, password and port, or send a data URL.",
        )
    (host,) = hosts
    if not any(_matches(host, pattern.lower()) for pattern in allowed):
        raise PictureError(
            "This server does not fetch pictures from there."
            if allowed
            else "This server does not fetch pictures.",
            "Send the picture itself, as a data URL.",
        )
    return target, host


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet, in whatever way it is written."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo or (None, None))[1]
        if inner is not None:
            return inner.is_global and not inner.is_multicast
        if found in ipaddress.ip_network("64:ff9b::/96"):  # NAT64
            return is_public(str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)))
    return found.is_global and not found.is_multicast


async def _public_address(host: str, port: int) -> str:
    """One address of the host. Raises `PictureError` where any is not public."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise PictureError("The picture's host is not known.", "Check the address.") from None
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses or not all(map(is_public, addresses)):
        raise PictureError("The picture's address is not public.", "Send it as a data URL.")
    return addresses[0]


def _matches(host: str, pattern: str) -> bool:
    """`*` is any host, `*.example.org` any below it."""
    if pattern.startswith("*."):
        return host.endswith(pattern[1:])
    return pattern in ("*", host)
