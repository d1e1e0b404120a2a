"""Where a request's time went."""

from typing import Any

import pytest
from opentelemetry import trace

from janus.server.tracing import Times
from tests.server.conftest import Start


def test_times() -> None:
    assert Times(1.0).spans() == {}
    assert Times(1.0, ended=9.0).spans() == {}
    assert Times(1.0, 2.0, 4.0, 9.0).spans() == {
        "queue": (1.0, 2.0),
        "prefill": (2.0, 4.0),
        "decode": (4.0, 9.0),
    }


class Tracer(trace.NoOpTracer):
    def __init__(self) -> None:
        self.names: list[str] = []

    def start_span(self, name: str, *args: Any, **kwargs: Any) -> Any:
        self.names.append(name)
        return super().start_span(name, *args, **kwargs)


def test_spans_of_a_picture(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    tracer = Tracer()
    monkeypatch.setattr("janus.server.tracing._tracer", lambda: tracer)
    start().client().images.generate(prompt="a dog")
    # Read the prompt; decode and encode the picture.
    assert tracer.names == [
        "janus.read",
        "janus.paint",
        "janus.paint",
        "janus.queue",
        "janus.prefill",
        "janus.decode",
    ]
