"""What the service counts and times, for Prometheus."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from janus.engine.worker import EngineWorker
from janus.server.tracing import Times

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """One registry for each service, so that several may live in one process."""

    def __init__(self, worker: EngineWorker) -> None:
        self.registry = CollectorRegistry()
        self.gather: Callable[[], Awaitable[bytes]] | None = None  # pages of other replicas, too
        of: Any = {"registry": self.registry}
        self.requests = Counter(
            "janus_requests", "Requests that ended.", ["method", "path", "status"], **of
        )
        self.request_seconds = Histogram(
            "janus_request_seconds", "Time of a request.", ["path"], buckets=SECONDS, **of
        )
        self.errors = Counter("janus_errors", "Errors by kind.", ["kind"], **of)
        self.cancelled = Counter("janus_cancelled", "Requests whose client went away.", **of)
        self.first_word = Histogram(
            "janus_first_word_seconds", "Until an answer begins.", buckets=SECONDS, **of
        )
        self.word_gap = Histogram(
            "janus_word_gap_seconds", "Between tokens of an answer.", buckets=SECONDS, **of
        )
        self.queue_seconds = Histogram(
            "janus_queue_seconds", "Until a request has a slot.", buckets=SECONDS, **of
        )
        self.picture_seconds = Histogram(
            "janus_picture_seconds", "Until a request's pictures are ready.", buckets=SECONDS, **of
        )
        self.prompt_tokens = Counter("janus_prompt_tokens", "Tokens that came in.", **of)
        self.tokens = Counter("janus_tokens", "Tokens that were chosen.", **of)
        self.step_seconds = Histogram(
            "janus_step_seconds", "Steps of the engine.", buckets=SECONDS, **of
        )
        self._gauge("janus_queue_rows", "Rows that wait.", lambda: worker.load().waiting)
        self._gauge("janus_free_slots", "Slots without a row.", lambda: worker.load().free_slots)
        for kind, draws in (("text", False), ("image", True)):
            self._gauge(
                f"janus_running_{kind}_rows",
                f"Rows of {kind} in each step.",
                lambda draws=draws: worker.running_rows(draws=draws),
            )
        worker.on_step = self._on_step

    async def page(self) -> bytes:
        return await self.gather() if self.gather else self.own_page()

    def own_page(self) -> bytes:
        return generate_latest(self.registry)

    def on_request(self, method: str, path: str, status: int, seconds: float) -> None:
        self.requests.labels(method, path, str(status)).inc()
        self.request_seconds.labels(path).observe(seconds)
        if status == 499:
            self.cancelled.inc()

    def on_end(self, times: Times) -> None:
        if times.admitted is not None:
            self.queue_seconds.observe(times.admitted - times.submitted)

    def _on_step(self, seconds: float, num_ids: int) -> None:
        self.step_seconds.observe(seconds)
        self.tokens.inc(num_ids)

    def _gauge(self, name: str, help: str, function) -> None:
        Gauge(name, help, registry=self.registry).set_function(function)


def merged_page(pages: Mapping[str, bytes]) -> bytes:
    """The pages of replicas as one, where each count says whose it is."""
    registry = CollectorRegistry()
    registry.register(_Pages(pages))
    return generate_latest(registry)


class _Pages(Collector):
    def __init__(self, pages: Mapping[str, bytes]) -> None:
        self.pages = pages

    def collect(self) -> Iterable[Metric]:
        whole: dict[str, Metric] = {}
        for replica, page in self.pages.items():
            for part in text_string_to_metric_families(page.decode()):
                metric = Metric(part.name, part.documentation, part.type)
                samples = whole.setdefault(part.name, metric).samples
                samples += [
                    s._replace(labels=s.labels | {"replica": replica}) for s in part.samples
                ]
        return whole.values()
