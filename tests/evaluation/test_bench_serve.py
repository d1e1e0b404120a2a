"""The load test finds what a bad service does wrong."""

import asyncio
import itertools
from typing import Any

import httpx
import pytest

from janus.evaluation import bench_serve
from janus.evaluation.bench_serve import JOBS, Load, Reply, measure, report

CHAT, DRAWING = JOBS[False][0], JOBS[True][0]


def test_a_report() -> None:
    alone = [
        Reply(job=CHAT, status=200, seconds=1, first_word=0.1, digest="words"),
        Reply(job=DRAWING, status=200, seconds=2, digest="picture"),
    ]
    replies = [
        *[
            Reply(job=CHAT, status=200, seconds=i, first_word=i / 10, digest="words")
            for i in (1, 3)
        ],
        Reply(job=DRAWING, status=200, seconds=4, digest="another"),
        Reply(job=DRAWING, status=429, seconds=0.01, retry_after=2),
        Reply(job=CHAT, status=503, seconds=0.01),
        Reply(job=CHAT, status=None, seconds=9),
    ]
    figures = report(alone, replies, seconds=10)
    wanted = {
        "replies": 6,
        "good": 3,
        "refused": 1,
        "errors": 1,
        "lost": 1,
        "mixed_up": 1,
        "pictures_per_second": 0.1,
        "answers_per_second": 0.2,
        "first_word.alone": 0.1,
        "first_word.p99": 0.3,
        "picture.p50": 4,
        "refusal.p99": 0.01,
    }
    assert {name: figures[name] for name in wanted} == pytest.approx(wanted)


def stream(*pieces: str, ends: bool = True) -> httpx.Response:
    lines = [
        f'data: {{"choices": [{{"delta": {{"content": "{piece}"}}}}]}}\n\n' for piece in pieces
    ]
    return httpx.Response(200, text="".join(lines) + ("data: [DONE]\n\n" if ends else ""))


def asked(answer: Any, job: bench_serve.Job = CHAT) -> Reply:
    load = Load("http://service/v1/", model="m", key="k")
    http = load.connection()
    http._transport = httpx.MockTransport(answer)
    return asyncio.run(load.ask(http, job))


def test_replies() -> None:
    def see(request: httpx.Request) -> httpx.Response:
        assert str(request.url) == "http://service/v1/chat/completions"
        assert request.headers["authorization"] == "Bearer k"
        return stream("Hel", "lo")

    reply = asked(see)
    assert (reply.status, reply.first_word is not None) == (200, True)
    assert reply.digest == asked(lambda _: stream("Hello")).digest
    assert asked(lambda _: stream("Hel", ends=False)).status is None
    assert asked(lambda _: httpx.Response(429, headers={"retry-after": "3"})).retry_after == 3
    assert asked(lambda _: httpx.Response(200, text="<html>"), DRAWING).status is None

    def drop(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("gone")

    assert asked(drop).status is None


@pytest.mark.parametrize("rate", [None, 40.0])
def test_a_service_that_mixes_replies_up(
    rate: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Well without load, and wrong now and then under it."""
    numbers = itertools.count()

    def answer(request: httpx.Request) -> httpx.Response:
        number = next(numbers)
        if request.url.path == "/v1/models":
            return httpx.Response(200, json={"data": [{"id": "m"}]})
        if number > 16 and number % 5 == 0:
            return stream("something else")
        if "images" in request.url.path:
            return httpx.Response(200, json={"data": [{"b64_json": request.content.decode()}]})
        return stream("an answer")

    real = httpx.AsyncClient
    monkeypatch.setattr(
        "httpx.AsyncClient",
        lambda **options: real(transport=httpx.MockTransport(answer), **options),
    )
    figures: Any = asyncio.run(measure("http://service", clients=3, seconds=0.3, rate=rate))
    assert figures["good"] > 5
    assert figures["mixed_up"] + figures["lost"] > 0
    assert figures["errors"] == 0
