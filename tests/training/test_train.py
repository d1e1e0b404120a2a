"""The whole recipe at a toy budget: every stage, the curves, and a model that opens."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from janus import Janus
from janus.errors import UsageError
from janus.model.moe import Experts
from janus.training.curves import plot_curves, smooth
from janus.training.emoji.lesson_batches import Course
from janus.training.emoji.recipe import FINISH, IMAGE_SIZE, JOINT, LESSONS, emoji_config, stages_of
from janus.training.emoji.train import train
from janus.training.image_tokenizer import CodebookTraining, TokenizerTraining
from janus.training.joint import JointTraining
from janus.training.lessons import LessonTraining
from janus.training.looking import LookingTraining
from janus.training.run import Run, read_log

STAGES = {
    "codebook_stage": CodebookTraining(num_batches=2, batch_size=8, rounds=1),
    "looking_stage": LookingTraining(steps=2, batch_size=2, log_every=1),
    "joint_stage": JointTraining(steps=2, num_seen=2, num_drawn=2, log_every=1),
    "lesson_stage": LessonTraining(
        courses=(Course(steps=2, shares={"is presence": 1}),), num_seen=2, log_every=1
    ),
    "finish_stage": JointTraining(
        steps=2, num_seen=2, num_drawn=2, lesson_share=0.5, decay_share=0.5, log_every=1
    ),
    "encoder_stage": TokenizerTraining(steps=2, batch_size=2, log_every=1),
    "decoder_stage": TokenizerTraining(steps=2, batch_size=2, log_every=1),
}


def test_one_call_trains_a_model_and_a_second_one_only_writes_it_again(tmp_path: Path):
    run = tmp_path / "run"
    train(tmp_path / "model", run, device="cpu", **STAGES)
    for stage in ("looking", "joint", "lessons", "finish", "encoder", "decoder"):
        assert [record["step"] for record in read_log(run, stage)] == [1, 2], stage
    assert Image.open(run / "curves.png").width > 1000
    plot_curves([run, run], tmp_path / "both.png")
    assert Image.open(tmp_path / "both.png").size == Image.open(run / "curves.png").size

    log = (run / "log.jsonl").read_text()
    train(tmp_path / "again", run, device="cpu", **STAGES)
    assert (run / "log.jsonl").read_text() == log
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("model", "again")]
    assert weights[0] == weights[1]

    janus = Janus.from_pretrained(tmp_path / "model", device="cpu")
    picture = janus.draw("two red hearts", seed=0)[0].image
    assert picture.size == (IMAGE_SIZE, IMAGE_SIZE)
    assert isinstance(janus.caption(picture, max_tokens=4), str)


def test_encoders_of_a_trained_model_are_taken_whole(tmp_path: Path):
    trained = Janus.from_pretrained("janus-emoji", device="cpu", dtype="bfloat16").model
    stages = {name: STAGES[name] for name in ("joint_stage", "lesson_stage", "finish_stage")}
    janus = train(tmp_path / "model", tmp_path / "run", encoders=trained, device="cpu", **stages)
    assert not read_log(tmp_path / "run", "looking") and not read_log(tmp_path / "run", "encoder")
    pixels = torch.rand(2, 3, IMAGE_SIZE, IMAGE_SIZE) * 2 - 1
    ours = janus.model.to(torch.bfloat16).vqmodel
    assert torch.equal(ours.encode(pixels), trained.vqmodel.encode(pixels))


def test_encoders_of_other_sizes_are_refused(tmp_path: Path, tiny: Janus):
    with pytest.raises(UsageError, match="other sizes"):
        train(tmp_path / "model", tmp_path / "run", encoders=tiny.model, device="cpu")


def test_a_dense_model_is_as_active_and_has_no_experts(tmp_path: Path):
    janus = train(tmp_path / "model", tmp_path / "run", device="cpu", dense=True, **STAGES)
    assert not any(isinstance(module, Experts) for module in janus.model.modules())
    dense, sparse = (emoji_config(0, dense=is_dense).transformer for is_dense in (True, False))
    assert sparse.experts is not None
    at_work = sparse.experts.num_experts_per_tok + sparse.experts.n_shared_experts
    assert dense.intermediate_size == at_work * sparse.experts.moe_intermediate_size


def test_another_budget_keeps_the_proportions():
    joint, lessons, finish = stages_of((JOINT.steps + FINISH.steps) // 10).values()
    assert (joint.steps, finish.steps) == (JOINT.steps // 10, FINISH.steps // 10)
    assert lessons.steps == pytest.approx(LESSONS.steps / 10, abs=len(LESSONS.courses))


def test_curves_are_means_around_each_step():
    assert smooth([2.0] * 40) == [2.0] * 40
    assert smooth([]) == []
    assert smooth([1.0, 3.0]) == [2.0, 2.0]
    steps = smooth(list(range(40)))
    assert steps[20] == 20 and steps[0] == 3.5  # of 0 to 7


def test_of_a_step_that_was_done_again_the_last_record_counts(tmp_path: Path):
    run = Run(tmp_path, "joint")
    for step, loss in ((1, 5.0), (2, 4.0), (1, 3.0), (2, 2.0)):
        run.log(step, text=loss)
    assert [(r["step"], r["text"]) for r in read_log(tmp_path, "joint")] == [(1, 3.0), (2, 2.0)]
