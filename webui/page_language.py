"""The language of the page itself, decided where the page is sent and not where it is shown.

In: the request for the page. Out: the page, marked with the visitor's language, and a cookie for a
choice that was made by a link (`?language=es`). Every other request passes through untouched.
"""

import json
from dataclasses import dataclass, field

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webui.words import CHOICE, wanted

REMEMBERED = 365 * 24 * 3600  # seconds


class PageLanguage:
    """Starlette middleware for the application that Gradio makes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET":
            send = _Marking(Request(scope), send)
        await self.app(scope, receive, send)


@dataclass(slots=True)
class _Marking:
    """Holds the beginning of a response back until its length is known."""

    request: Request
    send: Send
    start: Message = field(default_factory=dict)
    page: bytes = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_page(message):
            self.start = message
        elif not self.start:
            await self.send(message)
        else:
            self.page += message.get("body", b"")
            if not message.get("more_body"):
                page = self._mark()
                await self.send(self.start)
                await self.send({"type": "http.response.body", "body": page})

    def _mark(self) -> bytes:
        tag = wanted(self.request.query_params, self.request.cookies, self.request.headers)
        page = self.page.replace(b'lang="en"', f'lang="{tag}"'.encode(), 1)
        page = page.replace(b"<head>", f"<head>{_tell_gradio(tag)}".encode(), 1)
        headers = MutableHeaders(scope=self.start)
        headers["content-length"] = str(len(page))
        headers["content-language"] = tag
        headers.add_vary_header("Accept-Language, Cookie")
        if CHOICE in self.request.query_params:
            headers.append("set-cookie", _cookie(tag, self.request.url.scheme))
        return page


def _is_page(start: Message) -> bool:
    return MutableHeaders(scope=start).get("content-type", "").startswith("text/html")


def _tell_gradio(tag: str) -> str:
    # Gradio asks nothing but the browser which language to show, and does so before it runs what
    # it is given as `head` or `js`.
    return (
        "<script>for (const [name, value] of Object.entries("
        f"{json.dumps({'language': tag, 'languages': [tag]})}))"
        " Object.defineProperty(navigator, name, {get: () => value});</script>"
    )


def _cookie(tag: str, scheme: str) -> str:
    # Within a frame of another site, as on Hugging Face, only a partitioned cookie is kept.
    place = "SameSite=None; Secure; Partitioned" if scheme == "https" else "SameSite=Lax"
    return f"{CHOICE}={tag}; Path=/; Max-Age={REMEMBERED}; {place}"
