"""Two replicas on a real Ray of this machine: one service, whichever of them answers, or dies."""

import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import openai
import pytest

from janus.pipeline import Janus
from janus.server.keys import new_key
from tests.server.conftest import opened

pytest.importorskip("ray")
pytestmark = pytest.mark.slow

START_SECONDS = 240


@dataclass
class Replicated:
    """`janus serve --ray`, in a process of its own."""

    process: subprocess.Popen
    url: str
    key: str
    log: Path

    def client(self) -> openai.OpenAI:
        return openai.OpenAI(
            base_url=f"{self.url}/v1", api_key=self.key, max_retries=0, timeout=120
        )

    def http(self) -> httpx.Client:
        headers = {"authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=120)

    def answered(self) -> dict[str, tuple[int, int]]:
        """Which process has ended each request, and how: by their ids."""
        lines = re.findall(r"Replica pid=(\d+)\S* (\{.*\})", self.log.read_text())
        facts = [(int(pid), json.loads(line)) for pid, line in lines]
        return {
            fact["id"]: (pid, fact["status"])
            for pid, fact in facts
            if fact.get("event") == "request"
        }

    def draw(self, seed: int, id: str, **more: Any) -> httpx.Response:
        body = {"prompt": "a dog", "seed": seed, **more}
        with self.http() as http:
            return http.post("/v1/images/generations", json=body, headers={"x-request-id": id})

    def count(self, name: str) -> dict[str, float]:
        """A measure of each replica."""
        with self.http() as http:
            page = http.get("/metrics").text
        found = re.findall(rf'^{name}{{.*replica="(\w+)".*}} (\S+)$', page, re.MULTILINE)
        return {replica: float(number) for replica, number in found}


def until(condition: Callable[[], Any], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@contextmanager
def two_replicas(model: Path, folder: Path) -> Iterator[Replicated]:
    key = new_key("alice", folder / "keys.txt")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "janus", "serve", "--ray", "--replicas", "2"]
    command += ["--model", str(model), "--device", "cpu", "--slots", "4", "--keys", "keys.txt"]
    command += ["--name", "tiny"]
    log = folder / "log.txt"
    with log.open("w") as stderr:
        process = subprocess.Popen([*command, "--port", str(port)], cwd=folder, stderr=stderr)
    found = Replicated(process, f"http://127.0.0.1:{port}", key, log)
    try:
        ended = process.poll
        until(lambda: ended() is not None or "is served at" in log.read_text(), START_SECONDS)
        assert process.poll() is None, log.read_text()
        yield found
    finally:
        process.terminate()
        try:
            process.wait(60)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def service(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicated]:
    with two_replicas(tiny_folder, tmp_path_factory.mktemp("ray")) as found:
        yield found


def pixels(reply: httpx.Response) -> bytes:
    return opened(reply.json()["data"][0]["b64_json"]).tobytes()


def test_both_draw_the_pictures_of_the_python_api(service: Replicated, tiny: Janus) -> None:
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(service.draw, range(16), (f"equal-{i}" for i in range(16))))
    assert [reply.status_code for reply in replies] == [200] * 16
    for seed in (0, 5, 15):
        assert pixels(replies[seed]) == tiny.draw("a dog", seed=seed)[0].image.tobytes()
    ids = [f"equal-{i}" for i in range(16)]
    assert [reply.headers.get_list("x-request-id") for reply in replies] == [[id] for id in ids]
    until(lambda: service.answered().keys() >= set(ids))
    assert len({service.answered()[id][0] for id in ids}) == 2


def test_streams_come_piece_by_piece(service: Replicated) -> None:
    messages: Any = [{"role": "user", "content": "Go on"}]
    asked: Any = {"messages": messages, "model": "tiny", "max_tokens": 300, "stream": True}
    chat = service.client().chat.completions.create(**asked, temperature=2, seed=1)
    times = [time.monotonic() for _ in chat]
    assert len(times) > 20
    assert times[5] - times[0] < (times[-1] - times[0]) / 2
    events = list(
        service.client().images.generate(prompt="a dog", stream=True, partial_images=2, n=1)
    )
    kinds = [event.type for event in events]
    assert kinds == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]


def test_a_client_that_goes_is_worked_for_no_longer(service: Replicated) -> None:
    asked: Any = {"prompt": "a dog", "n": 10, "stream": True}
    before = sum(service.count("janus_tokens_total").values())
    with service.http() as http, http.stream("POST", "/v1/images/generations", json=asked) as reply:
        assert next(reply.iter_lines())
    until(lambda: set(service.count("janus_free_slots").values()) == {4})
    used = sum(service.count("janus_tokens_total").values()) - before
    assert used < 10 * 16  # of a whole picture each


def test_keys_and_counts_are_those_of_each_replica(service: Replicated) -> None:
    for _ in range(8):
        assert httpx.get(f"{service.url}/v1/models").status_code == 401
    assert set(service.count("janus_free_slots").values()) == {4}
    until(lambda: len(service.count("janus_requests_total")) == 2)


def test_what_does_not_fit_is_refused_in_words_of_clients(service: Replicated) -> None:
    def draw(i: int) -> httpx.Response:
        return service.draw(i, f"full-{i}", n=10)

    with ThreadPoolExecutor(24) as pool:
        replies = list(pool.map(draw, range(24)))
    refused = [reply for reply in replies if reply.status_code == 429]
    assert {reply.status_code for reply in replies} == {200, 429}
    for reply in refused:
        assert reply.json()["error"]["type"] == "rate_limit_error"
        assert int(reply.headers["retry-after"]) >= 1


def test_a_replica_that_is_killed(service: Replicated, tiny: Janus) -> None:
    """What it was working on fails; the other one goes on as before, and a new one comes."""
    wanted = {seed: tiny.draw("a dog", seed=seed)[0].image.tobytes() for seed in range(4)}
    numbers, stopped = itertools.count(), Event()

    def keep_drawing() -> dict[str, int]:
        outcomes = {}
        while not stopped.is_set():
            number = next(numbers)
            id, seed = f"killed-{number}", number % 4
            try:
                reply = service.draw(seed, id)
            except httpx.TransportError:
                outcomes[id] = 0
                continue
            outcomes[id] = reply.status_code
            assert reply.status_code != 200 or pixels(reply) == wanted[seed]
        return outcomes

    def busy() -> set[int]:
        return {pid for id, (pid, _) in service.answered().items() if id.startswith("killed-")}

    with ThreadPoolExecutor(8) as pool:
        loops = [pool.submit(keep_drawing) for _ in range(8)]
        until(lambda: len(busy()) == 2)
        victim, other = busy()
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(busy()) == 3, START_SECONDS)
        stopped.set()
        outcomes = {id: status for loop in loops for id, status in loop.result().items()}
    failed = {id for id, status in outcomes.items() if status != 200}
    assert {outcomes[id] for id in failed} <= {0, 500, 503}
    assert len(failed) <= 8
    time.sleep(1)  # until the last lines of the log are here
    answered = service.answered()
    assert not failed & answered.keys()
    of_other = [s for id, (pid, s) in answered.items() if pid == other and id in outcomes]
    assert set(of_other) == {200}
    replies = [service.draw(seed, f"whole-{seed}") for seed in range(4)]
    assert [pixels(reply) for reply in replies] == list(wanted.values())


def test_stopping_lets_what_runs_finish(tiny_folder: Path, tmp_path: Path) -> None:
    with two_replicas(tiny_folder, tmp_path) as service, ThreadPoolExecutor(8) as pool:
        service.draw(0, "first", n=4)
        tokens = sum(service.count("janus_prompt_tokens_total").values())
        replies = [pool.submit(service.draw, i, f"late-{i}", n=4) for i in range(8)]
        until(lambda: sum(service.count("janus_prompt_tokens_total").values()) == 9 * tokens)
        assert sum(service.count("janus_free_slots").values()) < 8
        service.process.send_signal(signal.SIGTERM)
        refused = pool.submit(refusal, service).result()
        assert [reply.result().status_code for reply in replies] == [200] * 8
        assert service.process.wait(60) == 0
    assert refused.json()["error"]["type"] == "server_error"
    assert "Traceback" not in service.log.read_text()
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{service.url}/health")


def refusal(service: Replicated) -> httpx.Response:
    """The first answer that is none."""
    for number in itertools.count():
        reply = service.draw(number, f"refused-{number}")
        if reply.status_code != 200:
            break
    return reply
