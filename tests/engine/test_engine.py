import pytest
import torch

from janus.engine.request import ImageRequest, TextRequest
from janus.errors import ContextError, OutOfMemoryError, UsageError
from janus.generation.params import DrawParams, TextParams
from janus.prompts.batch import Prompt


@pytest.fixture(scope="module")
def mixture(ask, draw):
    """Answers with and without pictures, drawings of all kinds, and one prompt of a single id."""
    return [
        ask(5, pictures=1, max_tokens=20, temperature=0.9, seed=3),
        draw(4, seed=10),
        ask(3, max_tokens=9, temperature=1.2, top_k=20, seed=8),
        draw(9, seed=11, guidance=1, top_p=0.9),
        ask(0, max_tokens=14, temperature=1.0),
        draw(1, seed=12, guidance=2.5, count=2, temperature=0.7),
    ]


@pytest.fixture(scope="module")
def mixture_alone(model, new_engine, finish, mixture):
    return [alone(new_engine, finish, model, request) for request in mixture]


def alone(new_engine, finish, model, request):
    engine = new_engine(model)
    return finish(engine, engine.submit(request))[0]


def test_batched_is_alone(any_model, new_engine, finish, mixture):
    engine, tickets = new_engine(any_model), []
    for request in mixture:
        tickets.append(engine.submit(request))
        engine.step()
        engine.step()
    together = finish(engine, *tickets)
    assert together == [alone(new_engine, finish, any_model, request) for request in mixture]
    assert all(len(ids) == 16 for pictures in together[1::2] for ids in pictures)


def test_more_pictures_than_slots(model, new_engine, draw, finish):
    request = draw(4, count=5, seed=20)
    engine = new_engine(model, num_slots=5)
    ticket = engine.submit(request)
    assert finish(engine, ticket) == [alone(new_engine, finish, model, request)]
    assert len(set(ticket.pictures)) == 5
    assert engine.scheduler.num_free == 5


def test_picture_i_uses_seed_plus_i(model, new_engine, draw, finish):
    last = 2**63 - 1  # after which seeds begin again at 0
    for seed in (30, last - 1):
        pictures = alone(new_engine, finish, model, draw(4, count=3, seed=seed))
        for index, ids in enumerate(pictures):
            single = draw(4, seed=(seed + index) % (last + 1))
            assert [ids] == alone(new_engine, finish, model, single)


def test_one_transformer_call_a_step(model, new_engine, mixture):
    calls = []
    hook = model.language_model.register_forward_hook(lambda *_: calls.append(1))
    engine, steps = new_engine(model), 0
    for request in mixture:
        engine.submit(request)
        engine.step()
        steps += 1
    while engine.has_work:
        engine.step()
        steps += 1
    hook.remove()
    assert len(calls) == steps


def test_events_tell_every_id_once_and_the_first_at_admission(model, new_engine, mixture):
    engine = new_engine(model, num_slots=32)
    tickets = [engine.submit(request) for request in mixture]
    told = {ticket: [[] for _ in ticket.sequences] for ticket in tickets}
    first = True
    while events := engine.step():
        assert not first or {event.ticket for event in events} == set(tickets)
        for event in events:
            for index, ids in event.new_ids.items():
                told[event.ticket][index] += ids
        first = False
    assert not engine.has_work
    for ticket in tickets:
        assert [tuple(ids) for ids in told[ticket]] == ticket.pictures
        assert ticket.done


def test_an_answer_ends_before_its_end_mark(model, new_engine, ask, finish):
    request = ask(5, max_tokens=10)
    [whole] = alone(new_engine, finish, model, request)
    # Any id of the answer may serve as end mark; the answer ends before its first appearance.
    marked = TextRequest(
        prompt=request.prompt, params=request.params, seed=0, eos_ids=frozenset({whole[4]})
    )
    engine = new_engine(model)
    ticket = engine.submit(marked)
    finish(engine, ticket)
    assert ticket.ids == whole[: whole.index(whole[4])]
    assert ticket.finish_reason == "stop"
    ticket = engine.submit(request)
    finish(engine, ticket)
    assert (len(ticket.ids), ticket.finish_reason) == (10, "length")


@pytest.mark.parametrize("victim", range(6))
@pytest.mark.parametrize("step", [0, 1, 7, 15])
def test_cancel_frees_slots_and_leaves_the_others_alone(
    model, new_engine, finish, mixture, mixture_alone, victim, step
):
    engine = new_engine(model, num_slots=6)  # some wait at first
    tickets = [engine.submit(request) for request in mixture]
    for _ in range(step):
        engine.step()
    before, free = tickets[victim].pictures, engine.scheduler.num_free
    held = sum(len(sequence.slots) for sequence in tickets[victim].sequences)
    engine.cancel(tickets[victim])
    assert engine.scheduler.num_free == free + held
    assert tickets[victim].done
    finish(engine)
    assert tickets[victim].pictures == before
    assert engine.scheduler.num_free == 6
    for index, ticket in enumerate(tickets):
        if index != victim:
            assert ticket.pictures == mixture_alone[index]


def test_cancel_keeps_finished_pictures(model, new_engine, draw):
    engine = new_engine(model, num_slots=2)
    ticket = engine.submit(draw(3, count=3))
    for _ in range(20):
        engine.step()
    engine.cancel(ticket)
    assert [s.finish_reason for s in ticket.sequences] == ["stop", "cancelled", "cancelled"]
    assert [len(ids) for ids in ticket.pictures] == [16, 4, 0]
    assert ticket.finish_reason == "cancelled"
    assert not engine.has_work


def test_runs_may_be_interleaved_and_given_up(model, new_engine, ask, draw, finish):
    requests = [ask(4, max_tokens=8, temperature=1.0), draw(3), draw(5)]
    wanted = [alone(new_engine, finish, model, request) for request in requests]
    engine = new_engine(model)
    tickets = [engine.submit(request) for request in requests]
    runs = [engine.run(ticket) for ticket in tickets]
    next(runs[2])
    runs[2].close()
    assert tickets[2].finish_reason == "cancelled"
    seen = [[], []]
    while not all(ticket.done for ticket in tickets):
        for i in range(2):
            seen[i] += [ticket.num_steps for ticket in [next(runs[i], None)] if ticket]
    for i in range(2):
        seen[i] += [ticket.num_steps for ticket in runs[i]]
        assert seen[i] == sorted(set(seen[i]))
        assert seen[i][-1] == tickets[i].num_steps
        assert tickets[i].pictures == wanted[i]


def test_several_requests_run_together(model, new_engine, ask, draw, finish):
    requests = [ask(4, max_tokens=8, temperature=1.0), draw(3, count=2), draw(9)]
    wanted = [alone(new_engine, finish, model, request) for request in requests]
    engine = new_engine(model)
    tickets = engine.submit_all(requests)
    seen = [sum(ticket.num_steps for ticket in reached) for reached in engine.run_all(tickets)]
    assert [ticket.pictures for ticket in tickets] == wanted
    assert len(seen) == 16
    assert seen == sorted(set(seen))


def test_of_several_requests_all_are_queued_or_none(model, new_engine, draw):
    engine = new_engine(model, length=30)
    with pytest.raises(ContextError):
        engine.submit_all([draw(3), draw(20)])
    assert not engine.has_work


def test_several_requests_end_together(model, new_engine, ask, draw):
    engine = new_engine(model)
    tickets = engine.submit_all([draw(3), draw(5)])
    steps = engine.run_all(tickets)
    next(steps)
    steps.close()
    assert [ticket.finish_reason for ticket in tickets] == ["cancelled", "cancelled"]
    first, other = engine.submit_all([draw(3), ask(4, max_tokens=8)])
    steps = engine.run_all([first, other])
    next(steps)
    other.error = RuntimeError("broken")
    with pytest.raises(RuntimeError, match="broken"):
        list(steps)
    assert first.finish_reason == "cancelled"
    assert not engine.has_work


class Stumble:
    """A forward hook that fails at its n-th call, once."""

    def __init__(self, call, error):
        self.calls_left, self.error = call, error

    def __call__(self, *_):
        self.calls_left -= 1
        if self.calls_left == 0:
            raise self.error


def test_failing_newcomers_cost_the_others_nothing(model, new_engine, ask, draw, finish):
    requests = [draw(4, count=2, reference=True), ask(5, temperature=1.0)]
    wanted = [alone(new_engine, finish, model, request) for request in requests]
    engine = new_engine(model)
    tickets = [engine.submit(request) for request in requests]
    engine.step()
    bad = engine.submit(ask(4, pictures=1))
    hook = model.language_model.register_forward_hook(Stumble(1, RuntimeError("broken")))
    events = engine.step()
    assert [(event.ticket, event.new_ids) for event in events] == [(bad, {})]
    assert bad.finish_reason == "failed"
    assert "broken" in str(bad.error)
    assert finish(engine, *tickets) == wanted
    hook.remove()
    assert engine.scheduler.num_free == 8


class Memory:
    """A forward hook for a device that holds so many rows, and no more."""

    def __init__(self, rows):
        self.rows = rows

    def __call__(self, _, arguments):
        if len(arguments[1].counts) > self.rows:
            raise torch.OutOfMemoryError("full")


@pytest.mark.parametrize("rows", [2, 3, 5])
def test_what_does_not_fit_into_memory_at_once_comes_later(
    model, new_engine, ask, draw, finish, rows
):
    requests = [draw(4, count=5), ask(5, temperature=1.0), draw(3, count=2)]
    wanted = [alone(new_engine, finish, model, request) for request in requests]
    engine = new_engine(model, num_slots=16)
    hook = model.language_model.register_forward_pre_hook(Memory(rows))
    tickets = [engine.submit(requests[0])]
    engine.step()
    tickets += engine.submit_all(requests[1:])
    assert finish(engine, *tickets) == wanted
    hook.remove()
    assert tickets[0].held_back
    assert engine.scheduler.num_free == 16
    at_once = engine.submit(draw(4, count=5))  # there may be more memory by now
    engine.step()
    assert not at_once.held_back and len(engine.scheduler.running) == 5


def test_what_does_not_even_fit_alone_fails(model, new_engine, ask, draw, finish):
    engine = new_engine(model)
    hook = model.language_model.register_forward_pre_hook(Memory(1))
    large, small = engine.submit_all([draw(4, count=2), ask(5)])
    finish(engine, small)
    hook.remove()
    assert isinstance(large.error, OutOfMemoryError)
    assert small.error is None
    assert engine.scheduler.num_free == 8


def test_a_failing_step_ends_its_tickets_and_the_engine_goes_on(model, new_engine, draw, finish):
    request = draw(4, count=5)
    engine = new_engine(model, num_slots=4)
    ticket = engine.submit(request)
    later = engine.submit(draw(6))
    hook = model.language_model.register_forward_hook(Stumble(3, RuntimeError("broken")))
    with pytest.raises(RuntimeError, match="broken"):
        list(engine.run(ticket))
    assert {s.finish_reason for s in ticket.sequences} == {"failed"}
    finish(engine, later)
    hook.remove()
    assert later.pictures == alone(new_engine, finish, model, draw(6))
    assert engine.scheduler.num_free == 4


def test_too_long_is_refused_with_the_numbers(model, new_engine, ask, draw):
    engine = new_engine(model, length=30)
    with pytest.raises(ContextError, match=r"21 .*12 .*33.*30"):
        engine.submit(ask(20))
    with pytest.raises(ContextError, match=r"15 .*16 .*31.*30"):
        engine.submit(draw(13))
    engine.submit(ask(17))
    engine.submit(draw(12))


def test_what_never_fits_the_slots_is_refused(model, new_engine, draw, finish):
    engine = new_engine(model, num_slots=3)
    with pytest.raises(UsageError, match=r"4 rows.* 3"):
        engine.submit(draw(2, count=2, reference=True))
    finish(engine, engine.submit(draw(2, count=4)))
    with pytest.raises(UsageError):
        new_engine(model, num_slots=1).submit(draw(2))


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (Prompt(()), "empty"),
        (Prompt((0, 96)), "0 to 96"),
        (Prompt((0, -1)), "-1 to 0"),
        (Prompt((0, 4, 7)), "has 1"),
        (Prompt((0, *[4] * 15), torch.zeros(1, 3, 16, 16)), "16 placeholders .* has 15"),
        (Prompt((0, *[4] * 16), torch.zeros(3, 16, 16)), r"\(3, 16, 16\)"),
        (Prompt((0, *[4] * 16), torch.zeros(1, 3, 8, 8)), r"\[number, 3, 16, 16\]"),
        (Prompt((0, *[4] * 16), torch.full((1, 3, 16, 16), torch.nan)), "finite"),
    ],
)
def test_bad_prompts_are_refused_at_once(model, new_engine, prompt, words):
    engine = new_engine(model)
    with pytest.raises(UsageError, match=words):
        engine.submit(TextRequest(prompt=prompt, params=TextParams(), seed=0, eos_ids=frozenset()))
    with pytest.raises(UsageError, match=words):
        engine.submit(ImageRequest(prompt=prompt, params=DrawParams(), seed=0, pad_id=2))
    assert not engine.has_work
    assert engine.step() == []


def test_single_ids_are_prompts_too(model, new_engine, finish):
    request = ImageRequest(prompt=Prompt((3,)), params=DrawParams(), seed=0, pad_id=2)
    engine = new_engine(model)
    [[ids]] = finish(engine, engine.submit(request))
    assert len(ids) == 16
