"""Clients that go, processes that are stopped, requests that fail: others lose nothing."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Semaphore
from typing import Any

import httpx
import openai
import pytest
import torch
from PIL import Image

from janus.pipeline import Janus
from tests.pace import unhurried
from tests.server.conftest import Running, Start, about, data_url, opened


def slow(running: Running, seconds: float = 0.02) -> Any:
    """Each step of the engine takes longer."""
    model = running.service.janus.model
    return model.language_model.register_forward_hook(lambda *_: time.sleep(seconds))


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/images/generations", "/v1/chat/completions"])
def test_a_client_that_goes_frees_its_slots(start: Start, path: str, stream: bool) -> None:
    running = start()
    hook = slow(running, 0.05)
    words = [{"role": "user", "content": "Go on"}]
    asked = {"prompt": "a dog", "n": 3, "stream": stream, "partial_images": 3}
    if "chat" in path:
        asked = {"model": "tiny", "messages": words, "max_tokens": 400, "stream": stream}
        asked |= {"temperature": 2, "seed": 1}
    load = running.service.worker.load
    try:
        steps: list[int] = []
        worker = running.service.worker
        with socket.create_connection(("127.0.0.1", running.port)) as client:
            body = httpx.Request("POST", running.url, json=asked).content
            head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            client.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            until(lambda: load().running > 0)
            worker.on_step = lambda seconds, ids: steps.append(ids)
        gone = len(steps)
        until(lambda: load().free_slots == 8)
        # The step under way, and one that began before the word of it came through.
        assert len(steps) - gone <= 2
    finally:
        hook.remove()
    assert running.service.num_in_flight == 0
    with running.http() as http:
        reasons = [
            line for line in http.get("/metrics").text.splitlines() if 'status="499"' in line
        ]
    assert stream or reasons


def test_a_request_that_fails_ends_alone(
    start: Start, tiny: Janus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here its picture takes more memory than there is."""
    running = start()
    hook = slow(running)
    client = running.client()
    see = running.service.janus.model.see

    def see_too_much(pixels: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("out of memory: tried to allocate 9999 GiB at 0x7f00")

    monkeypatch.setattr(running.service.janus.model, "see", see_too_much)
    with ThreadPoolExecutor(4) as pool:
        drawing = pool.submit(client.images.generate, prompt="a dog", extra_body={"seed": 2})
        until(lambda: running.service.worker.load().running > 0)
        messages = about(data_url(Image.new("RGB", (9, 9))))
        with pytest.raises(openai.InternalServerError, match="Not enough memory") as caught:
            client.chat.completions.create(model="tiny", messages=messages)
        assert caught.value.status_code == 503
        assert "0x7f00" not in str(caught.value.body)
        data = drawing.result().data
    hook.remove()
    monkeypatch.setattr(running.service.janus.model, "see", see)
    assert data is not None
    wanted = tiny.draw("a dog", seed=2)[0].image.tobytes()
    assert opened(data[0].b64_json or "").tobytes() == wanted


def test_a_stream_that_fails_says_so(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    running = start()
    janus = running.service.janus

    def fail(*_: object) -> None:
        raise ValueError("a secret place")

    with unhurried(janus):
        stream = running.client().images.generate(prompt="a dog", stream=True, partial_images=1)
        next(stream)
        monkeypatch.setattr(janus, "draw_step", fail)
        with pytest.raises(openai.APIError, match="Something went wrong") as caught:
            list(stream)
    assert "secret" not in str(caught.value)
    monkeypatch.undo()
    running.client().images.generate(prompt="a dog")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_engine_that_dies_lets_nobody_wait(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the server says that it is not well."""
    running = start()
    hook = slow(running)
    with ThreadPoolExecutor(1) as pool:
        drawing = pool.submit(running.client().images.generate, prompt="a dog")
        until(lambda: running.service.worker.load().running > 0)
        monkeypatch.setattr(running.service.worker.engine.scheduler, "admit", lambda: 1 / 0)
        with pytest.raises(openai.InternalServerError, match="was stopped") as caught:
            drawing.result(timeout=10)
    hook.remove()
    assert caught.value.status_code == 503
    with pytest.raises(openai.InternalServerError, match="going down"):
        running.client().images.generate(prompt="a dog")
    with running.http() as http:
        assert http.get("/health").status_code == 503


@pytest.fixture
def process(tiny_folder: Path):
    """A service in a process of its own, with steps that take a while."""
    started = []

    def begin(*options: str) -> tuple[subprocess.Popen, str]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "janus", "serve", "--no-web", "--port", str(port)]
        found = subprocess.Popen(
            [*command, "--model", str(tiny_folder), "--device", "cpu", *options],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(found)
        url = f"http://127.0.0.1:{port}"
        until(lambda: answers(url), 60)
        return found, url

    yield begin
    for each in started:
        each.kill()
        each.wait()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready").status_code == 200
    except httpx.TransportError:
        return False


def status_of(url: str, seed: int, on_sent: Callable[[], object] = lambda: None) -> int | None:
    """None where no reply came."""

    def trace(event: str, _: object) -> None:
        if event == "http11.send_request_body.complete":
            on_sent()

    body = {"prompt": "a dog", "n": 4, "seed": seed}
    with httpx.Client(timeout=60) as client:
        try:
            return client.post(
                f"{url}/v1/images/generations", json=body, extensions={"trace": trace}
            ).status_code
        except httpx.TransportError:
            return None


@pytest.mark.parametrize(("drain", "wanted"), [("30", {200}), ("0", {503})])
def test_stopping_with_twenty_in_flight(process: Any, drain: str, wanted: set[int]) -> None:
    """All get a reply: their pictures, or that there is no time for them."""
    server, url = process("--drain-seconds", drain, "--max-waiting", "400", "--slots", "4")
    sent = Semaphore(0)
    with ThreadPoolExecutor(20) as pool:
        replies = [pool.submit(status_of, url, seed, sent.release) for seed in range(20)]
        for _ in range(20):
            assert sent.acquire(timeout=20)
        until(lambda: httpx.get(f"{url}/ready").status_code == 503)
        server.send_signal(signal.SIGTERM)
        found = [reply.result() for reply in replies]
    assert wanted <= set(found) <= {200, 503}
    assert server.wait(20) == 0
    lines = server.stderr.read() if server.stderr else ""
    assert "Traceback" not in lines
    assert not answers(url)


def test_killed_and_started_again(process: Any) -> None:
    server, url = process("--slots", "2")
    with ThreadPoolExecutor(1) as pool:
        lost = pool.submit(status_of, url, 1)
        until(lambda: httpx.get(f"{url}/ready").status_code == 503)
        server.kill()
        assert lost.result() is None
    _, url = process()
    assert status_of(url, 1) == 200
