"""Several ids a pass give the same pictures as one."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from janus.engine.engine import Engine
from janus.engine.request import Ticket
from janus.engine.windows import Windows
from janus.model.model import JanusModel
from janus.model.native.build import has_tiles, library
from janus.model.packed import Int4Linear
from janus.model.quantized import pack_quantized
from janus.model.rounded import Rounded4
from tests.engine.conftest import always

Build = Callable[..., Any]


@pytest.mark.parametrize("window", [2, 3, 5, 16])
def test_the_same_ids_with_any_window(
    any_model: JanusModel, new_engine: Build, draw: Build, finish: Build, window: int
) -> None:
    for seed in range(8):
        request = draw(4, seed=seed, guidance=1 + seed % 3, temperature=0.5 + 0.1 * seed)
        one, several = new_engine(any_model), new_engine(any_model, window=window)
        tickets = [engine.submit(request) for engine in (one, several)]
        assert finish(one, tickets[0]) == finish(several, tickets[1])
        assert tickets[0].num_passes == 16
        assert tickets[1].num_passes <= 16


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_the_same_ids_from_quantized_weights(
    model: JanusModel, new_engine: Build, draw: Build, finish: Build, kind: str
) -> None:
    packed = pack_quantized(copy.deepcopy(model), kind)
    for seed in range(4):
        one, several = new_engine(packed), new_engine(packed, window=6)
        tickets = [engine.submit(draw(4, seed=seed)) for engine in (one, several)]
        assert finish(one, tickets[0]) == finish(several, tickets[1])


def test_right_guesses_are_taken_all_at_once(
    model: JanusModel, new_engine: Build, draw: Build
) -> None:
    """Where every id is the same, the first guess (the last id again) is right throughout."""
    with always(model, code=7):
        engine = new_engine(model, window=5)
        engine.windows = Windows(largest=5, reach=100)
        ticket = engine.submit(draw(4))
        gained = [len(event.new_ids[0]) for _ in range(5) for event in engine.step()]
    assert ticket.pictures == [(7,) * 16]
    assert gained == [1, 5, 5, 5]


def test_freely_chosen_ids_are_guessed_at_once(
    model: JanusModel, new_engine: Build, draw: Build, finish: Build
) -> None:
    """The noise of a step is known beforehand: the less the ids before it matter, the better."""
    num_passes = []
    for temperature in (0.0, 2.0):
        engine = new_engine(model, window=8)
        tickets = [engine.submit(draw(4, seed=i, temperature=temperature)) for i in range(4)]
        finish(engine, *tickets)
        num_passes.append(sum(ticket.num_passes for ticket in tickets))
    assert num_passes[1] < num_passes[0] <= 4 * 16


def test_windows_in_a_mixed_batch(
    any_model: JanusModel, new_engine: Build, ask: Build, draw: Build, finish: Build
) -> None:
    """Answers and reference drawings take one id a step, and nobody's ids change."""
    requests = [
        draw(4, seed=1, count=2),
        ask(5, pictures=1, max_tokens=14, temperature=0.9, seed=3),
        draw(4, seed=4, count=2, reference=True),
        draw(7, seed=5, guidance=1),
    ]
    wanted = []
    for request in requests:
        engine = new_engine(any_model)
        wanted += finish(engine, engine.submit(request))
    engine, tickets = new_engine(any_model, num_slots=16, window=6), []
    for request in requests:
        tickets.append(engine.submit(request))
        engine.step()
    assert finish(engine, *tickets) == wanted
    assert tickets[2].num_passes == 2 * 16


def test_an_interrupted_step_is_repeated(
    model: JanusModel, new_engine: Build, draw: Build, finish: Build
) -> None:
    engine = new_engine(model, window=6)
    ticket, other = engine.submit(draw(4)), new_engine(model)
    for _ in range(3):
        engine.step()
    engine.runner.step(engine.windows.choose(engine.scheduler.running))  # its ids are lost
    assert finish(engine, ticket) == finish(other, other.submit(draw(4)))


def test_windows_shrink_as_the_pass_fills(
    model: JanusModel, new_engine: Build, draw: Build
) -> None:
    engine = new_engine(model, num_slots=64)
    windows = Windows(largest=16, num_tokens=32, reach=100)
    engine.submit(draw(4))
    engine.step()
    assert set(windows.choose(engine.scheduler.running).values()) == {16}
    for count, window in [(1, 8), (2, 4), (4, 2), (8, 1)]:
        engine.submit(draw(4, count=count))
        engine.step()
        assert set(windows.choose(engine.scheduler.running).values()) == {window}


def test_windows_shrink_beside_an_answer(
    model: JanusModel, new_engine: Build, ask: Build, draw: Build
) -> None:
    engine = new_engine(model)
    windows = Windows(largest=16, num_tokens=32, reach=100)
    engine.submit(draw(4, count=2))
    engine.step()
    assert set(windows.choose(engine.scheduler.running).values()) == {8}
    engine.submit(ask(5, max_tokens=9))
    engine.step()
    assert sorted(windows.choose(engine.scheduler.running).values()) == [1, 3, 3]


@pytest.mark.parametrize(("kind", "num_tokens"), [(None, 64), ("int8", 16), ("int4", 4)])
def test_windows_suit_the_weights(model: JanusModel, kind: str | None, num_tokens: int) -> None:
    if kind == "int8" and library() is None:
        num_tokens = 16 if torch.cpu._is_vnni_supported() else 4
    elif kind == "int8" and not has_tiles():
        num_tokens = 8
    model = copy.deepcopy(model)
    if kind == "int4":
        model.lm_head = Int4Linear(Rounded4.of(torch.randn(96, 64)), torch.float32)
    elif kind is not None:
        pack_quantized(model, kind)
    assert Windows.for_model(model).num_tokens == num_tokens


def test_windows_follow_what_is_gained(model: JanusModel, new_engine: Build, draw: Build) -> None:
    engine: Engine = new_engine(model)
    ticket: Ticket = engine.submit(draw(4))
    engine.step()
    windows = Windows(largest=16, num_tokens=64, reach=2.5)
    for pace, window in [(1, 2), (2, 5), (4, 10), (9, 16)]:
        ticket.sequences[0].pace = pace
        assert set(windows.choose(engine.scheduler.running).values()) == {window}
