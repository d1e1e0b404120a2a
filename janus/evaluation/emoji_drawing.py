"""The drawing half of the exam: prompts of GenEval's six categories, and a judge of the pictures.

In: a model and held-out scenes. Out: `Drawing`s, each with its prompt, its seed and the verdict of
the judge, which uses no model; and ceilings, the same judge's marks on true pictures and on
pictures that only went through the VQ tokenizer and back. The categories are those of GenEval
(arXiv 2310.11513): a picture is right where all that the prompt names is there, and nothing else.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from PIL import Image

from janus.evaluation.emoji_judge import judge, score
from janus.pipeline import Janus
from janus.training.emoji.language import prompt
from janus.training.emoji.scenes import Scene, render, sample_scene
from janus.training.emoji.sprites import Language, Sprites
from vision.pixels import to_batch, to_pictures

EXAM_SEED = 64_000  # far from any seed of training
PICTURES_A_PROMPT = 4
KIND_OF: Mapping[str, str] = MappingProxyType(  # which scenes a category's prompts ask for
    {
        "single_object": "single",
        "two_objects": "pair",
        "counting": "count",
        "colours": "single",
        "position": "relation",
        "colour_attribution": "attributes",
    }
)
CATEGORIES = tuple(KIND_OF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """One picture of the exam, and whether it has what the prompt names, and the background."""

    category: str
    language: Language
    prompt: str
    seed: int
    wanted: tuple[str, ...]
    found: tuple[str, ...]
    is_right: bool
    has_background: bool
    image: Image.Image

    def record(self) -> dict[str, Any]:
        """For JSON: all but the picture, which prompt and seed draw again."""
        return {
            "category": self.category,
            "language": self.language,
            "prompt": self.prompt,
            "seed": self.seed,
            "wanted": self.wanted,
            "found": self.found,
            "right": self.is_right,
            "background": self.has_background,
        }


def category_scenes(
    category: str, sprites: Sprites, number: int, *, on_grid: bool = False
) -> Iterator[Scene]:
    """Held-out scenes for a category's prompts, always the same ones."""
    rng = np.random.default_rng((EXAM_SEED, CATEGORIES.index(category)))
    mix = {KIND_OF[category]: 1.0}
    while number:
        scene = sample_scene(rng, sprites, True, mix, on_grid=on_grid)
        if scene.kind != "single" or is_of_category(scene, category, sprites):
            number -= 1
            yield scene


def is_of_category(scene: Scene, category: str, sprites: Sprites) -> bool:
    """Lone objects are asked for by their colour where they have one, else by name alone."""
    has_colour = sprites[scene.sprites[0]].shape is not None
    return has_colour == (category == "colours")


def draw_category(
    model: Janus, category: str, sprites: Sprites, number: int, language: Language
) -> Iterator[Drawing]:
    """Four pictures of each of so many prompts, judged."""
    for i, scene in enumerate(category_scenes(category, sprites, number)):
        rng = np.random.default_rng((EXAM_SEED, CATEGORIES.index(category), i))
        text = prompt(scene, sprites, rng, language, background_share=1)
        for picture in model.draw(text, seed=EXAM_SEED + i, count=PICTURES_A_PROMPT):
            judgement = judge(np.asarray(picture.image), sprites)
            right = score(judgement, scene)
            yield Drawing(
                category=category,
                language=language,
                prompt=text,
                seed=picture.seed,
                wanted=tuple(sprites[piece.sprite].name for piece in scene.placements),
                found=tuple(piece.name for piece in judgement.pieces),
                is_right=right["content"],
                has_background=right["background"],
                image=picture.image,
            )


def drawing_marks(drawings: list[Drawing]) -> dict[str, float]:
    """Overall is the mean of the categories, as in GenEval."""
    categories = {
        f"drawing.{category}": share(d.is_right for d in drawings if d.category == category)
        for category in CATEGORIES
    }
    return {
        "drawing.overall": float(np.mean(list(categories.values()))),
        **categories,
        "drawing.background": share(drawing.has_background for drawing in drawings),
    }


@torch.inference_mode()
def ceilings(model: Janus, category: str, sprites: Sprites, number: int) -> dict[str, float]:
    """The judge's marks on true pictures, and on their reconstructions from ids."""
    marks: dict[str, list[bool]] = {"render": [], "tokenizer": []}
    for scene in category_scenes(category, sprites, number, on_grid=True):  # as pictures are drawn
        true = render(scene, sprites, model.image_size)
        pixels = to_batch([true], model.image_size).to(model.device)
        painted = model.model.vqmodel.decode(model.model.vqmodel.encode(pixels))
        for name, picture in (("render", true), ("tokenizer", np.asarray(to_pictures(painted)[0]))):
            marks[name].append(score(judge(picture, sprites), scene)["content"])
    return {name: share(values) for name, values in marks.items()}


def share(values: Iterable[bool]) -> float:
    """How many are true, from 0 to 1."""
    return float(np.mean(list(values)))
