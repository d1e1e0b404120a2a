"""Every token counts once for what it is; the picture shows it; shuffled routers do harm."""

import math
from dataclasses import replace

import pytest
import torch
from PIL import Image

from janus.engine.engine import Engine
from janus.engine.windows import Windows
from janus.errors import UsageError
from janus.evaluation.routing import measure_routing, shuffle_routers
from janus.evaluation.routing_report import MODALITIES, Routing
from janus.evaluation.routing_work import ANSWER_TOKENS, QUESTIONS, Work, prepare_work
from janus.model.cache import Rows
from janus.model.moe import Router
from janus.pipeline import Janus
from tests.small_model import small_janus

NUM_PICTURE_TOKENS = 16
PICTURES = [Image.new("RGB", (40, 30), "red"), Image.linear_gradient("L")]


@pytest.fixture(scope="module")
def janus() -> Janus:
    return small_janus()


@pytest.fixture(scope="module")
def work(janus: Janus) -> Work:
    return prepare_work(janus, pictures=PICTURES, prompts=["two red hearts"])


@pytest.fixture(scope="module")
def routing(janus: Janus, work: Work) -> Routing:
    return measure_routing(janus, work)


def test_every_token_counts_once_for_what_it_is(routing: Routing, work: Work):
    """The small model never ends an answer, so that all lengths are known."""
    num_questions = len(PICTURES) * len(QUESTIONS)
    num_seen = num_questions * NUM_PICTURE_TOKENS
    words = [len(request.prompt) for request in work.requests]
    words.append(words[-1])  # the unguided row of the drawing
    assert routing.num_tokens("seen") == num_seen
    assert routing.num_tokens("drawn") == 2 * NUM_PICTURE_TOKENS
    assert routing.num_tokens("text") == sum(words) - num_seen + num_questions * ANSWER_TOKENS


def test_every_token_chooses_k_experts_in_every_layer(routing: Routing):
    num_tokens = sum(map(routing.num_tokens, MODALITIES))
    assert routing.layers == (1,)
    for row in torch.stack(list(routing.counts.values())).sum(dim=0):
        assert row.sum() == num_tokens * routing.num_chosen


def test_counts_are_those_of_decoding_but_for_the_last_id(janus: Janus):
    """Nobody asks the model what follows the last id; all else was chosen alike step by step."""
    work = prepare_work(janus, num_scenes=1)
    chosen = []
    (router,) = (module for module in janus.model.modules() if isinstance(module, Router))
    hook = router.register_forward_hook(lambda *call: chosen.append(call[-1][1]))
    engine = Engine(
        janus.model,
        num_slots=4,
        length=512,
        placeholder_id=janus.tokenizer.special.image,
        windows=Windows(largest=1),
    )
    for request in work.requests:
        engine.submit(request)
    while engine.has_work:
        engine.step()
    hook.remove()
    decoded = torch.bincount(torch.cat(chosen).flatten(), minlength=4)
    counted = sum(measure_routing(janus, work).counts.values())[0]
    num_rows = 4  # two answers, and the two rows of a guided picture
    assert (counted >= decoded).all()
    assert (counted - decoded).sum() == num_rows * 2


def test_the_same_work_gives_the_same_counts(janus: Janus, routing: Routing, work: Work):
    again = measure_routing(janus, work)
    assert all(torch.equal(routing.counts[name], again.counts[name]) for name in MODALITIES)


def test_work_says_what_it_is(janus: Janus):
    scenes = prepare_work(janus, num_scenes=2)
    assert scenes.summary == "2 held-out emoji scenes described, asked about and drawn"
    assert len(scenes.requests) == 6
    mixed = prepare_work(janus, num_scenes=1, prompts=["a dog", "a cat"])
    assert mixed.summary == "1 held-out emoji scene described and asked about, 2 prompts drawn"
    assert len(mixed.requests) == 4


def by_hand(**counts: list[int]) -> Routing:
    tensors = {name: torch.tensor([row]) for name, row in counts.items()}
    return Routing(model="m", work="w", layers=(3,), num_chosen=1, counts=tensors)


def test_figures_by_hand():
    routing = by_hand(text=[8, 0, 0, 0], seen=[0, 4, 4, 0], drawn=[4, 2, 1, 1])
    assert routing.loads("drawn").tolist() == [[2, 1, 0.5, 0.5]]
    assert routing.total_loads().tolist() == [[2, 1, 5 / 6, 1 / 6]]
    assert routing.starved() == [(3, 3, pytest.approx(1 / 6))]
    assert routing.distances("text", "seen") == pytest.approx([1])
    assert routing.distances("seen", "seen") == pytest.approx([0])
    # One half of the choices in common: both distributions have 1 bit less than their mixture's.
    half = by_hand(text=[1, 1, 0, 0], seen=[0, 1, 1, 0], drawn=[1, 1, 1, 1])
    assert half.distances("text", "seen") == pytest.approx([math.sqrt(0.5)])


def test_a_model_without_experts_is_refused():
    janus = small_janus()
    config = janus.model.config
    dense = small_janus(replace(config, transformer=replace(config.transformer, experts=None)))
    with pytest.raises(UsageError, match="has no experts"):
        measure_routing(dense, prepare_work(dense, num_scenes=1))
    with pytest.raises(UsageError, match="has no experts"):
        shuffle_routers(dense.model, 0)


def test_shuffling_exchanges_rows_with_their_biases_and_changes_what_follows():
    plain, shuffled, again = small_janus(), small_janus(), small_janus()
    for janus in (plain, shuffled, again):
        for bias in janus.model.buffers():
            bias.copy_(torch.arange(bias.numel()).view_as(bias) / 100)
    shuffle_routers(shuffled.model, 1)
    shuffle_routers(again.model, 1)
    before, after, same = (rows_with_biases(janus) for janus in (plain, shuffled, again))
    assert before != after
    assert sorted(before) == sorted(after)
    assert after == same
    assert not torch.allclose(states(plain), states(shuffled))


def rows_with_biases(janus: Janus) -> list[list[float]]:
    (router,) = (module for module in janus.model.modules() if isinstance(module, Router))
    return torch.cat([router.weight, router.e_score_correction_bias[:, None]], dim=1).tolist()


def states(janus: Janus) -> torch.Tensor:
    return janus.model(janus.model.embed_text(torch.arange(20)), Rows.uniform(1, 20))


def test_the_picture_grows_with_the_model():
    pytest.importorskip("matplotlib")
    from janus.evaluation.routing_picture import draw_routing

    few = draw_routing(by_hand(text=[8, 0, 0, 0], seen=[0, 4, 4, 0], drawn=[4, 2, 1, 1]))
    many = draw_routing(by_hand(text=[1, 2] * 6, seen=[3, 0] * 6, drawn=[1] * 12))
    assert few.mode == "RGB"
    assert 1200 < few.width < many.width < 3000
    assert len(few.getcolors(2**20)) > 50
