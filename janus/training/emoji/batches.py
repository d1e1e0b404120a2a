"""Batches of the emoji world, each a function of (seed, step) alone, so that any run can resume.

`Pictures` and `Dialogues` say what a batch holds; a worker process makes batches ahead of time, so
that the cores that train never wait.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from janus.prompts.chat import ChatTemplate, Turn
from janus.training.emoji.language import caption, describe_request, prompt, question
from janus.training.emoji.scenes import Scene, label_patches, render, sample_scene
from janus.training.emoji.sprites import Sprites
from janus.training.losses import NO_TARGET

Batch = TypeVar("Batch")


@dataclass(frozen=True, slots=True)
class SceneBatches(Dataset[Batch]):
    """Item `step` is what `make` builds from the scenes of that step.

    Those to look at stand freely. Those to draw stand on the grid of the codes, where an object of
    one size has the same few codes wherever it is: that makes drawing many times easier to learn.
    """

    make: Callable[[list[Scene], Sprites, np.random.Generator], Batch]
    sprites: Sprites
    seed: int
    steps: int
    num_free: int = 0
    num_on_grid: int = 0

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng((self.seed, step))
        scenes = [
            sample_scene(rng, self.sprites, False, on_grid=i >= self.num_free)
            for i in range(self.num_free + self.num_on_grid)
        ]
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
    # Contiguous, for the sake of the VQ encoder's group norms; see `Codebook.lookup`.
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1


@dataclass(frozen=True, slots=True)
class Pictures:
    """Makes the batches of the tokenizer stage: pictures only."""

    size: int

    def __call__(self, scenes: list[Scene], sprites: Sprites, rng: np.random.Generator) -> Tensor:
        return render_batch(scenes, sprites, self.size)


@dataclass(frozen=True, slots=True)
class LabelledPictures:
    """Makes the batches of the encoder stage: pictures, and what each of their patches shows."""

    size: int
    patch: int

    def __call__(
        self, scenes: list[Scene], sprites: Sprites, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        labels = [label_patches(scene, sprites, self.size, self.patch) for scene in scenes]
        labels_BN = torch.from_numpy(np.stack(labels)).flatten(1)
        return render_batch(scenes, sprites, self.size), labels_BN


@dataclass(frozen=True, slots=True)
class JointBatch:
    """One step of the joint stage: B scenes to talk about, C others to draw; padded on the right.

    A dialogue has a target at each position that predicts a word of an answer, NO_TARGET elsewhere.
    """

    seen_B3SS: Tensor
    dialogue_ids_BT: Tensor
    dialogue_targets_BT: Tensor
    drawn_C3SS: Tensor
    prompt_ids_CP: Tensor
    prompt_lengths_C: Tensor

    def to(self, device: torch.device) -> "JointBatch":
        return JointBatch(*(getattr(self, field.name).to(device) for field in fields(self)))


@dataclass(frozen=True, slots=True)
class Dialogues:
    """Makes the batches of the joint stage: the first scenes are seen, the others drawn."""

    size: int
    template: ChatTemplate
    num_seen: int
    num_turns: int = 3
    dropped_prompts: float = 0.1

    def __call__(
        self, scenes: list[Scene], sprites: Sprites, rng: np.random.Generator
    ) -> JointBatch:
        seen, drawn = scenes[: self.num_seen], scenes[self.num_seen :]
        seen_B3SS = render_batch(seen, sprites, self.size)
        dialogues = [
            self._dialogue(scene, picture, sprites, rng)
            for scene, picture in zip(seen, seen_B3SS, strict=True)
        ]
        prompts = [self._prompt(scene, sprites, rng) for scene in drawn]
        pad = self.template.tokenizer.special.pad
        return JointBatch(
            seen_B3SS=seen_B3SS,
            dialogue_ids_BT=_pad_right([ids for ids, _ in dialogues], pad),
            dialogue_targets_BT=_pad_right([targets for _, targets in dialogues], NO_TARGET),
            drawn_C3SS=render_batch(drawn, sprites, self.size),
            prompt_ids_CP=_pad_right(prompts, pad),
            prompt_lengths_C=torch.tensor([len(ids) for ids in prompts]),
        )

    def _dialogue(
        self, scene: Scene, picture: Tensor, sprites: Sprites, rng: np.random.Generator
    ) -> tuple[list[int], list[int]]:
        """Ids and targets of a conversation about one picture; one turn asks for a caption."""
        special = self.template.tokenizer.special
        caption_turn = int(rng.integers(self.num_turns))
        turns: list[Turn] = []
        ids: list[int] = []
        targets: list[int] = []
        for i in range(self.num_turns):
            asked, answer = _exchange(scene, sprites, rng, as_caption=i == caption_turn)
            turns.append(Turn("user", asked, (picture,) if i == 0 else ()))
            prompt_ids = self.template.to_answer(turns).ids
            answer_ids = [*self.template.tokenizer.encode(f" {answer}"), special.eos]
            targets += [NO_TARGET] * (len(prompt_ids) - 1 - len(targets)) + answer_ids
            ids = [*prompt_ids, *answer_ids]
            turns.append(Turn("assistant", answer))
        return ids, [*targets, NO_TARGET]

    def _prompt(self, scene: Scene, sprites: Sprites, rng: np.random.Generator) -> list[int]:
        wanted = self.template.to_draw(prompt(scene, sprites, rng))
        if rng.random() < self.dropped_prompts:
            wanted = wanted.unconditional(self.template.tokenizer.special.pad)
        return list(wanted.ids)


def _exchange(
    scene: Scene, sprites: Sprites, rng: np.random.Generator, *, as_caption: bool
) -> tuple[str, str]:
    if as_caption:
        return describe_request(rng), caption(scene, sprites, rng)
    asked = question(scene, sprites, rng)
    return asked.text, asked.answer


def _pad_right(rows: list[list[int]], value: int) -> Tensor:
    length = max(map(len, rows))
    return torch.tensor([row + [value] * (length - len(row)) for row in rows])
