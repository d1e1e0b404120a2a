"""What every route does with a request: counts it, follows it, and sends what comes as it comes."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request
from fastapi.responses import StreamingResponse

from janus.engine.request import ImageRequest, TextRequest
from janus.server.errors import UnknownModelError, body, explained
from janus.server.logs import log_line
from janus.server.metrics import Metrics
from janus.server.rates import Rates, cost_of
from janus.server.service import Service

KEEP_ALIVE = ": still at it\n\n"


class Context:
    """What routes share."""

    def __init__(
        self, service: Service, metrics: Metrics, rates: Rates | None, names: tuple[str, ...]
    ) -> None:
        """`names` are what the model may be called; the first is what it is called in answers."""
        self.service, self.metrics, self.rates, self.names = service, metrics, rates, names
        self.started = int(time.time())

    @property
    def model(self) -> str:
        return self.names[0]

    def check_model(self, name: str | None) -> None:
        """Raises `UnknownModelError` with the names there are."""
        if name is not None and name.lower() not in map(str.lower, self.names):
            raise UnknownModelError(f"There is no model {name!r} here.", f"Use {self.model!r}.")

    def take(self, http: Request, *requests: TextRequest | ImageRequest) -> None:
        """Counts the work against the key that asks.

        Raises `RateLimitError`, and `UsageError` where it could never be done here.
        """
        self.service.worker.check_room(*requests)
        num_image_tokens = self.service.janus.model.config.num_image_tokens
        cost = sum(cost_of(request, num_image_tokens) for request in requests)
        if self.rates is not None:
            self.rates.take(getattr(http.state, "owner", None) or "everybody", cost)
        self.metrics.prompt_tokens.inc(sum(len(request.prompt) for request in requests))

    def log_contents(self, http: Request, **contents: Any) -> None:
        """Prompts and answers, only where the service was asked to."""
        if self.service.settings.log_contents:
            log_line("contents", id=http.state.request_id, **contents)


def event(data: dict[str, Any] | str, name: str | None = None) -> str:
    """One server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return f"event: {name}\ndata: {text}\n\n" if name else f"data: {text}\n\n"


async def stream(first: str, rest: AsyncIterator[str]) -> AsyncIterator[str]:
    """Events; an error in mid-stream becomes the last of them."""
    yield first
    try:
        async for piece in rest:
            yield piece
    except Exception as error:
        known = explained(error)
        yield event(body(known), "error")


def streaming(first: str, rest: AsyncIterator[str]) -> StreamingResponse:
    return StreamingResponse(
        stream(first, rest),
        media_type="text/event-stream",
        headers={"cache-control": "no-cache", "x-accel-buffering": "no"},
    )
