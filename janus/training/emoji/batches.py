"""Batches of the emoji world, each a function of (seed, step) alone, so that any run can resume.

`Pictures` and `Dialogues` say what a batch holds; a worker process makes batches ahead of time, so
that the cores that train never wait.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Self, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from janus.prompts.batch import Prompt
from janus.prompts.chat import ChatTemplate
from janus.training.emoji.asking import Asker, Question
from janus.training.emoji.language import dialogue, prompt
from janus.training.emoji.lessons import EVERY_LESSON, ask_lesson
from janus.training.emoji.phrasing import WORDINGS
from janus.training.emoji.rows import RowWriter
from janus.training.emoji.scenes import DEFAULT_MIX, Scene, label_patches, render, sample_scene
from janus.training.emoji.sprites import Language, Sprites

Batch = TypeVar("Batch")


@dataclass(frozen=True, slots=True)
class Batches(Dataset[Batch]):
    """A batch for each step, a function of (seed, step)."""

    def ahead(self, first_step: int) -> Iterator[Batch]:
        """Batches from `first_step` on, made ahead of time in another process."""
        loader = DataLoader(
            self,
            batch_size=None,
            sampler=range(first_step, len(self)),
            num_workers=1,
            prefetch_factor=8,
        )
        return iter(loader)

    def __len__(self) -> int:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class SceneBatches(Batches[Batch]):
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
    mix_on_grid: Mapping[str, float] = field(default_factory=lambda: DEFAULT_MIX)

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng((self.seed, step))
        scenes = [sample_scene(rng, self.sprites, False) for _ in range(self.num_free)] + [
            sample_scene(rng, self.sprites, False, self.mix_on_grid, on_grid=True)
            for _ in range(self.num_on_grid)
        ]
        return self.make(scenes, self.sprites, rng)


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
    """Makes the batches of the encoder stage: pictures, and what their patches show, and where."""

    size: int
    patch: int

    def __call__(
        self, scenes: list[Scene], sprites: Sprites, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        labels = [label_patches(scene, sprites, self.size, self.patch) for scene in scenes]
        labels_3BN = torch.from_numpy(np.stack(labels, axis=1)).flatten(2)
        return render_batch(scenes, sprites, self.size), labels_3BN


@dataclass(frozen=True, slots=True)
class DialogueBatch:
    """B pictures to talk about: rows of T ids, a picture's image tokens and dialogues about it.

    The dialogues branch off behind their picture; see `BranchedRows`. They have a target at each
    position that predicts a word of an answer, NO_TARGET elsewhere.
    """

    seen_B3SS: Tensor
    dialogue_ids_BT: Tensor
    dialogue_targets_BT: Tensor
    dialogue_branches_BT: Tensor

    def to(self, device: torch.device) -> Self:
        return type(self)(*(getattr(self, part.name).to(device) for part in fields(self)))


@dataclass(frozen=True, slots=True)
class JointBatch(DialogueBatch):
    """One step of the joint stage: C other scenes are to be drawn.

    Prompts are padded on the right. Behind those of the C pictures come G unconditional ones, of
    the first G pictures.
    """

    drawn_C3SS: Tensor
    swapped_CI: Tensor  # ids to be taken from another picture where the model looks back at them
    prompt_ids_RP: Tensor  # R = C + G
    prompt_lengths_R: Tensor


@dataclass(frozen=True, slots=True)
class LessonBatch(DialogueBatch):
    """One step of the lessons: also what the M names in questions mean, for K of the answers."""

    named_M2: Tensor  # row, and position of the last token of a name
    shown_MT: Tensor  # the image tokens that show it; the row's first token if none does
    number_M: Tensor  # how many are shown
    place_M2: Tensor  # row and column of patches where a single one has its centre, or NO_TARGET
    asked_K3: Tensor  # row, position that predicts an answer, and that of the name asked about


@dataclass(frozen=True, slots=True)
class Dialogues:
    """Makes the batches of the joint stage: the first scenes are seen, the others drawn."""

    size: int
    template: ChatTemplate
    num_seen: int
    row_length: int = 192
    num_unconditional: int = 4
    spanish_share: float = 0.4
    lesson_share: float = 0.0  # of the conversations, once lessons have been learned

    def __call__(
        self, scenes: list[Scene], sprites: Sprites, rng: np.random.Generator
    ) -> JointBatch:
        seen, drawn = scenes[: self.num_seen], scenes[self.num_seen :]
        seen_B3SS = render_batch(seen, sprites, self.size)
        writer = RowWriter(self.template, self.row_length)
        rows = [
            writer.row(picture, self._conversations(scene, sprites, rng))
            for scene, picture in zip(seen, seen_B3SS, strict=True)
        ]
        prompts = [self._prompt(scene, sprites, rng) for scene in drawn]
        pad = self.template.tokenizer.special.pad
        prompts += [prompt.unconditional(pad) for prompt in prompts[: self.num_unconditional]]
        return JointBatch(
            seen_B3SS=seen_B3SS,
            dialogue_ids_BT=torch.tensor([row.ids for row in rows]),
            dialogue_targets_BT=torch.tensor([row.targets for row in rows]),
            dialogue_branches_BT=torch.tensor([row.branches for row in rows]),
            drawn_C3SS=render_batch(drawn, sprites, self.size),
            swapped_CI=self._swapped(len(drawn), rng),
            prompt_ids_RP=_pad_right([prompt.ids for prompt in prompts], pad),
            prompt_lengths_R=torch.tensor([len(prompt) for prompt in prompts]),
        )

    def _conversations(
        self, scene: Scene, sprites: Sprites, rng: np.random.Generator
    ) -> Iterator[list[Question]]:
        while True:
            language = self._language(rng)
            is_lesson = self.lesson_share > 0 and rng.random() < self.lesson_share
            asker = Asker(scene, sprites, rng, WORDINGS[language])
            asked = ask_lesson(asker, EVERY_LESSON) if is_lesson else None
            yield [asked] if asked else dialogue(scene, sprites, rng, language)

    def _prompt(self, scene: Scene, sprites: Sprites, rng: np.random.Generator) -> Prompt:
        return self.template.to_draw(prompt(scene, sprites, rng, self._language(rng)))

    def _swapped(self, num_drawn: int, rng: np.random.Generator) -> Tensor:
        """Half of the pictures have a share of their ids swapped, half of them at most."""
        shares = rng.uniform(-0.5, 0.5, (num_drawn, 1))
        return torch.from_numpy(rng.random((num_drawn, self.template.num_image_tokens)) < shares)

    def _language(self, rng: np.random.Generator) -> Language:
        return "es" if rng.random() < self.spanish_share else "en"


def _pad_right(rows: list[tuple[int, ...]], value: int) -> Tensor:
    length = max(map(len, rows))
    return torch.tensor([[*row] + [value] * (length - len(row)) for row in rows])
