"""The door for browsers: a page that asks for an API key, and remembers who gave a good one."""

import secrets
import time
from http.cookies import CookieError, SimpleCookie
from importlib.resources import files
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import Headers

from janus.server.keys import Keys, hashed

LOGIN = "/login"
COOKIE = "janus_session"
SECONDS = 7 * 24 * 3600
MOST = 10_000
MAX_FORM = 4096  # bytes


class Sessions:
    """Random tokens of browsers, each with the key that opened it; a restart forgets them."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self._opened: dict[str, tuple[str, float]] = {}  # hash of the token -> key, end

    def open(self, key: str) -> str | None:
        """A new token, or None for a key that is not known."""
        if self.keys.owner(key) is None:
            return None
        if len(self._opened) >= MOST:
            self._opened.pop(next(iter(self._opened)))
        token = secrets.token_urlsafe(32)
        self._opened[hashed(token)] = (key, time.monotonic() + SECONDS)
        return token

    def owner(self, headers: Headers) -> str | None:
        """Whose session a request belongs to; withdrawn keys end theirs."""
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return None
        key, end = self._opened.get(hashed(morsel.value), ("", 0.0)) if morsel else ("", 0.0)
        return self.keys.owner(key) if time.monotonic() < end else None


def login_routes(sessions: Sessions) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get(LOGIN)
    async def page() -> HTMLResponse:
        return _page("")

    @router.post(LOGIN)
    async def log_in(request: Request) -> Response:
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_FORM:
                return _page("That is no API key.", status=413)
        key = parse_qs(body.decode("utf-8", "replace")).get("key", [""])[0].strip()
        token = sessions.open(key)
        if token is None:
            return _page("This API key is not known.", status=401)
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(
            COOKIE,
            token,
            max_age=SECONDS,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    return router


def _page(problem: str, status: int = 200) -> HTMLResponse:
    text = files("janus.server").joinpath("login.html").read_text(encoding="utf-8")
    return HTMLResponse(text.replace("{problem}", problem), status_code=status)
