"""Batches of the joint stage say what they should, in the languages that they should."""

import pytest

from janus.prompts.chat import ChatTemplate, PromptStyle
from janus.prompts.tokenizer import JanusTokenizer
from janus.training.emoji.batches import Dialogues, SceneBatches
from janus.training.emoji.sprites import Sprites
from janus.training.losses import NO_TARGET


@pytest.fixture(scope="module")
def template(vocabulary: JanusTokenizer) -> ChatTemplate:
    style = PromptStyle.of_checkpoint(vocabulary, {"use_default_system_prompt": False})
    return ChatTemplate(vocabulary, style, num_image_tokens=16, context=512)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_share_of_spanish_is_kept(
    sprites: Sprites, template: ChatTemplate, vocabulary: JanusTokenizer, share: float
) -> None:
    make = Dialogues(32, template, num_seen=6, spanish_share=share, num_unconditional=0)
    batch = SceneBatches(make, sprites, seed=1, steps=1, num_free=6, num_on_grid=8)[0]
    prompts = [vocabulary.decode(ids.tolist()) for ids in batch.prompt_ids_RP]
    answers = [
        vocabulary.decode(targets[targets != NO_TARGET].tolist())
        for targets in batch.dialogue_targets_BT
    ]
    assert len(prompts) == 8 and len(answers) == 6
    assert any(" fondo " in answer for answer in answers) == bool(share)
    assert any(" background" in answer for answer in answers) != bool(share)
    assert any("fondo" in text for text in prompts) == bool(share)


def test_a_batch_is_a_function_of_its_step(sprites: Sprites, template: ChatTemplate) -> None:
    batches = SceneBatches(
        Dialogues(32, template, num_seen=3), sprites, seed=1, steps=3, num_free=3, num_on_grid=3
    )
    first, again, other = batches[1], batches[1], batches[2]
    assert first.dialogue_ids_BT.equal(again.dialogue_ids_BT)
    assert first.drawn_C3SS.equal(again.drawn_C3SS)
    assert not first.drawn_C3SS.equal(other.drawn_C3SS)
