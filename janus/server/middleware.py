"""What happens to every request before and after its route: an id, a key, a size, a line of log.

Plain ASGI, so that streams pass through unbuffered.
"""

import re
import secrets
import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from janus.errors import JanusError
from janus.server.errors import AccessError, TooLargeError, response
from janus.server.keys import Keys
from janus.server.logs import log_line
from janus.server.sessions import LOGIN, Sessions

OPEN_PATHS = ("/health", "/ready", LOGIN)
REQUEST_ID = re.compile(r"[\w.:-]{1,128}")


class RequestIds:
    """Gives each request an `x-request-id`, the client's own where it is sane, and logs its end."""

    def __init__(self, app: ASGIApp, on_end: Callable[[str, str, int, float], None]) -> None:
        self.app, self.on_end = app, on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"
        scope.setdefault("state", {})["request_id"] = request_id
        status, begun = 499, time.perf_counter()  # unless an answer begins

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - begun
            self.on_end(scope["method"], _route(scope), status, seconds)
            log_line(
                "request",
                id=request_id,
                method=scope["method"],
                path=_route(scope),
                status=status,
                seconds=round(seconds, 3),
                key=scope["state"].get("owner"),
                **scope["state"].get("notes", {}),
            )


class Access:
    """Lets nobody in without a key, or a session that a key has opened in the browser."""

    def __init__(self, app: ASGIApp, keys: Keys, sessions: Sessions) -> None:
        self.app, self.keys, self.sessions = app, keys, sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] in OPEN_PATHS:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        owner = self._owner(headers)
        if owner is not None:
            scope.setdefault("state", {})["owner"] = owner
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            await RedirectResponse(LOGIN, status_code=303)(scope, receive, send)
        else:
            has_key = bool(headers.get("authorization"))
            error = AccessError(
                "This API key is not known." if has_key else "An API key is needed.",
                "Send it as: Authorization: Bearer KEY",
            )
            await response(error)(scope, receive, send)

    def _owner(self, headers: Headers) -> str | None:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.keys.owner(key.strip())
        return self.sessions.owner(headers)


class BodyLimit:
    """Refuses bodies that are too large, by what they say and by what they turn out to be."""

    def __init__(self, app: ASGIApp, max_bytes: int, applies: Callable[[str], bool]) -> None:
        self.app, self.max_bytes, self.applies = app, max_bytes, applies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self.applies(scope["path"]):
            await self.app(scope, receive, send)
            return
        said = Headers(scope=scope).get("content-length", "0")
        if said.isdigit() and int(said) > self.max_bytes:
            await response(self._error())(scope, receive, send)
            return
        num_bytes, is_refused = 0, False

        async def limited() -> Message:
            nonlocal num_bytes
            message = await receive()
            num_bytes += len(message.get("body", b""))
            if num_bytes > self.max_bytes:
                raise self._error()  # which the route takes for a body that cannot be read
            return message

        async def answer(message: Message) -> None:
            nonlocal is_refused
            if num_bytes <= self.max_bytes:
                await send(message)
            elif not is_refused:
                is_refused = True
                await response(self._error())(scope, receive, send)

        await self.app(scope, limited, answer)

    def _error(self) -> JanusError:
        return TooLargeError(
            f"The request has more than {self.max_bytes:,} bytes.",
            "Scale its pictures down: the model looks at a few hundred pixels a side.",
        )


def _route(scope: Scope) -> str:
    """The path as the routes know it: of unknown ones there may be endlessly many."""
    route = scope.get("route")
    path = getattr(route, "path", None)
    return path if path else "other"
