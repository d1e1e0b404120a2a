import re

import numpy as np
import pytest

from janus.training.emoji import wordings
from janus.training.emoji.language import (
    caption,
    describe_request,
    parse_caption,
    prompt,
    question,
    score_caption,
)
from janus.training.emoji.scenes import BACKGROUNDS, INVERSE, Scene, sample_scene
from janus.training.emoji.sprites import Sprite, Sprites, load_sprites

NUMBERS = ("zero", "one", "two", "three", "four")


@pytest.fixture(scope="module")
def sprites() -> Sprites:
    return load_sprites()


@pytest.fixture(scope="module")
def scenes(sprites: Sprites) -> list[Scene]:
    rng = np.random.default_rng(0)
    return [sample_scene(rng, sprites, held_out=False) for _ in range(1500)]


def test_one_seed_is_one_text(sprites: Sprites, scenes: list[Scene]) -> None:
    for speak in (caption, question, prompt):
        texts = [
            [speak(scene, sprites, rng) for scene in scenes[:50]]
            for rng in (np.random.default_rng(4), np.random.default_rng(4))
        ]
        assert texts[0] == texts[1]


def test_captions_are_read_back_as_true(sprites: Sprites, scenes: list[Scene]) -> None:
    rng = np.random.default_rng(1)
    for scene in scenes:
        text = caption(scene, sprites, rng)
        assert all(score_caption(text, scene, sprites).values()), text


def test_caption_looks_as_promised(sprites: Sprites) -> None:
    assert parse_caption("A dog to the left of an eggplant on a pink background.", sprites) == {
        "objects": ("dog", "eggplant"),
        "count": 2,
        "relation": "left of",
        "background": "pink",
    }
    assert parse_caption("three red hearts on a white background", sprites) == {
        "objects": ("red heart",),
        "count": 3,
        "relation": None,
        "background": "white",
    }


@pytest.mark.parametrize("text", ["", "on a", "a dog on a boat", "seven dogs", " above ", "a a a"])
def test_nonsense_is_parsed_without_error(sprites: Sprites, text: str) -> None:
    assert parse_caption(text, sprites)["background"] is None


def test_each_wrong_element_is_marked_alone(sprites: Sprites, scenes: list[Scene]) -> None:
    scene = next(scene for scene in scenes if scene.kind == "count" and scene.count == 3)
    name, plural = sprites[scene.sprites[0]].name, sprites[scene.sprites[0]].plural
    other = next(sprite for sprite in sprites.sprites if sprite.name != name)
    wrong_background = next(colour for colour in BACKGROUNDS if colour != scene.background)
    lies = {
        "objects": f"three {other.plural} on a {scene.background} background",
        "count": f"two {plural} on a {scene.background} background",
        "background": f"three {plural} on a {wrong_background} background",
    }
    for element, text in lies.items():
        scores = score_caption(text, scene, sprites)
        assert [key for key, is_right in scores.items() if not is_right] == [element, "all"]


def test_requests_for_captions_and_questions_never_coincide(
    sprites: Sprites, scenes: list[Scene]
) -> None:
    rng = np.random.default_rng(2)
    requests = {describe_request(rng) for _ in range(500)}
    assert len(requests) == len(wordings.DESCRIBE_REQUESTS)
    assert not requests & {question(scene, sprites, rng).text for scene in scenes}


def test_all_question_types_occur_and_yes_is_as_common_as_no(
    sprites: Sprites, scenes: list[Scene]
) -> None:
    rng = np.random.default_rng(3)
    questions = [question(scene, sprites, rng) for scene in scenes * 2]
    assert {asked.type for asked in questions} == {
        *("what", "count", "colour", "background", "where", "yesno")
    }
    verdicts = [asked.answer for asked in questions if asked.type == "yesno"]
    assert 0.44 < verdicts.count("yes") / len(verdicts) < 0.56


def test_answers_follow_from_the_scene(sprites: Sprites, scenes: list[Scene]) -> None:
    rng = np.random.default_rng(5)
    for scene in scenes * 2:
        asked = question(scene, sprites, rng)
        assert asked.answer == _answer(asked.type, asked.text, scene, sprites), (asked, scene)


def test_prompts_mention_what_they_must(sprites: Sprites, scenes: list[Scene]) -> None:
    rng = np.random.default_rng(6)
    with_background = 0
    for scene in scenes:
        text = prompt(scene, sprites, rng).lower()
        shown = [sprites[index] for index in scene.sprites]
        if scene.kind == "count":
            number = rf"\b({NUMBERS[scene.count]}|{scene.count}) {shown[0].plural}\b"
            assert re.search(number, text)
        else:
            assert all(re.search(rf"\b{sprite.name}\b", text) for sprite in shown)
        mentioned = re.search(
            rf"background is {scene.background}|{scene.background} background"
            rf"|on {scene.background}\b",
            text,
        )
        assert mentioned or "background" not in text
        with_background += mentioned is not None
    assert 0.7 < with_background / len(scenes) < 0.9


def test_prompts_are_varied(sprites: Sprites, scenes: list[Scene]) -> None:
    rng = np.random.default_rng(7)
    assert len({prompt(scenes[0], sprites, rng) for _ in range(300)}) > 60


def test_spatial_prompts_agree_with_the_scene(sprites: Sprites, scenes: list[Scene]) -> None:
    words = {
        "left of": ("left of", "on the left and"),
        "right of": ("right of", "on the right and"),
        "above": ("above", "over", "at the top and"),
        "below": ("below", "under", "at the bottom and"),
    }
    rng = np.random.default_rng(8)
    for scene in (scene for scene in scenes if scene.relation is not None):
        text = prompt(scene, sprites, rng).lower()
        first, second = (text.index(_indefinite(sprites[index])) for index in scene.sprites)
        assert scene.relation is not None
        relation = scene.relation if first < second else INVERSE[scene.relation]
        between = text[min(first, second) : max(first, second)]
        assert any(word in between for word in words[relation]), text


def _indefinite(sprite: Sprite) -> str:
    return f"{sprite.article} {sprite.name}"


def _answer(kind: str, text: str, scene: Scene, sprites: Sprites) -> str:
    """A second way to the answer: from the words of the question and the scene's geometry."""
    shown = [sprites[index] for index in scene.sprites]
    named = [sprite for sprite in sprites.sprites if _mentions(text, sprite)]
    if kind == "what":
        return next(sprite.name for sprite in shown if sprite not in named)
    if kind == "count":
        counted = [piece for piece in scene.placements if sprites[piece.sprite] in named]
        return NUMBERS[len(counted) if named else scene.count]
    if kind == "colour":
        (colour,) = {sprite.colour for sprite in shown if sprite.shape and sprite.shape in text}
        return colour or ""
    if kind == "background":
        return scene.background
    if kind == "where":
        return _side(_subject(text, shown, kind), scene, sprites)
    return "yes" if _is_true(text, named, scene, sprites) else "no"


def _is_true(text: str, named: list[Sprite], scene: Scene, sprites: Sprites) -> bool:
    shown = [sprites[index] for index in scene.sprites]
    if "background" in text:
        return f" {scene.background} " in text.replace("?", " ")
    if len(named) == 2:
        side = _side(_subject(text, shown, "yesno"), scene, sprites)
        return re.search(rf"\b{side}\b", text) is not None
    number = re.search(r"\b(one|two|three|four)\b", text)
    return named[0] in shown and (number is None or number[1] == NUMBERS[scene.count])


def _subject(text: str, shown: list[Sprite], kind: str) -> Sprite:
    """The object asked about stands first, save in "on which side of the other is the dog"."""
    mentioned = [sprite for sprite in shown if sprite.name in text]
    mentioned.sort(key=lambda sprite: text.index(f"the {sprite.name}"))
    return mentioned[-1] if kind == "where" and "which side" in text else mentioned[0]


def _side(subject: Sprite, scene: Scene, sprites: Sprites) -> str:
    first, second = scene.placements
    piece, other = (first, second) if sprites[first.sprite] is subject else (second, first)
    across, down = piece.x - other.x, piece.y - other.y
    if abs(across) > abs(down):
        return "left" if across < 0 else "right"
    return "above" if down < 0 else "below"


def _mentions(text: str, sprite: Sprite) -> bool:
    return re.search(rf"\b({sprite.name}|{sprite.plural})\b", text) is not None
