"""What is too large, too long or too much ends early, with a reason."""

import base64
import json
import logging
import struct
import zlib
from typing import Any

import openai
import pytest
from PIL import Image

from tests.server.conftest import Start, data_url


def png_that_claims(width: int, height: int) -> str:
    """A data URL whose header promises more pixels than its few bytes hold."""

    def chunk(name: bytes, content: bytes) -> bytes:
        sum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + sum

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    content = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 99))
    return f"data:image/png;base64,{base64.b64encode(content + chunk(b'IEND', b'')).decode()}"


def ask(client: openai.OpenAI, *pictures: str, **options: Any) -> None:
    parts: list[Any] = [{"type": "image_url", "image_url": {"url": url}} for url in pictures]
    messages: list[Any] = [{"role": "user", "content": [*parts, {"type": "text", "text": "?"}]}]
    client.chat.completions.create(model="tiny", messages=messages, **{"max_tokens": 2, **options})


def test_pictures(start: Start) -> None:
    client = start(max_pictures=2, max_pixels=10_000, max_picture_bytes=2000).client()
    small = data_url(Image.new("RGB", (9, 9)))
    ask(client, small, small)
    for pictures, told in [
        ([small] * 3, "has 3 pictures; 2 are taken"),
        ([data_url(Image.new("RGB", (200, 200)))], r"too many pixels \(200 x 200"),
        ([png_that_claims(50_000, 50_000)], "too many pixels"),
        ([data_url(Image.effect_noise((90, 90), 99))], "more than 2,000 bytes"),
        ([png_that_claims(9, 9)], "damaged or cut short"),
    ]:
        with pytest.raises(openai.BadRequestError, match=told):
            ask(client, *pictures)


def test_a_single_pixel(start: Start) -> None:
    """It ended others' engines (CVE-2026-22773)."""
    client = start().client()
    for size in [(1, 1), (1, 3), (3, 1)]:
        ask(client, data_url(Image.new("RGB", size)))


def test_bodies(start: Start) -> None:
    running = start(max_body_bytes=5000)
    body = json.dumps({"prompt": "a dog", "padding": "x" * 6000}).encode()
    headers = {"content-type": "application/json"}

    def pieces():
        yield from (body[i : i + 500] for i in range(0, len(body), 500))

    with running.http(headers=headers) as http:
        for content in (body, pieces()):
            reply = http.post("/v1/images/generations", content=content)
            assert reply.status_code == 413
            assert "more than 5,000 bytes" in reply.json()["error"]["message"]
        assert http.post("/v1/images/generations", json={"prompt": "a dog"}).status_code == 200


def test_time(start: Start) -> None:
    running = start(max_seconds=0.02)
    with pytest.raises(openai.InternalServerError, match=r"longer than 0\.02 seconds") as caught:
        running.client().images.generate(prompt="a dog", n=4)
    assert caught.value.status_code == 504
    wait_until_free(running)


def test_work_of_a_key(start: Start) -> None:
    """Tokens times rows: a guided picture costs twice its prompt and its sixteen ids."""
    running = start(tokens_per_minute=200)
    client = running.client()
    client.images.generate(prompt="a dog", n=3)
    with pytest.raises(openai.RateLimitError, match="tokens left in this minute") as caught:
        client.images.generate(prompt="a dog", n=3)
    assert caught.value.code == "rate_limit_exceeded"
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 120
    with pytest.raises(openai.RateLimitError, match="more than the 200 that this key has"):
        client.images.generate(prompt="a dog", n=10)


def test_logs_hold_no_prompts(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    secret = "a very private dog"
    with caplog.at_level(logging.INFO):
        client = start().client()
        client.images.generate(prompt=secret)
        ask(client, data_url(Image.new("RGB", (9, 9))))
        with pytest.raises(openai.BadRequestError):
            client.images.generate(prompt=secret, size="9x9")
    told = "\n".join(
        f"{record.message} {record.__dict__.get('facts')}" for record in caplog.records
    )
    assert "/v1/images/generations" in told
    assert "private" not in told
    assert "base64" not in told


def test_logs_of_contents_where_they_are_wanted(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        start(log_contents=True).client().images.generate(prompt="a public dog")
    facts = [record.__dict__.get("facts", {}) for record in caplog.records]
    assert [fact["prompt"] for fact in facts if fact.get("event") == "contents"] == ["a public dog"]


def wait_until_free(running: Any) -> None:
    import time

    end = time.monotonic() + 20
    while running.service.worker.load().running and time.monotonic() < end:
        time.sleep(0.01)
    assert running.service.worker.load().running == 0


def test_metrics(start: Start) -> None:
    running = start()
    running.client().images.generate(prompt="a dog", n=2)
    ask(running.client(), data_url(Image.new("RGB", (9, 9))))
    with running.http() as http:
        page = http.get("/metrics").text
        values = {
            line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
            for line in page.splitlines()
            if not line.startswith("#")
        }
    path = "/v1/images/generations"
    of_pictures = f'janus_requests_total{{method="POST",path="{path}",status="200"}}'
    assert values[of_pictures] == 1
    assert values["janus_tokens_total"] >= 2 * 16 + 1
    assert values["janus_free_slots"] == 8
    assert values["janus_picture_seconds_count"] == 1
    assert values["janus_first_word_seconds_count"] == 1
    assert values["janus_step_seconds_count"] > 2


def test_ready_only_where_a_request_would_run_at_once(start: Start) -> None:
    running = start(slots=2)
    with running.http() as http:
        assert http.get("/ready").json() == {"ready": True, "waiting": 0, "free_slots": 2}
        steps = running.service.janus.draw_stream("a dog")
        next(steps)
        reply = http.get("/ready")
        assert (reply.status_code, reply.json()["ready"]) == (503, False)
        assert http.get("/health").status_code == 200
        list(steps)
        assert http.get("/ready").status_code == 200
