"""What experts are watched at: requests to see and to draw, and a line that says which.

Where the caller has no pictures or no prompts, emoji scenes that training never saw stand in for
them: any model can be asked what they show, and to draw it. Runs no model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from janus.engine.request import ImageRequest, TextRequest
from janus.evaluation.emoji_drawing import EXAM_SEED
from janus.pipeline import CAPTION_REQUEST, Janus
from janus.training.emoji.language import describe_request, prompt, question
from janus.training.emoji.scenes import Scene, render, sample_scene
from janus.training.emoji.sprites import Sprites, load_sprites
from vision.pixels import Source

QUESTIONS = (CAPTION_REQUEST, "How many things are there?", "What colour is the background?")
ANSWER_TOKENS = 40


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Work:
    summary: str
    requests: tuple[TextRequest | ImageRequest, ...]


def prepare_work(
    janus: Janus,
    *,
    num_scenes: int = 40,
    pictures: Sequence[Source] = (),
    prompts: Sequence[str] = (),
) -> Work:
    """Questions about pictures, and prompts to draw; emoji scenes for what is not given."""
    sprites = load_sprites()
    rng = np.random.default_rng(EXAM_SEED)
    scenes = [sample_scene(rng, sprites, True) for _ in range(num_scenes)]
    asked = _about_pictures(janus, pictures) if pictures else _about(janus, scenes, sprites)
    wanted = prompts or [prompt(scene, sprites, rng) for scene in scenes]
    drawn = [janus.image_request(text, seed=EXAM_SEED + i) for i, text in enumerate(wanted)]
    return Work(
        summary=_summary(len(pictures), len(prompts), num_scenes), requests=(*asked, *drawn)
    )


def _about(janus: Janus, scenes: list[Scene], sprites: Sprites) -> Iterator[TextRequest]:
    for i, scene in enumerate(scenes):
        rng = np.random.default_rng((EXAM_SEED, i))
        picture = render(scene, sprites, janus.image_size)
        for text in (describe_request(rng), question(scene, sprites, rng).text):
            yield janus.text_request(picture, text, max_tokens=ANSWER_TOKENS)


def _about_pictures(janus: Janus, pictures: Sequence[Source]) -> Iterator[TextRequest]:
    for picture in pictures:
        for text in QUESTIONS:
            yield janus.text_request(picture, text, max_tokens=ANSWER_TOKENS)


def _summary(num_pictures: int, num_prompts: int, num_scenes: int) -> str:
    scenes = _counted(num_scenes, "held-out emoji scene")
    if not num_pictures and not num_prompts:
        return f"{scenes} described, asked about and drawn"
    seen = _counted(num_pictures, "picture") if num_pictures else scenes
    drawn = _counted(num_prompts, "prompt") if num_prompts else scenes
    return f"{seen} described and asked about, {drawn} drawn"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
