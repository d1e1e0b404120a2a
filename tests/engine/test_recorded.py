"""Passes that run ahead of the host bring the same ids as those that wait for it.

On a CPU nothing is recorded; the same operations run one by one.
"""

from collections.abc import Callable
from typing import Any

import pytest

from janus.engine.engine import Engine
from janus.engine.windows import Windows
from janus.model.model import JanusModel
from tests.engine.conftest import PLACEHOLDER, always

Build = Callable[..., Any]


def recorded(model: JanusModel, window: int = 1, num_slots: int = 16, length: int = 64) -> Engine:
    return Engine(
        model,
        num_slots=num_slots,
        length=length,
        placeholder_id=PLACEHOLDER,
        windows=Windows(largest=window, reach=100),
        recorded=True,
    )


@pytest.mark.parametrize("window", [1, 2, 4, 7])
def test_pictures(
    any_model: JanusModel, new_engine: Build, draw: Build, finish: Build, window: int
) -> None:
    for seed in range(6):
        request = draw(
            4,
            seed=seed,
            count=1 + seed % 3,
            guidance=1 + seed % 2,
            temperature=0.5 * (seed % 4),
            top_k=seed % 5,
            top_p=1 - 0.1 * (seed % 2),
        )
        plain, engine = new_engine(any_model), recorded(any_model, window)
        wanted = finish(plain, plain.submit(request))
        assert finish(engine, engine.submit(request)) == wanted


def test_right_guesses_are_taken_all_at_once(model: JanusModel, draw: Build) -> None:
    """A step later than by the plain way."""
    with always(model, code=7):
        engine = recorded(model, window=4)
        ticket = engine.submit(draw(4))
        gained = [len(event.new_ids[0]) for _ in range(5) for event in engine.step()]
    assert ticket.pictures == [(7,) * 16]
    assert gained == [1, 4, 4, 4, 3]


def test_pictures_that_fill_their_slots(
    model: JanusModel, new_engine: Build, draw: Build, finish: Build
) -> None:
    """Guesses beyond the last id find room behind it."""
    request = draw(4, count=3)
    length = len(request.prompt) + 16
    plain, engine = new_engine(model), recorded(model, window=8, length=length)
    assert finish(engine, engine.submit(request)) == finish(plain, plain.submit(request))


@pytest.mark.parametrize("window", [1, 4])
def test_all_kinds_that_come_and_go(
    any_model: JanusModel, new_engine: Build, ask: Build, draw: Build, finish: Build, window: int
) -> None:
    requests = [
        draw(4, seed=1, count=2),
        ask(5, pictures=1, max_tokens=14, temperature=0.9, seed=3),
        draw(4, seed=4, count=2, reference=True),
        ask(8, max_tokens=3),
        draw(7, seed=5, guidance=1),
        ask(6, max_tokens=20, top_k=5, temperature=1.0),
    ]
    wanted = []
    for request in requests:
        plain = new_engine(any_model)
        wanted += finish(plain, plain.submit(request))
    engine, tickets = recorded(any_model, window), []
    for request in requests:
        tickets.append(engine.submit(request))
        for _ in range(3):
            engine.step()
    assert finish(engine, *tickets) == wanted


def test_more_requests_than_slots(
    model: JanusModel, new_engine: Build, ask: Build, draw: Build, finish: Build
) -> None:
    requests = [draw(3 + i, seed=i) if i % 2 else ask(3 + i) for i in range(10)]
    wanted = []
    for request in requests:
        plain = new_engine(model)
        wanted += finish(plain, plain.submit(request))
    engine = recorded(model, window=4, num_slots=3)
    assert finish(engine, *[engine.submit(request) for request in requests]) == wanted


def test_a_cancelled_picture_leaves_the_others_alone(
    model: JanusModel, new_engine: Build, draw: Build, finish: Build
) -> None:
    plain, engine = new_engine(model), recorded(model, window=2)
    wanted = finish(plain, plain.submit(draw(4)))
    gone, kept = engine.submit(draw(5)), engine.submit(draw(4))
    for _ in range(4):
        engine.step()
    engine.cancel(gone)
    before = gone.pictures
    assert finish(engine, kept) == wanted
    assert gone.pictures == before
    assert gone.finish_reason == "cancelled"


def test_a_failed_pass_is_repeated(
    model: JanusModel, new_engine: Build, draw: Build, finish: Build
) -> None:
    """What is known of a sequence is what the host has read, wherever the device is."""
    plain, engine = new_engine(model), recorded(model, window=4)
    wanted = finish(plain, plain.submit(draw(4)))
    ticket = engine.submit(draw(4))
    for _ in range(4):
        engine.step()
    assert engine.runner._under_way is not None
    engine.runner._under_way = None
    assert finish(engine, ticket) == wanted


def test_it_goes_on_where_nothing_can_be_recorded(
    model: JanusModel,
    new_engine: Build,
    draw: Build,
    finish: Build,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    plain, engine = new_engine(model), recorded(model, window=4)
    engine.runner._memory = (0, 0)

    def refuse(*_: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr("janus.engine.recording.Recording.record", refuse)
    assert finish(engine, engine.submit(draw(4))) == finish(plain, plain.submit(draw(4)))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
