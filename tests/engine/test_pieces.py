"""Prompts that are read in pieces give what whole ones give, and keep nobody waiting."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from PIL import Image

from janus.engine.engine import Engine
from janus.engine.runner import lay_out
from janus.engine.windows import Windows
from janus.model.cache import CHUNK
from janus.model.model import JanusModel
from janus.model.quantized import pack_quantized
from janus.pipeline import Janus
from tests.engine.conftest import PLACEHOLDER

Build = Callable[..., Any]

WHOLE = 10**6


@pytest.fixture(scope="module")
def reading() -> Callable[..., Engine]:
    """An engine that reads so many tokens of prompts in a step."""

    def build(model: JanusModel, prompt_tokens: int, window: int = 1, **settings: Any) -> Engine:
        settings = {"num_slots": 12, "length": 128, "placeholder_id": PLACEHOLDER, **settings}
        windows = Windows(largest=window)
        return Engine(model, prompt_tokens=prompt_tokens, windows=windows, **settings)

    return build


@pytest.fixture(scope="module")
def requests(ask: Build, draw: Build) -> list[Any]:
    """Long prompts and short ones, pictures in them, and drawings of all kinds."""
    return [
        ask(5, pictures=2, max_tokens=12, temperature=0.9, seed=3),
        draw(15, seed=10),
        ask(3, max_tokens=9, temperature=1.2, top_k=20, seed=8),
        draw(9, seed=4, count=2, reference=True),
        draw(6, seed=11, guidance=1, top_p=0.9),
        ask(40, pictures=1, max_tokens=8),
        draw(1, seed=12, guidance=2.5, count=2, temperature=0.7),
    ]


@pytest.fixture(scope="module")
def wanted(any_model: JanusModel, reading: Build, finish: Build, requests: list[Any]) -> list[Any]:
    """Of each alone, its prompt read at once."""
    found = []
    for request in requests:
        engine = reading(any_model, WHOLE)
        found += finish(engine, engine.submit(request))
    return found


@pytest.mark.parametrize(
    ("prompt_tokens", "recorded"), [(1, False), (7, True), (16, False), (30, True)]
)
def test_the_same_ids_in_a_mixed_batch(
    any_model: JanusModel,
    reading: Build,
    finish: Build,
    requests: list[Any],
    wanted: list[Any],
    prompt_tokens: int,
    recorded: bool,
) -> None:
    engine = reading(any_model, prompt_tokens, window=3, recorded=recorded)
    tickets = []
    for request in requests:
        tickets.append(engine.submit(request))
        engine.step()
    assert finish(engine, *tickets) == wanted
    assert engine.scheduler.num_free == 12


@pytest.mark.parametrize("prompt_tokens", [1, 10, 64, 500])
def test_no_step_reads_more(
    model: JanusModel, reading: Build, requests: list[Any], prompt_tokens: int
) -> None:
    """But for one token of each row that has to begin together with others."""
    engine, seen = reading(model, prompt_tokens), []
    step = engine.runner.step

    def spy(windows: dict[Any, int]) -> Any:
        seen.append([row for row in lay_out(windows) if row.prompt is not None])
        return step(windows)

    engine.runner.step = spy
    tickets = [engine.submit(request) for request in requests]
    while engine.has_work:
        engine.step()
    for rows in seen:
        num_read = sum(row.count for row in rows)
        assert num_read <= prompt_tokens or {row.count for row in rows} == {1}
        assert num_read <= max(prompt_tokens, 4)
    prompts = [prompt for ticket in tickets for s in ticket.sequences for prompt in s.prompts]
    assert sum(row.count for rows in seen for row in rows) == sum(map(len, prompts))


def test_a_running_answer_gets_its_word_in_every_step(
    model: JanusModel, reading: Build, ask: Build, draw: Build
) -> None:
    engine = reading(model, 24)
    running = engine.submit(ask(4, max_tokens=40))
    drawing = engine.submit(draw(4))
    engine.step()
    others = [engine.submit(ask(70 + i, pictures=2, max_tokens=5)) for i in range(2)]
    steps = 0
    while not all(other.num_steps for other in others):
        before, drawn = running.num_steps, drawing.num_steps
        engine.step()
        assert running.num_steps == before + 1
        assert drawing.num_steps == min(drawn + 1, 16)
        steps += 1
    assert steps == sum(-(-len(other.request.prompt) // 24) for other in others)


def test_the_cache_grows_once_for_a_prompt(model: JanusModel, reading: Build, ask: Build) -> None:
    engine = reading(model, 16, length=3 * CHUNK)
    engine.submit(ask(2 * CHUNK, max_tokens=4))
    layer = engine.runner.cache.layers[0]
    assert layer.capacity == CHUNK
    engine.step()
    assert layer.capacity > 2 * CHUNK


def test_who_came_first_is_read_first(model: JanusModel, reading: Build, ask: Build) -> None:
    engine = reading(model, 16)
    tickets = [engine.submit(ask(words)) for words in (40, 2, 30)]
    begun: list[Any] = []
    while len(begun) < 3:
        engine.step()
        begun += [ticket for ticket in tickets if ticket.num_steps and ticket not in begun]
    assert begun == tickets


def test_one_transformer_call_a_step_that_tells_nothing_before_the_first_id(
    model: JanusModel, reading: Build, draw: Build
) -> None:
    calls: list[int] = []
    hook = model.language_model.register_forward_hook(lambda *_: calls.append(1))
    engine = reading(model, 16)
    ticket = engine.submit(draw(40, guidance=1))
    assert [len(engine.step()) for _ in range(4)] == [0, 0, 1, 1]
    hook.remove()
    assert (len(calls), ticket.num_steps, ticket.num_passes) == (4, 2, 2)


def test_every_picture_is_looked_at_once(model: JanusModel, reading: Build, ask: Build) -> None:
    looks: list[int] = []
    hook = model.vision_model.register_forward_hook(lambda *call: looks.append(len(call[1][0])))
    engine = reading(model, 7)
    ticket = engine.submit(ask(5, pictures=3))
    while not ticket.num_steps:
        engine.step()
    hook.remove()
    assert looks == [1, 1, 1]


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_prompt_may_be_given_up_half_read(
    model: JanusModel, reading: Build, finish: Build, ask: Build, draw: Build, step: int
) -> None:
    """What is left of it in the slot and of its pictures reaches nobody."""
    requests = [ask(5, max_tokens=12), draw(3), ask(4, pictures=2)]
    wanted = []
    for request in requests:
        alone = reading(model, WHOLE)
        wanted += finish(alone, alone.submit(request))
    engine = reading(model, 10, num_slots=4)
    kept = [engine.submit(request) for request in requests[:2]]
    gone = engine.submit(ask(6, pictures=3))
    for _ in range(2 + step):
        engine.step()
    assert 0 < gone.sequences[0].num_read < len(gone.request.prompt)
    assert engine.scheduler.num_free == 0
    engine.cancel(gone)
    assert (engine.scheduler.num_free, gone.finish_reason, gone.ids) == (1, "cancelled", ())
    kept.append(engine.submit(requests[2]))
    assert finish(engine, *kept) == wanted


def test_a_failure_at_a_later_piece_costs_the_others_nothing(
    model: JanusModel, reading: Build, finish: Build, ask: Build, draw: Build
) -> None:
    """Nor those who are admitted, but not read yet."""
    requests = [draw(4, count=2), ask(5, temperature=1.0)]
    wanted = []
    for request in requests:
        alone = reading(model, WHOLE)
        wanted += finish(alone, alone.submit(request))
    engine = reading(model, 24)
    first = engine.submit(requests[0])
    engine.step()
    bad, later = engine.submit(ask(60)), engine.submit(requests[1])
    engine.step()

    def fail(*_: Any) -> None:
        raise RuntimeError("broken")

    hook = model.language_model.register_forward_hook(fail)
    events = engine.step()
    hook.remove()
    assert [(event.ticket, event.new_ids) for event in events] == [(bad, {})]
    assert bad.finish_reason == "failed"
    assert finish(engine, first, later) == wanted
    assert engine.scheduler.num_free == 12


def test_a_prompt_held_back_is_read_from_its_beginning(
    model: JanusModel, reading: Build, finish: Build, ask: Build, draw: Build
) -> None:
    """Its slots, and what they held, were given back for lack of memory."""
    requests, wanted = [draw(4, count=2), ask(60, temperature=1.0)], []
    for request in requests:
        alone = reading(model, WHOLE)
        wanted += finish(alone, alone.submit(request))
    engine = reading(model, 24)
    tickets = [engine.submit(request) for request in requests]
    for _ in range(2):
        engine.step()

    def fail(*_: Any) -> None:
        raise torch.OutOfMemoryError("full")

    hook = model.language_model.register_forward_hook(fail)
    assert engine.step() == []
    hook.remove()
    assert tickets[1].held_back
    assert finish(engine, *tickets) == wanted


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_the_same_ids_from_quantized_weights(
    model: JanusModel, reading: Build, finish: Build, requests: list[Any], kind: str
) -> None:
    packed, found = pack_quantized(copy.deepcopy(model), kind), []
    for prompt_tokens in (WHOLE, 64):
        engine = reading(packed, prompt_tokens)
        found.append(finish(engine, *[engine.submit(request) for request in requests]))
    assert found[0] == found[1]


def test_the_bundled_model_says_and_draws_the_same(reading: Build, finish: Build) -> None:
    janus = Janus.from_pretrained("janus-emoji", device="cpu", dtype="float32")
    pictures = [Image.new("RGB", (128, 128), color) for color in ("red", "white", "green")]
    settings = {"temperature": 0, "max_tokens": 16}
    requests = [
        janus.text_request(pictures, "What do the pictures show?", **settings),
        janus.image_request("two red hearts to the left of a green apple", seed=7),
    ]
    found = []
    for prompt_tokens in (WHOLE, 40):
        settings = {"length": 512, "placeholder_id": janus.tokenizer.special.image}
        engine = reading(janus.model, prompt_tokens, window=4, **settings)
        found.append(finish(engine, *[engine.submit(request) for request in requests]))
    assert len(requests[0].prompt) > 3 * 64
    assert found[0] == found[1]
