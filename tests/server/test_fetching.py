"""Pictures are fetched from where the owner allows it, and from nowhere private.

Every way in that others left open: CVE-2025-6242, CVE-2026-24779 and their kin.
"""

import asyncio
import http.server
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from janus.errors import PictureError
from janus.server import fetching
from janus.server.settings import ServerSettings

ANYWHERE = ServerSettings(fetch_from=("*",), fetch_seconds=2, max_picture_bytes=1000)


def fetch(url: str, settings: ServerSettings = ANYWHERE) -> bytes:
    return asyncio.run(fetching.fetch(url, settings))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/a.png",
        "http://localhost/a.png",
        "http://2130706433/a.png",  # 127.0.0.1 in one number
        "http://0x7f.1/a.png",
        "http://0177.0.0.1/a.png",
        "http://127.1/a.png",
        "http://0/a.png",
        "http://[::1]/a.png",
        "http://[::]/a.png",
        "http://[::ffff:127.0.0.1]/a.png",
        "http://[::ffff:7f00:1]/a.png",
        "http://[64:ff9b::7f00:1]/a.png",
        "http://[2002:7f00:1::]/a.png",
        "http://[fe80::1]/a.png",
        "http://[fd00::1]/a.png",
        "http://10.0.0.1/a.png",
        "http://172.16.0.1/a.png",
        "http://192.168.1.1/a.png",
        "http://100.64.0.1/a.png",
        "http://169.254.169.254/latest/meta-data",
        "http://224.0.0.1/a.png",
        "http://255.255.255.255/a.png",
    ],
)
def test_private_addresses(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("httpx.AsyncClient.stream", lambda *_, **__: pytest.fail("it connects"))
    with pytest.raises(PictureError, match=r"not public|not known|cannot be read"):
        fetch(url)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/a.png",
        "gopher://example.org/",
        "//example.org/a.png",
        "example.org/a.png",
        "http:///a.png",
        "http://example.org:22/a.png",
        "http://user:word@example.org/a.png",
        "http://user@example.org/a.png",
        "http://example.org\\@127.0.0.1/a.png",
        "http://127.0.0.1\\@example.org/a.png",
        "http://example.org\\.attacker.net/a.png",
        "http://[::1/a.png",
        "http://exa mple.org/a.png",
        "http://example.org:99999999/",
        "",
    ],
)
def test_addresses_of_no_ordinary_page(url: str) -> None:
    with pytest.raises(PictureError, match=r"ordinary web page|cannot be read|not known"):
        fetch(url)


@pytest.mark.parametrize(
    ("allowed", "host", "fits"),
    [
        ((), "example.org", False),
        (("example.org",), "example.org", True),
        (("Example.org",), "EXAMPLE.org", True),
        (("example.org",), "www.example.org", False),
        (("example.org",), "example.org.attacker.net", False),
        (("example.org",), "notexample.org", False),
        (("*.example.org",), "www.example.org", True),
        (("*.example.org",), "example.org", False),
        (("*.example.org",), "notexample.org", False),
        (("*",), "anything.net", True),
    ],
)
def test_who_is_allowed(allowed: tuple[str, ...], host: str, fits: bool) -> None:
    url = f"https://{host}/a.png"
    if fits:
        assert fetching.checked(url, allowed)[1] == host.lower()
    else:
        with pytest.raises(PictureError, match="does not fetch pictures"):
            fetching.checked(url, allowed)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses(address: str) -> None:
    assert fetching.is_public(address)


def test_a_name_with_a_private_address_among_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    named(monkeypatch, "93.184.216.34", "10.0.0.1")
    with pytest.raises(PictureError, match="not public"):
        fetch("http://example.org/a.png")


class Site(http.server.BaseHTTPRequestHandler):
    """A page that answers by its path."""

    seen: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers["host"]))
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("location", self.path.removeprefix("/to/"))
            self.end_headers()
        elif self.path == "/slow":
            threading.Event().wait(3)
        else:
            content = {"/a.png": b"picture", "/large": b"x" * 2000}.get(self.path)
            self.send_response(200 if content else 404)
            self.end_headers()
            self.wfile.write(content or b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """On loopback, which counts as public here."""
    Site.seen = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setitem(fetching.PORTS, "http", server.server_address[1])
    monkeypatch.setattr(fetching, "is_public", lambda address: address == "127.0.0.1")
    named(monkeypatch, "127.0.0.1")
    yield server
    server.shutdown()


def test_what_is_fetched(site: Any) -> None:
    assert fetch("http://example.org/a.png") == b"picture"
    assert fetch("http://example.org/to/http://www.example.org/a.png") == b"picture"
    assert fetch("http://example.org/to//a.png") == b"picture"
    hosts = [host for _, host in Site.seen]
    assert hosts == ["example.org", "example.org", "www.example.org", "example.org", "example.org"]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/missing", "answers 404"),
        ("/large", "more than 1,000 bytes"),
        ("/slow", "did not come within"),
        ("/to/http://10.0.0.1/a.png", "does not fetch pictures"),
        ("/to/http://attacker.net/a.png", "does not fetch pictures"),
        ("/to/file:///etc/passwd", "ordinary web page"),
        ("/to/" * 5 + "a.png", "redirects too often"),
    ],
)
def test_what_is_not_fetched(site: Any, path: str, told: str) -> None:
    """Each redirect is looked at as if it had been asked for."""
    settings = ServerSettings(
        fetch_from=("example.org",), fetch_seconds=0.5, max_picture_bytes=1000
    )
    with pytest.raises(PictureError, match=told):
        fetch(f"http://example.org{path}", settings)


def test_a_name_is_looked_up_once(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it could be another one when it is connected to."""
    asked = named(monkeypatch, "127.0.0.1")
    assert fetch("http://example.org/a.png") == b"picture"
    assert asked == ["example.org"]


def test_a_redirect_to_a_private_name(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def look_up(self: Any, host: str, port: int, **_: Any) -> list[Any]:
        address = "127.0.0.1" if host == "example.org" else "10.0.0.1"
        return [(socket.AF_INET, 1, 6, "", (address, port))]

    monkeypatch.setattr("asyncio.base_events.BaseEventLoop.getaddrinfo", look_up)
    with pytest.raises(PictureError, match="not public"):
        fetch("http://example.org/to/http://inside.example.org/a.png")


def named(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Whatever is asked for stands for these; the names that were asked for."""
    asked = []

    async def look_up(self: Any, host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, 1, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr("asyncio.base_events.BaseEventLoop.getaddrinfo", look_up)
    return asked
