"""Our model computes what stock transformers computes, for every kind of text config."""

from typing import Any

import pytest
import torch
from torch import Tensor

from janus.model.cache import Rows
from janus.model.model import JanusModel
from tests.oracle import (
    BEGIN_OF_IMAGE,
    BOS,
    IMAGE,
    PAD,
    PLAIN,
    TEXT,
    oracle,
    ours_from,
    relative_error,
)

# B rows, T tokens of a row, D width

Pair = tuple[Any, JanusModel]


@pytest.fixture(scope="module", params=TEXT)
def pair(request: pytest.FixtureRequest) -> Pair:
    theirs = oracle(request.param)
    return theirs, ours_from(theirs)


def ids(*shape: int, below: int = 96) -> Tensor:
    # From 5 on, so that none of them stands for a picture.
    return torch.randint(5, below, shape, generator=torch.Generator().manual_seed(1))


def pixels(count: int) -> Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(2)) * 2 - 1


def hidden_states(ours: JanusModel, embeddings_BTD: Tensor) -> Tensor:
    num_rows, length = embeddings_BTD.shape[:2]
    hidden_ND = ours(embeddings_BTD.flatten(0, 1), Rows.uniform(num_rows, length))
    return hidden_ND.unflatten(0, (num_rows, length))


@torch.inference_mode()
def test_text_logits(pair: Pair) -> None:
    theirs, ours = pair
    # Long enough to turn slow frequencies, where YaRN makes a difference.
    tokens = ids(2, 90)
    logits = ours.text_logits(hidden_states(ours, ours.embed_text(tokens)))
    assert relative_error(logits, theirs(tokens).logits) <= 1e-5


@torch.inference_mode()
def test_image_logits(pair: Pair) -> None:
    theirs, ours = pair
    words, codes = ids(2, 7), ids(2, 16, below=40)
    drawn = theirs.prepare_embeddings_for_image_generation(codes)
    embeddings = torch.cat([theirs.get_input_embeddings()(words), drawn], dim=1)
    hidden = theirs.model.language_model(inputs_embeds=embeddings).last_hidden_state
    expected = theirs.model.generation_head(hidden)

    embeddings = torch.cat([ours.embed_text(words), ours.embed_image(codes)], dim=1)
    logits = ours.image_logits(hidden_states(ours, embeddings))
    assert relative_error(logits, expected) <= 1e-5


@torch.inference_mode()
@pytest.mark.parametrize("name", PLAIN)
def test_answer_about_two_pictures(name: str) -> None:
    theirs = oracle(name)
    ours = ours_from(theirs)
    tokens = ids(1, 40)
    tokens[0, 3:19] = tokens[0, 21:37] = IMAGE
    expected = theirs(tokens, pixel_values=pixels(2)).logits

    embeddings = ours.embed_text(tokens)
    embeddings[tokens == IMAGE] = ours.see(pixels(2)).flatten(0, 1)
    logits = ours.text_logits(hidden_states(ours, embeddings))
    assert relative_error(logits, expected) <= 1e-5


@torch.inference_mode()
def test_same_picture_drawn_step_by_step(pair: Pair) -> None:
    theirs, ours = pair
    prompt = torch.cat([torch.tensor([[BOS]]), ids(1, 5), torch.tensor([[BEGIN_OF_IMAGE]])], dim=1)
    expected = theirs.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        generation_mode="image",
        do_sample=False,
        guidance_scale=3.0,
    )
    unguided = prompt.clone()
    unguided[:, 1:-1] = PAD
    drawn = draw(ours, torch.cat([prompt, unguided]), guidance=3.0)
    assert drawn.tolist() == expected[0].tolist()
    assert len(set(drawn.tolist())) > 2
    expected_pixels = theirs.decode_image_tokens(expected).permute(0, 3, 1, 2)
    assert relative_error(ours.draw_pixels(drawn[None]), expected_pixels) <= 1e-5


def draw(ours: JanusModel, prompts_BT: Tensor, guidance: float) -> Tensor:
    """The most likely codes of one picture, from a guided and an unguided prompt."""
    length, drawn = prompts_BT.shape[1], []
    cache = ours.language_model.new_cache(2, length + ours.config.num_image_tokens)
    rows = Rows(counts=(length, length), starts=(0, 0), slots=(0, 1))
    inputs_ND = ours.embed_text(prompts_BT).flatten(0, 1)
    for position in range(length, length + ours.config.num_image_tokens):
        last_2D = ours(inputs_ND, rows, cache).unflatten(0, (2, -1))[:, -1]
        guided, unguided = ours.image_logits(last_2D)
        drawn.append((unguided + guidance * (guided - unguided)).argmax())
        inputs_ND = ours.embed_image(torch.stack([drawn[-1]] * 2))
        rows = Rows(counts=(1, 1), starts=(position, position), slots=(0, 1))
    return torch.stack(drawn)
