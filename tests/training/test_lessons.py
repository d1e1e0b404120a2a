"""Lessons ask what is true, know what they name, and guide attention to it."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from janus.model.cache import BranchedRows
from janus.model.model import JanusModel
from janus.prompts.chat import ChatTemplate, PromptStyle
from janus.prompts.tokenizer import JanusTokenizer
from janus.training.balance import ExpertBalance
from janus.training.emoji.asking import Asker
from janus.training.emoji.batches import LessonBatch
from janus.training.emoji.layouts import region
from janus.training.emoji.lesson_batches import Course, LessonBatches, course_of
from janus.training.emoji.lessons import EVERY_LESSON, LESSONS, ask_lesson
from janus.training.emoji.names import NameFinder
from janus.training.emoji.phrasing import WORDINGS
from janus.training.emoji.scenes import Placement, Scene, label_patches, sample_scene
from janus.training.emoji.sprites import LANGUAGES, Language, Sprites
from janus.training.grounding import Grounding
from janus.training.initial import initialise_linears
from janus.training.joint import dialogue_loss
from janus.training.lessons import LessonTraining, train_lessons
from janus.training.losses import NO_TARGET
from janus.training.run import Run, read_log
from tests.conftest import tiny_config

SIZE, PATCH, LENGTH = 32, 8, 96


@pytest.fixture(scope="module")
def finder(vocabulary: JanusTokenizer, sprites: Sprites) -> NameFinder:
    return NameFinder(vocabulary, sprites)


@pytest.fixture(scope="module")
def batches(vocabulary: JanusTokenizer, sprites: Sprites, finder: NameFinder) -> LessonBatches:
    style = PromptStyle.of_checkpoint(vocabulary, {"use_default_system_prompt": False})
    return LessonBatches(
        template=ChatTemplate(vocabulary, style, num_image_tokens=16, context=512),
        sprites=sprites,
        courses=(
            Course(steps=20, shares={"region": 1, "is presence": 1}),
            Course(steps=20, shares=EVERY_LESSON, lesson_share=0.5),
        ),
        seed=1,
        size=SIZE,
        patch=PATCH,
        num_seen=4,
        row_length=LENGTH,
        finder=finder,
    )


@pytest.fixture
def model(vocabulary: JanusTokenizer) -> JanusModel:
    torch.manual_seed(0)
    model = JanusModel(tiny_config(vocabulary.special.image))
    initialise_linears(model)
    return model


def lessons_for_tiny(steps: int) -> LessonTraining:
    return LessonTraining(
        courses=(Course(steps=steps, shares=EVERY_LESSON, peak_lr=3e-3),),
        looking=((0, 0),),
        recalling=((1, 1),),
        warmup=2,
        log_every=1,
        save_every=3,
    )


def index_of(sprites: Sprites, name: str) -> int:
    return next(i for i, sprite in enumerate(sprites.sprites) if sprite.name == name)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_lesson_asks_what_its_scene_answers(sprites: Sprites, language: Language) -> None:
    rng = np.random.default_rng(0)
    asked = dict.fromkeys(LESSONS, 0)
    for _ in range(300):
        scene = sample_scene(rng, sprites, False)
        asker = Asker(scene, sprites, rng, WORDINGS[language])
        for name in LESSONS:
            question = ask_lesson(asker, {name: 1.0})
            assert (question is not None) == LESSONS[name].applies(asker)
            if question is None:
                continue
            asked[name] += 1
            if name.startswith("is "):
                assert question.type == "yesno" and question.answer in asker.words.yes_no
            else:
                assert question.topic in scene.sprites
            if name == "number":
                assert question.answer in asker.words.numbers or question.answer == "una"
    assert min(asked.values()) >= 10


def test_a_region_is_where_a_thing_is(sprites: Sprites) -> None:
    corner = Placement(index_of(sprites, "dog"), 0.2, 0.8, 0.3)
    between = Placement(index_of(sprites, "cat"), 0.66, 0.2, 0.3)
    scene = Scene(kind="pair", background="white", placements=(corner, between))
    for language, answer in (("en", "bottom left"), ("es", "abajo a la izquierda")):
        asker = Asker(scene, sprites, np.random.default_rng(0), WORDINGS[language])
        question = ask_lesson(asker, {"region": 1.0})
        assert question is not None and question.answer == answer
    assert region(0.5, 0.5) == (1, 1) and region(0.99, 0.01) == (0, 2)
    assert region(1 / 3 + 0.02, 0.5) is None


def test_shares_are_kept_and_what_does_not_apply_is_not_asked(sprites: Sprites) -> None:
    rng = np.random.default_rng(0)
    alone = Scene(kind="single", background="white", placements=(Placement(0, 0.5, 0.5, 0.4),))
    asker = Asker(alone, sprites, rng, WORDINGS["en"])
    assert ask_lesson(asker, {"where": 1.0, "is more": 1.0}) is None
    asked = [
        ask_lesson(asker, {"region": 3.0, "is background": 1.0, "where": 9.0}) for _ in range(400)
    ]
    assert sum(q is not None and q.type == "region" for q in asked) == pytest.approx(300, abs=40)


def test_names_are_found_whole(
    vocabulary: JanusTokenizer, sprites: Sprites, finder: NameFinder
) -> None:
    text = ": Are there more red hearts than dogs? ¿Hay un perro? Is the heart red?"
    ids = vocabulary.encode(text)
    found = list(finder.find(ids))
    ends = [vocabulary.decode(ids[: place + 1]) for place, _ in found]
    heard = ("red hearts", "dogs", "perro", "heart")
    assert [end.endswith(name) for end, name in zip(ends, heard, strict=True)] == [True] * 4
    assert found[0][1] == {index_of(sprites, "red heart")}
    assert found[1][1] == found[2][1] == {index_of(sprites, "dog")}
    assert {sprites[i].shape for i in found[3][1]} == {"heart"} and len(found[3][1]) > 2
    for end in range(len(ids)):  # a row may end within a name
        assert all(place < end for place, _ in finder.find(ids[:end]))


def test_a_batch_knows_what_its_names_show(
    batches: LessonBatches, vocabulary: JanusTokenizer, finder: NameFinder, sprites: Sprites
) -> None:
    batch, again = batches[3], batches[3]
    assert all(getattr(batch, f).equal(getattr(again, f)) for f in batch.__dataclass_fields__)
    rng = np.random.default_rng((1, 3))
    scenes = [batches._scene(batches.courses[0], rng) for _ in range(4)]
    image = (batch.dialogue_ids_BT[0] == vocabulary.special.image).nonzero()[:, 0]
    absent = 0
    for (row, place), shown_T, number, (line, column) in zip(
        batch.named_M2.tolist(), batch.shown_MT, batch.number_M, batch.place_M2, strict=True
    ):
        ids = batch.dialogue_ids_BT[row].tolist()
        meaning = dict(finder.find(ids))[place]
        pieces = [p for p in scenes[row].placements if p.sprite in meaning]
        assert number == len(pieces)
        if len(pieces) == 1:
            assert (line, column) == (int(pieces[0].y * 4), int(pieces[0].x * 4))
        else:
            assert line == column == NO_TARGET
        what_N = label_patches(scenes[row], sprites, SIZE, PATCH)[0].flatten()
        if not np.isin(what_N, list(meaning)).any():
            assert shown_T.nonzero().tolist() == [[0]]
            absent += 1
        else:
            assert np.array_equal(shown_T[image].numpy(), np.isin(what_N, list(meaning)))
            assert shown_T.sum() == shown_T[image].sum()
    assert 0 < absent < len(batch.named_M2)


def test_answers_are_about_what_their_question_names(batches: LessonBatches) -> None:
    batch = batches[3]
    assert len(batch.asked_K3) > 8
    named = set(map(tuple, batch.named_M2.tolist()))
    for row, answer, place in batch.asked_K3.tolist():
        assert (row, place) in named and place < answer
        targets = batch.dialogue_targets_BT[row]
        assert targets[answer] != NO_TARGET and targets[answer - 1] == NO_TARGET
        between = batch.dialogue_branches_BT[row, place : answer + 1]
        assert (between == between[0]).all() and (targets[place:answer] == NO_TARGET).all()


def test_courses_follow_each_other() -> None:
    first, second = Course(steps=2, shares={}), Course(steps=3, shares={"where": 1})
    found = [course_of((first, second), step) for step in range(5)]
    assert found == [first] * 2 + [second] * 3
    with pytest.raises(IndexError):
        course_of((first, second), 5)


def watched(model: JanusModel, batch: LessonBatch) -> tuple[Grounding, dict[int, torch.Tensor]]:
    """A grounding that has seen a batch, and the attention of each layer, computed anew."""
    grounding = Grounding(model.language_model, ((0, 1),), ((1, 0),), grid=SIZE // PATCH)
    balance = ExpertBalance(model, 0.0)
    with grounding.watching():
        dialogue_loss(model, batch, balance, model.config.image_token_id)
    mask_B1TT = BranchedRows.of(batch.dialogue_branches_BT).mask_R1TT
    attention = {}
    for index, (hidden_ND, turn) in grounding.inputs.items():
        block = model.language_model.layers[index]
        q, k = block.self_attn.queries_and_keys(block.input_layernorm(hidden_ND), turn)
        q_BHTq, k_BHTq = (x.unflatten(0, mask_B1TT.shape[::2]).transpose(1, 2) for x in (q, k))
        logits = q_BHTq @ k_BHTq.mT * block.self_attn.scale
        attention[index] = logits.masked_fill(~mask_B1TT, -torch.inf).softmax(-1)
    return grounding, attention


def test_the_losses_are_what_they_say(model: JanusModel, batches: LessonBatches) -> None:
    batch = batches[5]
    grounding, attention = watched(model, batch)
    (row_M, place_M), (row_K, answer_K, name_K) = batch.named_M2.T, batch.asked_K3.T
    looked_M = (attention[0][row_M, 1, place_M] * batch.shown_MT).sum(-1)
    recalled_K = attention[1][row_K, 0, answer_K, name_K]
    wanted = -looked_M.log().mean() - recalled_K.log().mean()
    torch.testing.assert_close(grounding.attention_loss(batch), wanted)

    hidden_ND = grounding.inputs[1][0]
    logits = grounding.readout(hidden_ND[row_M * LENGTH + place_M]).split([5, 4, 4], -1)
    chosen = batch.place_M2[:, 0] != NO_TARGET
    number = -logits[0].log_softmax(-1)[torch.arange(len(row_M)), batch.number_M].mean()
    line, column = (
        -part[chosen].log_softmax(-1).gather(1, places[chosen, None]).mean()
        for part, places in zip(logits[1:], batch.place_M2.T, strict=True)
    )
    torch.testing.assert_close(grounding.fetched_loss(batch), number + line + column)


def test_queries_and_keys_are_those_of_the_model(model: JanusModel, batches: LessonBatches) -> None:
    """The first layer's output, from the attention that the losses are about."""
    batch = batches[5]
    grounding, attention = watched(model, batch)
    block, (hidden_ND, turn) = model.language_model.layers[0], grounding.inputs[0]
    normed_ND = block.input_layernorm(hidden_ND)
    _, v_NHv = block.self_attn._expand(block.self_attn._compress(normed_ND, turn))
    v_BHTv = v_NHv.unflatten(0, batch.dialogue_ids_BT.shape).transpose(1, 2)
    out_ND = (attention[0] @ v_BHTv).transpose(1, 2).flatten(2).flatten(0, 1)
    rows = BranchedRows.of(batch.dialogue_branches_BT)
    torch.testing.assert_close(
        block.self_attn.o_proj(out_ND), block.self_attn(normed_ND, turn, rows, None)
    )


def test_attention_is_learned_and_nothing_stays_behind(
    model: JanusModel, batches: LessonBatches, vocabulary: JanusTokenizer, tmp_path: Path
) -> None:
    drawing = model.generation_head.state_dict()
    before = {name: tensor.clone() for name, tensor in drawing.items()}
    run = Run(tmp_path, "lessons")
    image = vocabulary.special.image
    train_lessons(model, [batches[25]] * 20, lessons_for_tiny(20), run, image_token_id=image)
    records = read_log(tmp_path, "lessons")
    for loss in ("text", "attention", "fetched"):
        assert records[-1][loss] < 0.8 * records[0][loss], loss
    assert not any(layer._forward_pre_hooks for layer in model.language_model.layers)
    assert all(tensor.equal(before[name]) for name, tensor in drawing.items())


def test_interrupted_lessons_end_as_whole_ones(
    model: JanusModel, batches: LessonBatches, vocabulary: JanusTokenizer, tmp_path: Path
) -> None:
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    ends = []
    for stops in ([0, 6], [0, 3, 6]):
        run = Run(tmp_path / f"{len(stops)}", "lessons")
        torch.manual_seed(0)
        for first, last in pairwise(stops):
            model.load_state_dict(start)
            part = (batches[step] for step in range(first, last))
            train_lessons(
                model, part, lessons_for_tiny(6), run, image_token_id=vocabulary.special.image
            )
        ends.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
    # Products differ in their last bits with where numbers lie in memory, and Adam takes a step of
    # the same length for a gradient of nothing but such bits: compared is how far all has moved.
    apart = sum((tensor - ends[1][name]).square().sum() for name, tensor in ends[0].items())
    moved = sum((tensor - start[name]).square().sum() for name, tensor in ends[0].items())
    assert apart < 1e-3 * moved  # a hundredth of what it is where the optimizer forgets
