"""OpenAI's newer interface: answers, and pictures by the tool `image_generation`."""

from typing import Any

import openai
import pytest
from PIL import Image

from janus.pipeline import Janus
from tests.pace import unhurried
from tests.server.conftest import data_url, opened

DRAW: list[Any] = [{"type": "image_generation", "partial_images": 2}]
PICTURE = Image.new("RGB", (40, 30), "blue")


def test_an_answer(client: openai.OpenAI, tiny: Janus) -> None:
    reply = client.responses.create(
        model="tiny", input="A dog?", instructions="Be short.", max_output_tokens=5
    )
    assert reply.output_text == tiny.ask(None, "Be short.\n\nA dog?", max_tokens=5)
    assert reply.status == "incomplete"
    assert reply.incomplete_details is not None
    assert reply.incomplete_details.reason == "max_output_tokens"
    assert reply.usage is not None
    assert reply.usage.output_tokens == 5


def test_an_answer_about_a_picture(client: openai.OpenAI, tiny: Janus) -> None:
    content: Any = [
        {"type": "input_image", "image_url": data_url(PICTURE), "detail": "auto"},
        {"type": "input_text", "text": "What is it?"},
    ]
    reply = client.responses.create(
        model="tiny", input=[{"role": "user", "content": content}], max_output_tokens=6
    )
    assert reply.output_text == tiny.ask(PICTURE, "What is it?", max_tokens=6)


def test_a_conversation(client: openai.OpenAI, tiny: Janus) -> None:
    turns: list[Any] = [
        {"role": "user", "content": "A dog?"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "yes"}]},
        {"type": "message", "role": "user", "content": "A cat?"},
    ]
    reply = client.responses.create(model="tiny", input=turns, max_output_tokens=6)
    wanted = tiny.ask(None, "A cat?", history=[("A dog?", "yes")], max_tokens=6)
    assert reply.output_text == wanted


def test_a_streamed_answer(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": "tiny", "input": "Go on", "max_output_tokens": 8}
    whole = client.responses.create(**asked)
    events = list(client.responses.create(**asked, stream=True))
    kinds = [event.type.removeprefix("response.") for event in events]
    assert kinds[:4] == ["created", "in_progress", "output_item.added", "content_part.added"]
    assert kinds[-4:] == [
        "output_text.done",
        "content_part.done",
        "output_item.done",
        whole.status,
    ]
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == whole.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].response.output_text == whole.output_text  # pyright: ignore
    with client.responses.stream(**asked) as stream:  # builds the response from the events
        assert [event.type for event in stream][-1] == events[-1].type


def test_a_picture(client: openai.OpenAI, tiny: Janus) -> None:
    reply = client.responses.create(model="tiny", input="a dog", tools=DRAW, extra_body={"seed": 4})
    (call,) = reply.output
    assert call.type == "image_generation_call"
    assert opened(call.result or "").tobytes() == tiny.draw("a dog", seed=4)[0].image.tobytes()


def test_a_picture_of_another_format(client: openai.OpenAI, tiny: Janus) -> None:
    tools: Any = [{"type": "image_generation", "output_format": "webp"}]
    reply = client.responses.create(
        model="tiny", input="a dog", tools=tools, extra_body={"seed": 4}
    )
    picture = opened(reply.output[0].result)  # pyright: ignore
    assert picture.format == "WEBP"
    drawn = tiny.draw("a dog", seed=4)[0].image
    assert picture.convert("RGB").tobytes() == drawn.tobytes()


def test_a_streamed_picture(client: openai.OpenAI, tiny: Janus) -> None:
    with unhurried(tiny):
        events = list(
            client.responses.create(
                model="tiny", input="a dog", tools=DRAW, stream=True, extra_body={"seed": 4}
            )
        )
    kinds = [event.type.removeprefix("response.") for event in events]
    of_call = "image_generation_call."
    assert kinds == [
        "created",
        "in_progress",
        "output_item.added",
        f"{of_call}in_progress",
        f"{of_call}generating",
        f"{of_call}partial_image",
        f"{of_call}partial_image",
        f"{of_call}completed",
        "output_item.done",
        "completed",
    ]
    last: Any = events[-1]
    wanted = tiny.draw("a dog", seed=4)[0].image.tobytes()
    assert opened(last.response.output[0].result).tobytes() == wanted
    previews = [e for e in events if e.type.endswith("partial_image")]
    assert [opened(e.partial_image_b64).size for e in previews] == [(32, 32)] * 2  # pyright: ignore


def test_the_tool_may_be_declined(client: openai.OpenAI, tiny: Janus) -> None:
    reply = client.responses.create(
        model="tiny", input="A dog?", tools=DRAW, tool_choice="none", max_output_tokens=4
    )
    assert reply.output_text == tiny.ask(None, "A dog?", max_tokens=4)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"input": []}, "input"),
        ({"input": "", "tools": DRAW}, "does not say what to draw"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
        ({"tools": [{"type": "image_generation", "size": "9x9"}]}, "does not draw 9x9"),
        ({"tools": [{"type": "image_generation", "output_compression": 50}]}, "has no quality"),
    ],
)
def test_wrong_requests(client: openai.OpenAI, change: dict[str, Any], told: str) -> None:
    with pytest.raises(openai.BadRequestError, match=told):
        client.responses.create(**{"model": "tiny", "input": "a dog", **change})


def test_pictures_are_not_edited(client: openai.OpenAI) -> None:
    content: Any = [
        {"type": "input_image", "image_url": data_url(PICTURE)},
        {"type": "input_text", "text": "make it red"},
    ]
    with pytest.raises(openai.BadRequestError, match="does not edit pictures"):
        client.responses.create(
            model="tiny", input=[{"role": "user", "content": content}], tools=DRAW
        )
