"""Many at once get what each would get alone, and the slots are free afterwards."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from PIL import Image

from janus.pipeline import Janus
from tests.server.conftest import Start, about, data_url, opened

COLOURS = ["red", "green", "blue", "yellow"]


def test_32_mixed_requests(start: Start, tiny: Janus) -> None:
    """Seeded pictures and answers, streamed and not, are those of the Python API."""
    running = start(slots=12, max_waiting=200)
    client = running.client()

    def draw(i: int) -> bytes:
        reply = client.images.generate(prompt=f"{COLOURS[i % 4]} dog", extra_body={"seed": i})
        assert reply.data is not None
        return opened(reply.data[0].b64_json or "").tobytes()

    def draw_slowly(i: int) -> bytes:
        *_, last = client.images.generate(
            prompt=f"{COLOURS[i % 4]} cat", stream=True, partial_images=2, extra_body={"seed": i}
        )
        return opened(last.b64_json).tobytes()

    def ask(i: int) -> str:
        picture = Image.new("RGB", (30 + i, 30), COLOURS[i % 4])
        reply = client.chat.completions.create(
            model="tiny", messages=about(data_url(picture)), max_tokens=10
        )
        return reply.choices[0].message.content or ""

    def chat(i: int) -> str:
        chunks = client.chat.completions.create(
            model="tiny",
            messages=[{"role": "user", "content": f"{COLOURS[i % 4]} {i}"}],
            max_tokens=10,
            temperature=1,
            seed=i,
            stream=True,
        )
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)

    kinds: list[Callable[[int], Any]] = [draw, draw_slowly, ask, chat]
    with ThreadPoolExecutor(32) as pool:
        futures = [pool.submit(kinds[i % 4], i) for i in range(32)]
        found = [future.result() for future in futures]
    for i, result in enumerate(found):
        colour = COLOURS[i % 4]
        wanted: Any
        if i % 4 < 2:
            wanted = tiny.draw(f"{colour} {'dog' if i % 4 == 0 else 'cat'}", seed=i)[0]
            wanted = wanted.image.tobytes()
        elif i % 4 == 2:
            picture = Image.new("RGB", (30 + i, 30), colour)
            wanted = tiny.ask(picture, "What is it?", max_tokens=10)
        else:
            wanted = tiny.ask(None, f"{colour} {i}", max_tokens=10, temperature=1, seed=i)
        assert result == wanted, i
    load = running.service.worker.load()
    assert (load.waiting, load.running, load.free_slots) == (0, 0, 12)


def test_the_python_api_beside_the_server(start: Start, tiny: Janus) -> None:
    """The studio uses it so, from threads of its own."""
    running = start()
    janus, client = running.service.janus, running.client()
    with ThreadPoolExecutor(8) as pool:
        inside = [pool.submit(janus.draw, "a dog", seed=i) for i in range(4)]
        outside = [
            pool.submit(client.images.generate, prompt="a dog", extra_body={"seed": i})
            for i in range(4)
        ]
        for i in range(4):
            wanted = tiny.draw("a dog", seed=i)[0].image.tobytes()
            assert inside[i].result()[0].image.tobytes() == wanted
            data = outside[i].result().data
            assert data is not None
            assert opened(data[0].b64_json or "").tobytes() == wanted


def test_what_does_not_fit_is_told_when_to_come_again(start: Start) -> None:
    running = start(slots=2, max_waiting=4)
    client = running.client()

    def draw(i: int) -> int:
        try:
            client.images.generate(prompt="a dog", extra_body={"seed": i})
        except openai.RateLimitError as error:
            assert error.code == "busy"
            return int(error.response.headers["retry-after"])
        return 0

    with ThreadPoolExecutor(24) as pool:
        waits = list(pool.map(draw, range(24)))
    assert 3 <= waits.count(0) < 24
    assert all(1 <= wait < 60 for wait in waits if wait)
    assert draw(0) == 0  # there is room again


def test_what_could_never_fit(start: Start) -> None:
    """To come again would not help. The studio's pictures are one request, and take turns."""
    running = start(slots=2, max_waiting=2)
    running.client().images.generate(prompt="a dog", n=2)
    with pytest.raises(openai.BadRequestError, match=r"takes 6 rows, .* room for 4"):
        running.client().images.generate(prompt="a dog", n=3)
    assert len(running.service.janus.draw("a dog", count=5)) == 5


def test_what_waits_is_counted_right(start: Start) -> None:
    """However many threads come at once."""
    running = start(slots=4, max_waiting=1000)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(16) as pool:
            list(
                pool.map(
                    lambda i: running.service.janus.ask(None, f"{i}", max_tokens=1), range(400)
                )
            )
    finally:
        sys.setswitchinterval(interval)
    load = running.service.worker.load()
    assert (load.waiting, load.running, load.free_slots) == (0, 0, 4)
