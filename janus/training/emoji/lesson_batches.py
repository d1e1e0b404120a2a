"""Batches of the lessons, each a function of (seed, step) alone: what to ask, and where to look."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from janus.prompts.chat import ChatTemplate
from janus.training.emoji.asking import Asker, Question
from janus.training.emoji.batches import Batches, LessonBatch, render_batch
from janus.training.emoji.dialogues import dialogue
from janus.training.emoji.lessons import ask_lesson
from janus.training.emoji.names import NameFinder
from janus.training.emoji.phrasing import WORDINGS
from janus.training.emoji.rows import Row, RowWriter
from janus.training.emoji.scenes import Placement, Scene, label_patches, sample_scene
from janus.training.emoji.sprites import Language, Sprites
from janus.training.losses import NO_TARGET


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """So many steps of the `LESSONS` in `shares`, between dialogues of all kinds."""

    steps: int
    shares: Mapping[str, float]
    lesson_share: float = 0.95  # of the conversations
    peak_lr: float = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonBatches(Batches[LessonBatch]):
    """One course after the other. Most scenes are such that a lesson of the course applies."""

    template: ChatTemplate
    sprites: Sprites
    courses: tuple[Course, ...]
    seed: int
    size: int
    patch: int
    num_seen: int
    row_length: int
    spanish_share: float = 0.4
    finder: NameFinder

    def __len__(self) -> int:
        return sum(course.steps for course in self.courses)

    def __getitem__(self, step: int) -> LessonBatch:
        rng = np.random.default_rng((self.seed, step))
        course = course_of(self.courses, step)
        scenes = [self._scene(course, rng) for _ in range(self.num_seen)]
        seen_B3SS = render_batch(scenes, self.sprites, self.size)
        writer = RowWriter(self.template, self.row_length)
        rows = [
            writer.row(picture, self._conversations(scene, course, rng))
            for scene, picture in zip(scenes, seen_B3SS, strict=True)
        ]
        names = [
            (i, place, meaning) for i, row in enumerate(rows) for place, meaning in self._names(row)
        ]
        return LessonBatch(
            seen_B3SS=seen_B3SS,
            dialogue_ids_BT=torch.tensor([row.ids for row in rows]),
            dialogue_targets_BT=torch.tensor([row.targets for row in rows]),
            dialogue_branches_BT=torch.tensor([row.branches for row in rows]),
            named_M2=_whole([(i, place) for i, place, _ in names], -1, 2),
            shown_MT=_whole(
                [self._tokens_showing(m, scenes[i], rows[i]) for i, _, m in names],
                -1,
                self.row_length,
            ).bool(),
            number_M=_whole([len(_shown(m, scenes[i])) for i, _, m in names], -1),
            place_M2=_whole([self._place(m, scenes[i]) for i, _, m in names], -1, 2),
            asked_K3=_whole(
                [
                    (i, *places)
                    for i, row in enumerate(rows)
                    for places in _places_asked(row, self._names(row))
                ],
                -1,
                3,
            ),
        )

    def _scene(self, course: Course, rng: np.random.Generator) -> Scene:
        is_any = rng.random() >= course.lesson_share
        while True:
            scene = sample_scene(rng, self.sprites, False)
            if is_any or self._ask(scene, course, rng, "en") is not None:
                return scene

    def _conversations(
        self, scene: Scene, course: Course, rng: np.random.Generator
    ) -> Iterator[list[Question]]:
        while True:
            language: Language = "es" if rng.random() < self.spanish_share else "en"
            is_lesson = rng.random() < course.lesson_share
            asked = self._ask(scene, course, rng, language) if is_lesson else None
            yield [asked] if asked else dialogue(scene, self.sprites, rng, language)

    def _ask(
        self, scene: Scene, course: Course, rng: np.random.Generator, language: Language
    ) -> Question | None:
        return ask_lesson(Asker(scene, self.sprites, rng, WORDINGS[language]), course.shares)

    def _names(self, row: Row) -> list[tuple[int, set[int]]]:
        """The names in questions, not in answers: those are looked at themselves."""
        found = self.finder.find(row.ids)
        return [(place, name) for place, name in found if row.targets[place] == NO_TARGET]

    def _place(self, meaning: set[int], scene: Scene) -> tuple[int, int]:
        shown = _shown(meaning, scene)
        if len(shown) != 1:
            return NO_TARGET, NO_TARGET
        side = self.size // self.patch
        return int(shown[0].y * side), int(shown[0].x * side)

    def _tokens_showing(self, meaning: set[int], scene: Scene, row: Row) -> np.ndarray:
        what_N = label_patches(scene, self.sprites, self.size, self.patch)[0].flatten()
        is_image_T = np.array(row.ids) == self.template.tokenizer.special.image
        shows_T = np.zeros(len(row.ids), dtype=bool)
        shows_T[is_image_T] = np.isin(what_N, list(meaning))
        shows_T[0] = not shows_T.any()
        return shows_T


def course_of(courses: tuple[Course, ...], step: int) -> Course:
    """The course that a step is in."""
    for course in courses:
        if step < course.steps:
            return course
        step -= course.steps
    raise IndexError(step)


def _whole(values: Sequence[object], *shape: int) -> Tensor:
    """int64, of a shape that no values at all have too."""
    return torch.from_numpy(np.array(values, dtype=np.int64)).view(shape)


def _shown(meaning: set[int], scene: Scene) -> list[Placement]:
    return [placement for placement in scene.placements if placement.sprite in meaning]


def _places_asked(row: Row, names: list[tuple[int, set[int]]]) -> Iterator[tuple[int, int]]:
    """Where an answer begins and what it is about was named, if the question names it."""
    before = 0
    for answer, question in row.answers:
        branch = row.branches[answer]
        inside = [
            (place, meaning)
            for place, meaning in names
            if before < place < answer and row.branches[place] == branch
        ]
        if question.topic is None:
            about = inside if len(inside) == 1 else []
        else:
            about = [name for name in inside if question.topic in name[1]]
        if about:
            yield answer, about[0][0]
        before = answer
