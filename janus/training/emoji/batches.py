"""Batches of the emoji world, each a function of (seed, step) alone, so that any run can resume.

`SceneBatches` yields rendered pictures with the text that belongs to them; a worker process makes
them ahead, so that the cores that train never wait.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from janus.training.emoji.scenes import Scene, render, sample_scene
from janus.training.emoji.sprites import Sprites, load_sprites

Batch = TypeVar("Batch")


@dataclass(frozen=True, slots=True)
class SceneBatches(Dataset[Batch]):
    """Item `step` is what `make` builds from the scenes of that step."""

    make: Callable[[list[Scene], Sprites, np.random.Generator], Batch]
    sprites: Sprites
    batch_size: int
    seed: int
    steps: int

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng((self.seed, step))
        scenes = [sample_scene(rng, self.sprites, False) for _ in range(self.batch_size)]
        return self.make(scenes, self.sprites, rng)

    def ahead(self, first_step: int) -> Iterator[Batch]:
        """Batches from `first_step` on, made ahead of time in another process."""
        loader = DataLoader(
            self,
            batch_size=None,
            sampler=range(first_step, self.steps),
            num_workers=1,
            prefetch_factor=8,
        )
        return iter(loader)


def render_batch(scenes: list[Scene], sprites: Sprites, size: int) -> Tensor:
    """Pictures in [-1, 1]: float32 [B, 3, size, size]."""
    pictures = np.stack([render(scene, sprites, size) for scene in scenes])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


@dataclass(frozen=True, slots=True)
class Pictures:
    """Makes the batches of the tokenizer stage: pictures only."""

    size: int

    def __call__(self, scenes: list[Scene], sprites: Sprites, rng: np.random.Generator) -> Tensor:
        return render_batch(scenes, sprites, self.size)


__all__ = ["Pictures", "SceneBatches", "load_sprites", "render_batch"]
