"""What the model thinks of an answer that is there already."""

import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from janus.errors import ContextError, UsageError
from janus.evaluation.emoji_drawing import category_scenes
from janus.generation.review import log_likelihood
from janus.pipeline import CAPTION_REQUEST, Janus
from janus.prompts.batch import Prompt
from janus.training.emoji.scenes import Placement, render
from janus.training.emoji.sprites import Sprites
from tests.dense_model import dense_config
from tests.small_model import small_janus

PICTURE = Image.new("RGB", (32, 32), "teal")


def test_it_is_the_mean_over_the_steps_of_decoding(tiny: Janus):
    request = tiny.text_request(PICTURE, "What is it?", temperature=0, max_tokens=5)
    *_, ticket = tiny.engine.run(request)
    placeholder = tiny.tokenizer.special.image
    found = log_likelihood(tiny.model, request.prompt, ticket.ids, placeholder)
    one_by_one = [
        log_likelihood(tiny.model, _longer(request.prompt, ticket.ids[:i]), [token], placeholder)
        for i, token in enumerate(ticket.ids)
    ]
    assert found == pytest.approx(sum(one_by_one) / len(one_by_one), abs=1e-5)
    # Nothing is likelier than what greedy decoding chose, at its first step.
    others = [
        log_likelihood(tiny.model, request.prompt, [token], placeholder) for token in range(50)
    ]
    assert max(others) <= one_by_one[0] + 1e-6


def test_the_bundled_model_knows_which_picture_is_meant():
    janus = Janus.from_pretrained("janus-emoji", device="cpu")
    prompts = ["two red hearts", "a dog", "a green square below a yellow circle"]
    pictures = [janus.draw(prompt, seed=1)[0].image for prompt in prompts]
    for i, prompt in enumerate(prompts):
        scores = janus.match(pictures, prompt)
        assert scores.index(max(scores)) == i
        assert max(scores) <= 0


def test_pictures_do_not_depend_on_their_neighbours(tiny: Janus):
    other = Image.new("RGB", (32, 32), "red")
    both = tiny.match([PICTURE, other], "a dog")
    assert both == [*tiny.match([PICTURE], "a dog"), *tiny.match([other], "a dog")]


def test_an_answer_continues_its_prompt(tiny: Janus):
    """As a conversation in which it was given."""
    ids = tiny.template.answer_ids(" a dog ")
    prompt = tiny.text_request(None, CAPTION_REQUEST).prompt
    longer = tiny.text_request(None, "And?", history=[(CAPTION_REQUEST, "a dog")]).prompt
    assert longer.ids[: len(prompt) + len(ids)] == (*prompt.ids, *ids)


def test_the_bundled_model_looks_at_what_a_question_names(sprites: Sprites):
    janus = Janus.from_pretrained("janus-emoji", device="cpu")
    grid = janus.model.config.vision.grid_size
    named = other = 0.0
    for scene in category_scenes("position", sprites, 8):
        picture = Image.fromarray(render(scene, sprites, janus.image_size))
        first, second = scene.placements
        question = f"Where is the {sprites[first.sprite].name}?"
        (weights,) = janus.looked_at(picture, question, janus.ask(picture, question))
        assert weights.shape == (grid, grid) and weights.min() >= 0 and weights.max() == 1
        named += weights[_around(first, grid)].sum()
        other += weights[_around(second, grid)].sum()
    assert named > 1.5 * other


def test_later_in_a_conversation_it_looks_at_what_is_asked_then(sprites: Sprites):
    janus = Janus.from_pretrained("janus-emoji", device="cpu")
    grid = janus.model.config.vision.grid_size
    now = before = 0.0
    for scene in category_scenes("position", sprites, 8):
        picture = Image.fromarray(render(scene, sprites, janus.image_size))
        first, second = scene.placements
        asked, asked_next = (f"Where is the {sprites[p.sprite].name}?" for p in (first, second))
        told = [(asked, janus.ask(picture, asked))]
        answer = janus.ask(picture, asked_next, history=told)
        (weights,) = janus.looked_at(picture, asked_next, answer, history=told)
        now += weights[_around(second, grid)].sum()
        before += weights[_around(first, grid)].sum()
    assert now > 1.5 * before


def test_every_picture_of_a_conversation_has_its_map(tiny: Janus):
    told = [
        {"role": "user", "content": "What is it?", "pictures": [PICTURE]},
        {"role": "assistant", "content": "a dog"},
    ]
    maps = tiny.looked_at(Image.new("RGB", (40, 20), "red"), "And this?", "a cat", history=told)
    (alone,) = tiny.looked_at(PICTURE, "And this?", "a cat")
    assert len(maps) == 2 and max(weights.max() for weights in maps) == 1
    assert abs(maps[0] - alone).max() > 1e-3


def test_what_does_not_fit_is_told(tiny: Janus):
    with pytest.raises(ContextError):
        tiny.looked_at(PICTURE, "What is it?", "a dog", history=[("And?", "yes " * 600)])


def test_of_several_pictures_each_has_its_map(tiny: Janus):
    pictures = [PICTURE, Image.new("RGB", (40, 20), "red")]
    maps = tiny.looked_at(pictures, "What is it?", "a dog")
    assert len(maps) == 2 and max(weights.max() for weights in maps) == 1


def test_it_looks_the_same_while_others_draw(tiny: Janus):
    (alone,) = tiny.looked_at(PICTURE, "What is it?", "a dog")
    drawing = threading.Thread(target=tiny.draw, args=("a cat",))
    drawing.start()
    while drawing.is_alive():
        (beside,) = tiny.looked_at(PICTURE, "What is it?", "a dog")
        np.testing.assert_allclose(beside, alone, atol=1e-5)


def test_without_a_picture_there_is_nowhere_to_look(tiny: Janus):
    with pytest.raises(UsageError, match="no picture"):
        tiny.looked_at([], "What is it?", "a dog")


def test_every_token_counts_for_what_it_is_however_many_others_draw(tiny: Janus):
    grid = tiny.model.config.num_image_tokens
    told = [("What is it?", "a dog")]
    request = tiny.text_request(PICTURE, "Where?", history=told)
    words = tiny.template.answer_ids("on the left")
    drawing = threading.Thread(target=tiny.draw, args=("a cat",))
    drawing.start()
    while drawing.is_alive():
        counts = tiny.experts_for_answer(PICTURE, "Where?", "on the left", history=told)
        assert {kind: chosen.sum() // 2 for kind, chosen in counts.items()} == {
            "seen": grid,
            "text": len(request.prompt) + len(words) - grid,
        }


def test_experts_of_a_drawing_are_those_that_drew_it(tiny: Janus):
    (picture,) = tiny.draw("a dog", seed=1)
    counts = tiny.experts_for_drawing("a dog", picture.ids)
    assert counts["drawn"].shape == (1, 4)  # its first layer is dense
    assert counts["drawn"].sum() == 2 * len(picture.ids)
    other = tiny.experts_for_drawing("a dog", picture.ids[::-1])
    assert (counts["text"] == other["text"]).all() and (counts["drawn"] != other["drawn"]).any()
    with pytest.raises(UsageError, match="no ids of this model"):
        tiny.experts_for_drawing("a dog", [10**6])


def test_a_dense_model_has_no_experts():
    dense = small_janus(dense_config())
    assert not dense.has_experts
    with pytest.raises(UsageError, match="has no experts"):
        dense.experts_for_answer(None, "What?", "a dog")


def test_a_step_tells_its_ids_and_shows_them(tiny: Janus):
    *_, before, last = tiny.draw_stream("a dog", seed=1, count=2)
    assert before.ids[0] and last.index == sum(map(len, last.ids))
    assert last.pictures and last.ids == tuple(picture.ids for picture in last.pictures)
    assert 0 < before.passes < last.passes <= last.total
    assert last.mosaic().width > last.mosaic().height * 1.5


def test_a_step_shows_its_own_moment_after_the_drawing_went_on(tiny: Janus):
    steps = tiny.draw_stream("a dog", seed=1, count=2)
    early = next(step for step in steps if step.fraction > 0.3)
    shown = early.mosaic().tobytes(), early.preview().tobytes()
    *_, last = steps
    assert (early.mosaic().tobytes(), early.preview().tobytes()) == shown
    assert last.mosaic().tobytes() != shown[0] and last.preview().tobytes() != shown[1]
    assert early.index == sum(map(len, early.ids)) < last.index


def _around(placement: Placement, grid: int) -> np.ndarray:
    """The patches that have a part of it."""
    centres = (np.arange(grid) + 0.5) / grid
    rows = abs(centres - placement.y) <= placement.size / 2
    columns = abs(centres - placement.x) <= placement.size / 2
    return rows[:, None] & columns


def _longer(prompt: Prompt, ids: Sequence[int]) -> Prompt:
    return replace(prompt, ids=(*prompt.ids, *ids))
