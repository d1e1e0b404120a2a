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


def _around(placement: Placement, grid: int) -> np.ndarray:
    """The patches that have a part of it."""
    centres = (np.arange(grid) + 0.5) / grid
    rows = abs(centres - placement.y) <= placement.size / 2
    columns = abs(centres - placement.x) <= placement.size / 2
    return rows[:, None] & columns


def _longer(prompt: Prompt, ids: Sequence[int]) -> Prompt:
    return replace(prompt, ids=(*prompt.ids, *ids))
