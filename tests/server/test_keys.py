"""Nobody comes in without a key: not through the service, and not through the browser's door."""

from pathlib import Path

import httpx
import openai
import pytest

from janus.errors import ServerError
from janus.server.keys import Keys, new_key
from tests.server.conftest import Running, Start

OPEN = {"/health", "/ready", "/login"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "keys.txt"


def routes(running: Running) -> list[tuple[str, str]]:
    found = []
    for route in running.app.routes:
        path = getattr(route, "path", "").replace("{name:path}", "tiny")
        found += [(method, path) for method in getattr(route, "methods", None) or ()]
    for path, methods in running.app.openapi()["paths"].items():
        found += [(method.upper(), path.replace("{name}", "tiny")) for method in methods]
    return sorted(set(found))


@pytest.mark.parametrize(
    "header", [None, "Bearer wrong", "Bearer", "Basic {key}", "{key}", "Bearer {key}x"]
)
def test_every_route(start: Start, file: Path, header: str | None) -> None:
    key = new_key("alice", file)
    running = start(keys_file=file)
    headers = {} if header is None else {"authorization": header.format(key=key)}
    paths = routes(running)
    assert {"/v1/chat/completions", "/metrics", "/docs", "/openapi.json"} <= {p for _, p in paths}
    with running.http(headers=headers) as http:
        for method, path in [*paths, ("GET", "/nothing"), ("GET", "/v1"), ("GET", "/")]:
            reply = http.request(method, path)
            if path in OPEN:
                assert reply.status_code != 401 or path == "/login"
                continue
            assert reply.status_code == 401, (method, path)
            assert reply.headers["www-authenticate"] == "Bearer"


def test_a_key_opens_until_it_is_withdrawn(start: Start, file: Path) -> None:
    key, other = new_key("alice", file), new_key("bob", file)
    running = start(keys_file=file)
    client = running.client(key)
    client.images.generate(prompt="a dog")
    with pytest.raises(openai.AuthenticationError, match="not known"):
        running.client("sk-janus-wrong").models.list()
    lines = file.read_text().splitlines()
    file.write_text(lines[1] + "\n")
    with pytest.raises(openai.AuthenticationError):
        client.models.list()
    running.client(other).models.list()
    file.unlink()
    with pytest.raises(openai.AuthenticationError):
        running.client(other).models.list()


def test_the_door_for_browsers(start: Start, file: Path) -> None:
    key = new_key("alice", file)
    running = start(keys_file=file)
    with running.http(headers={"accept": "text/html"}) as http:
        reply = http.get("/docs")
        assert (reply.status_code, reply.headers["location"]) == (303, "/login")
        assert "API key" in http.get("/login").text
        reply = http.post("/login", data={"key": "wrong"})
        assert reply.status_code == 401
        assert "not known" in reply.text
        assert not reply.cookies
        assert http.post("/login", content=b"x" * 9999).status_code == 413
        reply = http.post("/login", data={"key": key})
        assert (reply.status_code, reply.headers["location"]) == (303, "/")
        cookie = reply.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert key.lower() not in cookie
        assert http.get("/docs").status_code == 200
        file.write_text("")  # the key is withdrawn, and with it the session
        assert http.get("/docs").status_code == 303


def test_made_up_sessions(start: Start, file: Path) -> None:
    new_key("alice", file)
    running = start(keys_file=file)
    for cookie in ("janus_session=x", "janus_session=", "a=b; ;; janus_session", "\xff=1"):
        raw = {"cookie": cookie.encode("latin-1")}
        assert httpx.get(f"{running.url}/v1/models", headers=raw).status_code == 401


def test_files_of_keys(file: Path) -> None:
    with pytest.raises(ServerError, match="cannot be read"):
        Keys(file)
    key = new_key("alice", file)
    assert key not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    assert Keys(file).owner(key) == "alice"
    with pytest.raises(ServerError, match="There is a key for 'alice'"):
        new_key("alice", file)
    with pytest.raises(ServerError, match="cannot be called"):
        new_key("a b", file)
    file.write_text("alice abc\n")
    with pytest.raises(ServerError, match="a line that is no key"):
        Keys(file)
