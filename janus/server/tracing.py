"""Where a request's time went, as OpenTelemetry spans below the one that FastAPI makes of it.

FastAPI sends them where `OTEL_EXPORTER_OTLP_ENDPOINT` says, if the extra `tracing` is installed;
without it, spans cost next to nothing.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

from opentelemetry import trace

from janus.engine.request import Ticket


@dataclass(slots=True)
class Times:
    """When things happened to a request, on the clock of `time.monotonic`."""

    submitted: float
    admitted: float | None = None
    first: float | None = None  # id, or several
    ended: float | None = None

    def see(self, ticket: Ticket) -> None:
        """Takes what a step has brought."""
        self.admitted = ticket.admitted_at
        if self.first is None and ticket.num_steps:
            self.first = time.monotonic()

    def spans(self) -> dict[str, tuple[float, float]]:
        """Waiting for a slot, reading the prompt, and choosing ids; as far as it came."""
        places = [self.submitted, self.admitted, self.first, self.ended]
        found = {}
        for name, begun, ended in zip(
            ("queue", "prefill", "decode"), places, places[1:], strict=False
        ):
            if begun is not None and ended is not None:
                found[name] = (begun, ended)
        return found

    def trace(self) -> None:
        """Sends the spans."""
        since = time.time() - time.monotonic()
        for name, (begun, ended) in self.spans().items():
            span = _tracer().start_span(f"janus.{name}", start_time=_nanoseconds(since + begun))
            span.end(_nanoseconds(since + ended))


@contextlib.contextmanager
def traced(name: str) -> Iterator[None]:
    with _tracer().start_as_current_span(f"janus.{name}"):
        yield


def _tracer() -> trace.Tracer:
    return trace.get_tracer("janus.server")


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
