"""Several copies of the service behind one address, on one machine or many, run by Ray Serve.

Each replica is a process with a model, its engine and the whole application (`create_app`): its
own slots, queue, limits and counts. Ray starts them, sends each request to the less busy of two,
and puts a new one where one has died. It knows nothing of rows: that a replica is full is for the
replica to say, with 429. Pictures, answers and errors pass through as the replica makes them.
"""

# Ray is large, so that not everybody who works on this has it.
# pyright: reportMissingImports=false

import asyncio
import contextlib
import logging
import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import ray
from ray import serve
from ray.serve import Application
from ray.serve.config import AutoscalingConfig, BackpressureConfig, HTTPOptions
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import LoggingConfig
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from janus.errors import ServerError, StoppedError
from janus.server.logs import write_logs
from janus.server.metrics import Metrics, merged_page
from janus.server.replicas import MOST_SLOTS, ReplicaSettings, create_replica, read_settings
from janus.server.service import Service

NAME = "janus"
GATHER_SECONDS = 5.0  # for the counts of all replicas
LEAVE_SECONDS = 10.0  # for replicas to end, once they are drained
NUM_SMALL = 16  # questions about health and models that a full replica still takes
STORE_BYTES = 256 * 2**20  # what replicas share through Ray's store: next to nothing


def application(arguments: dict[str, Any]) -> Application:
    """For Ray's own commands: `serve run janus.server.cluster:application model=janus-emoji`, or a
    deployment file. Raises `UsageError` for what is no setting."""
    return deployed(read_settings(arguments))


def deployed(settings: ReplicaSettings) -> Application:
    """What Ray Serve runs. Needs a cluster, whose machines decide on what each replica has."""
    fewest, most = settings.num_replicas
    scaling = AutoscalingConfig(
        min_replicas=fewest,
        max_replicas=most,
        # A guided picture takes two rows; with as many as this, each slot has one.
        target_ongoing_requests=max(1, (settings.slots or MOST_SLOTS) // 2),
    )
    deployment = serve.deployment(
        serve.ingress()(Replica),
        autoscaling_config=scaling,
        ray_actor_options=_share(settings.device, most),
        # So many that a replica says itself when it is full, how long that lasts, and in words that
        # OpenAI's clients read. Ray's own refusals have plain words.
        max_ongoing_requests=settings.num_rows + NUM_SMALL,
        max_queued_requests=settings.num_rows + NUM_SMALL,
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=1),
        graceful_shutdown_timeout_s=settings.drain_seconds,
        graceful_shutdown_wait_loop_s=0.5,
        health_check_period_s=2,
        max_constructor_retry_count=2,
        logging_config=LoggingConfig(enable_access_log=False),  # replicas log requests themselves
    )
    return deployment.bind(settings)


def _share(device: str, most: int) -> dict[str, float]:
    """What each replica has to itself: a GPU, or its part of the processors."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if device in ("auto", "cuda") and any(node.get("GPU") for node in nodes):
        return {"num_gpus": 1}
    processors = [node["CPU"] for node in nodes if node.get("CPU")]
    share = min(sum(processors) / most, *processors) if processors else 1
    # Ray takes parts of one processor, but not parts of several.
    return {"num_cpus": math.floor(share) if share >= 1 else math.floor(share * 100) / 100}


class Replica:
    """One copy, as Ray sees it."""

    def __init__(self, settings: ReplicaSettings) -> None:
        write_logs()
        self.application = create_replica(settings)
        self.application.add_middleware(WithoutRequestId)
        self.service: Service = self.application.state.service
        self.metrics: Metrics = self.application.state.metrics
        self.metrics.gather = self._gather

    def __serve_build_asgi_app__(self) -> ASGIApp:
        return self.application

    def check_health(self) -> None:
        """Raises `StoppedError` where a new replica is needed."""
        if not self.service.worker.is_alive:
            raise StoppedError("The engine has stopped.")

    async def drain(self) -> None:
        """Takes nothing new on, and waits for what runs, as long as it may."""
        await self.service.drain()
        await asyncio.to_thread(self.service.worker.stop)

    def page(self) -> tuple[str, bytes]:
        """Who this is, and its counts."""
        return serve.get_replica_context().replica_tag, self.metrics.own_page()

    async def _gather(self) -> bytes:
        handle = serve.get_deployment_handle(serve.get_replica_context().deployment)
        pages = await handle.broadcast("page").results_async(
            timeout_s=GATHER_SECONDS, return_exceptions=True
        )
        return merged_page(dict(page for page in pages if isinstance(page, tuple)))


class WithoutRequestId:
    """Ray's proxy answers with `x-request-id` itself, the same one: two would be too many."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_without(message: Message) -> None:
            if message["type"] == "http.response.start":
                del MutableHeaders(scope=message)["x-request-id"]
            await send(message)

        await self.app(scope, receive, send_without)


@contextlib.contextmanager
def serving(settings: ReplicaSettings, *, host: str, port: int) -> Iterator[None]:
    """Replicas that are ready; on leaving, running requests are let finish.

    Joins the cluster at RAY_ADDRESS, or starts one that ends with it. Raises `ServerError` where
    the replicas do not start.
    """
    try:
        _join_or_start()
        handle = _start(settings, host, port)
        yield
        _stop(handle, settings.drain_seconds)
    finally:
        ray.shutdown()


def wait_for_a_signal() -> None:
    """SIGINT or SIGTERM; another one then does what it always does."""
    arrived = threading.Event()
    before = {
        sig: signal.signal(sig, lambda *_: arrived.set()) for sig in (signal.SIGINT, signal.SIGTERM)
    }
    arrived.wait()
    for sig, handler in before.items():
        signal.signal(sig, handler)


def _join_or_start() -> None:
    if "RAY_ADDRESS" in os.environ:
        try:
            ray.init(logging_level=logging.WARNING)
        except ConnectionError as error:
            raise ServerError(
                f"There is no Ray cluster at {os.environ['RAY_ADDRESS']} that lets us in.",
                "See whether it runs; where it asks for a token, set RAY_AUTH_MODE=token.",
            ) from error
        return
    ray.init(
        address="local",
        include_dashboard=False,
        object_store_memory=STORE_BYTES,
        logging_level=logging.WARNING,
    )


def _start(settings: ReplicaSettings, host: str, port: int) -> DeploymentHandle:
    serve.start(
        proxy_location="EveryNode",
        http_options=HTTPOptions(host=host, port=port),
        logging_config=LoggingConfig(enable_access_log=False, log_level="WARNING"),
    )
    try:
        return serve.run(deployed(settings), name=NAME)
    except RuntimeError as error:
        raise ServerError("The replicas do not start.", "The log above says why.") from error


def _stop(handle: DeploymentHandle, drain_seconds: float) -> None:
    """Replicas refuse what is new in words of their own, before Ray takes their address away."""
    with contextlib.suppress(TimeoutError):
        handle.broadcast("drain").results(
            timeout_s=drain_seconds + LEAVE_SECONDS, return_exceptions=True
        )
    serve.delete(NAME, _blocking=False)
    end = time.monotonic() + LEAVE_SECONDS
    while NAME in serve.status().applications and time.monotonic() < end:
        time.sleep(0.1)
