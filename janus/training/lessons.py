"""Lessons: what a question asks about is learned, between two halves of the joint stage.

Batches of dialogues about pictures go in, most of them questions of few kinds; what draws is left
as it is. See `grounding` for how attention is guided meanwhile.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from janus.model.model import JanusModel
from janus.training.balance import ExpertBalance
from janus.training.emoji.batches import LessonBatch
from janus.training.emoji.lesson_batches import Course, course_of
from janus.training.grounding import Grounding, Head
from janus.training.joint import (
    dialogue_loss,
    hidden_matrices,
    resume,
    state_of,
    trained_parameters,
)
from janus.training.optimizer import MasterOptimizer
from janus.training.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonTraining:
    """Every knob of the stage."""

    courses: tuple[Course, ...]
    looking: tuple[Head, ...] = ((2, 0), (3, 0))
    recalling: tuple[Head, ...] = ((3, 1), (4, 1))
    num_seen: int = 12
    row_length: int = 192
    warmup: int = 50
    weight_decay: float = 0.05
    text_weight: float = 2.0
    balance_rate: float = 2e-3
    log_every: int = 20
    save_every: int = 50

    @property
    def steps(self) -> int:
        return sum(course.steps for course in self.courses)


def train_lessons(
    model: JanusModel,
    batches: Iterable[LessonBatch],
    settings: LessonTraining,
    run: Run,
    *,
    image_token_id: int,
) -> None:
    """Trains in place; resumes from the run's newest state, where `batches` must start too."""
    vision = model.config.vision
    grounding = Grounding(
        model.language_model,
        settings.looking,
        settings.recalling,
        grid=vision.image_size // vision.patch_size,
    ).to(model.device)
    optimizer = MasterOptimizer(
        [*trained_parameters(model), *grounding.parameters()],
        hidden=hidden_matrices(model),
        weight_decay=settings.weight_decay,
    )
    balance = ExpertBalance(model, settings.balance_rate)
    first = resume(run, model, optimizer)
    for step, batch in enumerate(batches, start=first):
        batch = batch.to(model.device)
        with grounding.watching():
            words = dialogue_loss(model, batch, balance, image_token_id)
        attention, fetched = grounding.attention_loss(batch), grounding.fetched_loss(batch)
        (settings.text_weight * words + attention + fetched).backward()
        peak = course_of(settings.courses, step).peak_lr
        norm = optimizer.step(peak * min(1.0, (step + 1) / settings.warmup))
        load = balance.update()
        if (step + 1) % settings.log_every == 0:
            losses = {"text": words, "attention": attention, "fetched": fetched}
            figures = {name: float(loss.detach()) for name, loss in losses.items()}
            run.log(step + 1, **figures, gradient=norm, load=load)
        if run.is_due(step + 1, settings.save_every, settings.steps):
            run.save(state_of(step + 1, model, optimizer))
    optimizer.use_average()
