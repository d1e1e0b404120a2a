"""OpenAI's own client against a real server: chat, pictures, models, and typed errors."""

import base64
import io
import json
from typing import Any

import openai
import pytest
from PIL import Image

from janus.metadata import read_settings
from janus.pipeline import Janus
from tests.pace import unhurried
from tests.server.conftest import Running, about, data_url, opened

PICTURE = Image.new("RGB", (40, 30), "red")


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").owned_by == "janus"
    with pytest.raises(openai.NotFoundError, match="Use 'tiny'"):
        client.models.retrieve("owner/other")


def test_a_question_about_a_picture(client: openai.OpenAI, tiny: Janus) -> None:
    reply = client.chat.completions.create(
        model="tiny", messages=about(data_url(PICTURE)), max_tokens=8
    )
    request = tiny.text_request(PICTURE, "What is it?", max_tokens=8)
    wanted = tiny.answer(request)
    (choice,) = reply.choices
    assert choice.message.content == wanted.text
    assert choice.finish_reason == wanted.finish_reason
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == len(request.prompt)
    assert reply.usage.completion_tokens == wanted.completion_tokens
    assert reply.usage.total_tokens == len(request.prompt) + wanted.completion_tokens


def test_a_conversation_with_orders(client: openai.OpenAI, tiny: Janus) -> None:
    """What the system says stands before what the user says next."""
    messages: list[Any] = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "A dog?"},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": [{"type": "text", "text": "A cat?"}]},
    ]
    reply = client.chat.completions.create(model="tiny", messages=messages, max_tokens=6)
    history = [("Be short.\n\nA dog?", "yes")]
    assert reply.choices[0].message.content == tiny.ask(
        None, "A cat?", history=history, max_tokens=6
    )


def test_a_stream_is_the_whole_answer(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {
        "model": "tiny",
        "messages": about(data_url(PICTURE, "JPEG")),
        "max_completion_tokens": 12,
        "temperature": 1,
        "seed": 5,
    }
    whole = client.chat.completions.create(**asked)
    chunks = list(
        client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(texts) == whole.choices[0].message.content
    assert len([text for text in texts if text]) > 1
    assert chunks[0].choices[0].delta.role == "assistant"
    reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert reasons == [None] * (len(reasons) - 1) + [whole.choices[0].finish_reason]
    assert chunks[-1].usage == whole.usage
    assert len({chunk.id for chunk in chunks}) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_several_answers(client: openai.OpenAI, stream: bool) -> None:
    """Answer i has seed + i."""
    asked: dict[str, Any] = {
        "model": "tiny",
        "messages": [{"role": "user", "content": "Go on"}],
        "max_tokens": 8,
        "temperature": 1.5,
    }
    single = [
        client.chat.completions.create(**asked, seed=7 + i).choices[0].message.content
        for i in range(3)
    ]
    assert len(set(single)) > 1
    reply: Any = client.chat.completions.create(**asked, seed=7, n=3, stream=stream)
    if not stream:
        assert [choice.message.content for choice in reply.choices] == single
        return
    texts = ["", "", ""]
    for chunk in reply:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == single


def test_stop_texts(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {
        "model": "tiny",
        "messages": [{"role": "user", "content": "Go on"}],
        "max_tokens": 20,
        "temperature": 1,
        "seed": 3,
    }
    whole = client.chat.completions.create(**asked).choices[0].message.content or ""
    stop = whole.split()[2]
    reply = client.chat.completions.create(**asked, stop=[stop])
    assert reply.choices[0].message.content == whole.partition(stop)[0].rstrip()
    assert reply.choices[0].finish_reason == "stop"


def test_pictures(client: openai.OpenAI, tiny: Janus) -> None:
    """Picture i has seed + i, and carries its settings."""
    reply = client.images.generate(prompt="two red hearts", n=2, extra_body={"seed": 3})
    wanted = tiny.draw("two red hearts", count=2, seed=3)
    assert reply.data is not None
    for each, picture in zip(reply.data, wanted, strict=True):
        assert each.b64_json is not None
        assert opened(each.b64_json).tobytes() == picture.image.tobytes()
    assert [each.model_extra for each in reply.data] == [{"seed": 3}, {"seed": 4}]
    assert reply.size == "32x32"
    assert reply.usage is not None
    assert reply.usage.output_tokens == 2 * 16


def test_a_picture_carries_its_settings(client: openai.OpenAI) -> None:
    body = {"seed": 3, "guidance": 2, "temperature": 0.5, "top_k": 9}
    reply = client.images.generate(prompt="a dog", size="32x32", extra_body=body)
    assert reply.data is not None
    settings = read_settings(io.BytesIO(base64.b64decode(reply.data[0].b64_json or "")))
    assert settings is not None
    assert settings["prompt"] == "a dog"
    assert {name: settings[name] for name in body} == body


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("compression", [None, 100, 20])
def test_other_formats(
    client: openai.OpenAI, tiny: Janus, format: Any, compression: int | None
) -> None:
    asked: dict[str, Any] = {"prompt": "a dog", "output_format": format, "extra_body": {"seed": 3}}
    if compression is not None:
        asked["output_compression"] = compression
    if (format, compression) == ("png", 20):
        with pytest.raises(openai.BadRequestError, match="A PNG has no quality"):
            client.images.generate(**asked)
        return
    reply = client.images.generate(**asked)
    assert reply.data is not None and reply.output_format == format
    picture = opened(reply.data[0].b64_json or "")
    assert picture.format == format.upper()
    (drawn,) = tiny.draw("a dog", seed=3)
    is_whole = format != "jpeg" and compression != 20
    assert (picture.convert("RGB").tobytes() == drawn.image.tobytes()) is is_whole
    settings = read_settings(io.BytesIO(base64.b64decode(reply.data[0].b64_json or "")))
    assert settings == {**drawn.settings, "seed": 3}


def test_a_picture_as_an_address(client: openai.OpenAI) -> None:
    reply = client.images.generate(prompt="a dog", response_format="url")
    assert reply.data is not None
    head, _, data = (reply.data[0].url or "").partition(",")
    assert head == "data:image/png;base64"
    assert opened(data).size == (32, 32)


def test_previews(client: openai.OpenAI, tiny: Janus) -> None:
    with unhurried(tiny):
        events = list(
            client.images.generate(
                prompt="a dog", stream=True, partial_images=3, extra_body={"seed": 1}
            )
        )
    kinds = [event.type.removeprefix("image_generation.") for event in events]
    assert kinds == ["partial_image"] * 3 + ["completed"]
    assert [event.partial_image_index for event in events[:3]] == [0, 1, 2]  # pyright: ignore
    pictures = [opened(event.b64_json) for event in events]
    assert all(picture.size == (32, 32) for picture in pictures)
    assert len({picture.tobytes() for picture in pictures}) == 4
    assert pictures[-1].tobytes() == tiny.draw("a dog", seed=1)[0].image.tobytes()


@pytest.mark.parametrize("format", ["jpeg", "webp"])
def test_previews_have_the_format_of_the_picture(
    client: openai.OpenAI, tiny: Janus, format: Any
) -> None:
    with unhurried(tiny):
        events = list(
            client.images.generate(
                prompt="a dog",
                stream=True,
                partial_images=2,
                output_format=format,
                output_compression=60,
            )
        )
    assert [event.output_format for event in events] == [format] * 3
    assert [opened(event.b64_json).format for event in events] == [format.upper()] * 3
    settings = [read_settings(io.BytesIO(base64.b64decode(event.b64_json))) for event in events]
    assert [told and told["prompt"] for told in settings] == [None, None, "a dog"]


def test_several_streamed_pictures(running: Running, tiny: Janus) -> None:
    asked = {"prompt": "a dog", "n": 3, "stream": True, "partial_images": 1, "seed": 8}
    drawing = "POST", "/v1/images/generations"
    with unhurried(tiny), running.http() as http, http.stream(*drawing, json=asked) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in reply.iter_lines() if line.startswith("data: ")]
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    done = {e["index"]: e for e in events if e["type"] == "image_generation.completed"}
    wanted = tiny.draw("a dog", count=3, seed=8)
    for index, picture in enumerate(wanted):
        assert done[index]["seed"] == 8 + index
        assert opened(done[index]["b64_json"]).tobytes() == picture.image.tobytes()
    assert len(events) == 6


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": "gpt-4o"}, "There is no model 'gpt-4o' here"),
        ({"messages": []}, "messages: List should have at least 1 item"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "end with 'user'"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": about("https://example.org/a.png")}, "does not fetch pictures"),
        ({"messages": about("file:///etc/passwd")}, "none of an ordinary web page"),
        ({"messages": about("data:image/png;base64,AAAA")}, "not a picture of a known format"),
        ({"messages": about("data:image/png;base64,%%%")}, "base64 is damaged"),
        ({"messages": about("data:image/png,AAAA")}, "not in base64"),
        ({"temperature": 3}, "temperature: Input should be less than or equal to 2"),
        ({"max_tokens": 100_000}, "max_tokens is 100000"),
        ({"max_tokens": 600}, "more than the 512 that this model can take in"),
        ({"n": 0}, "n: Input should be greater than or equal to 1"),
        ({"tools": [{"type": "function"}]}, "tools: List should have at most 0 items"),
        ({"logprobs": True}, "logprobs"),
        ({"presence_penalty": 1}, "presence_penalty"),
        ({"response_format": {"type": "json_object"}}, "response_format.type"),
    ],
)
def test_wrong_questions(client: openai.OpenAI, change: dict[str, Any], told: str) -> None:
    asked = {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}], **change}
    with pytest.raises(openai.APIStatusError, match=told) as caught:
        client.chat.completions.create(**asked)
    wanted = openai.NotFoundError if "model" in change else openai.BadRequestError
    assert type(caught.value) is wanted
    assert caught.value.type == "invalid_request_error"
    assert caught.value.request_id


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"prompt": ""}, "prompt: String should have at least 1 character"),
        ({"prompt": "   "}, "The prompt is empty"),
        ({"prompt": "word " * 600}, "more than the 512 that this model can take in"),
        ({"size": "1024x1024"}, "does not draw 1024x1024. It draws 32x32"),
        ({"n": 11}, "n: Input should be less than or equal to 10"),
        ({"extra_body": {"guidance": 0}}, "guidance"),
        ({"output_format": "gif"}, "output_format"),
    ],
)
def test_wrong_drawings(client: openai.OpenAI, change: dict[str, Any], told: str) -> None:
    with pytest.raises(openai.BadRequestError, match=told):
        client.images.generate(**{"prompt": "a dog", **change})


def test_what_is_no_json(running: Running) -> None:
    with running.http() as http:
        for path in ("/v1/chat/completions", "/v1/images/generations"):
            reply = http.post(path, content=b"{", headers={"content-type": "application/json"})
            assert reply.status_code == 400
            assert reply.json()["error"]["message"] == "The body is not JSON."
        reply = http.get("/v1/nothing")
        assert reply.status_code == 404
        assert reply.json()["error"]["type"] == "invalid_request_error"
        assert http.get("/v1/chat/completions").status_code == 405


def test_request_ids(running: Running) -> None:
    with running.http() as http:
        assert (
            http.get("/health", headers={"x-request-id": "mine-1"}).headers["x-request-id"]
            == "mine-1"
        )
        given = http.get("/health", headers={"x-request-id": "a b\tc"}).headers["x-request-id"]
        assert given.startswith("req_")
