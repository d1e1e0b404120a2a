"""A first exam for janus-emoji: scenes that training never saw, both ways.

Seeing is marked against the scene that made the picture, drawing by the independent judge. The
judge's own marks on true renders, and on pictures that went through the VQ tokenizer and back, say
how far its verdict can be trusted and what the tokenizer allows at best.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from janus.evaluation.emoji_judge import judge, score
from janus.pipeline import Janus
from janus.training.emoji.language import describe_request, prompt, question, score_caption
from janus.training.emoji.scenes import KINDS, Scene, render, sample_scene
from janus.training.emoji.sprites import Sprites, load_sprites
from vision.pixels import to_batch, to_pictures

EXAM_SEED = 64_000  # far from any seed of training


@dataclass(frozen=True, slots=True)
class Exam:
    """Marks from 0 to 1 by name, and the drawings with prompt and verdict for a contact sheet."""

    marks: dict[str, float]
    drawings: list[tuple[str, Image.Image, bool]]

    def sample(self, number: int) -> list[tuple[str, Image.Image, bool]]:
        """Evenly spread over the drawings of all kinds."""
        step = max(len(self.drawings) / number, 1)
        places = [int(i * step) for i in range(number)]
        return [self.drawings[place] for place in places if place < len(self.drawings)]


def take_exam(model: Janus, *, num_scenes: int = 200, num_drawings: int = 100) -> Exam:
    """Marks a model on held-out scenes. The same numbers give the same marks."""
    sprites = load_sprites()
    marks: dict[str, list[bool]] = defaultdict(list)
    for i, scene in enumerate(_scenes(sprites, num_scenes, None)):
        _mark_seeing(model, scene, sprites, i, marks)
    drawings = []
    for kind in KINDS:
        drawings += _mark_drawing(model, kind, sprites, num_drawings, marks)
    for kind in KINDS:
        _mark_limits(model, kind, sprites, num_drawings, marks)
    return Exam({name: float(np.mean(values)) for name, values in sorted(marks.items())}, drawings)


def _scenes(
    sprites: Sprites, number: int, kind: str | None, *, on_grid: bool = False
) -> Iterator[Scene]:
    rng = np.random.default_rng((EXAM_SEED, KINDS.index(kind) if kind else len(KINDS)))
    mix = {kind: 1.0} if kind else {"single": 0.5, "count": 0.25, "relation": 0.25}
    for _ in range(number):
        yield sample_scene(rng, sprites, True, mix, on_grid=on_grid)


def _mark_seeing(
    model: Janus, scene: Scene, sprites: Sprites, index: int, marks: dict[str, list[bool]]
) -> None:
    rng = np.random.default_rng((EXAM_SEED, index))
    picture = render(scene, sprites, model.image_size)
    said = model.ask(picture, describe_request(rng), max_tokens=40)
    right = score_caption(said, scene, sprites)
    if scene.kind == "single":
        marks["see.single_object"].append(right["objects"])
    if scene.kind != "relation":
        marks["see.count"].append(right["count"])
    else:
        marks["see.relation"].append(right["relation"])
    marks["see.background"].append(right["background"])
    marks["see.caption_all"].append(right["all"])
    asked = question(scene, sprites, rng)
    answer = model.ask(picture, asked.text, max_tokens=12)
    marks["answer.all"].append(answer == asked.answer)
    marks[f"answer.{asked.type}"].append(answer == asked.answer)


def _mark_drawing(
    model: Janus, kind: str, sprites: Sprites, number: int, marks: dict[str, list[bool]]
) -> list[tuple[str, Image.Image, bool]]:
    drawings = []
    for i, scene in enumerate(_scenes(sprites, number, kind)):
        rng = np.random.default_rng((EXAM_SEED, i))
        wanted = prompt(scene, sprites, rng)
        (picture,) = model.draw(wanted, seed=EXAM_SEED + i)
        right = score(judge(np.asarray(picture.image), sprites), scene)
        # Where the prompt leaves the background open, any will do.
        fits = right["objects"] and right["count"] and right["relation"]
        marks[f"draw.{kind}"].append(fits)
        if scene.background in wanted:
            marks["draw.background"].append(right["background"])
        drawings.append((wanted, picture.image, fits))
    return drawings


@torch.inference_mode()
def _mark_limits(
    model: Janus, kind: str, sprites: Sprites, number: int, marks: dict[str, list[bool]]
) -> None:
    for scene in _scenes(sprites, number, kind, on_grid=True):  # as pictures are drawn
        true = render(scene, sprites, model.image_size)
        pixels = to_batch([true], model.image_size).to(model.device)
        painted = model.model.vqmodel.decode(model.model.vqmodel.encode(pixels))
        for name, picture in (("render", true), ("tokenizer", np.asarray(to_pictures(painted)[0]))):
            right = score(judge(picture, sprites), scene)
            fits = right["objects"] and right["count"] and right["relation"]
            marks[f"limit.{name}.{kind}"].append(fits)
