"""The whole recipe at a toy budget: every stage, the curves, and a model that opens."""

from pathlib import Path

from PIL import Image

from janus import Janus
from janus.training.emoji.train import train
from janus.training.image_tokenizer import CodebookTraining, TokenizerTraining
from janus.training.joint import JointTraining
from janus.training.looking import LookingTraining
from janus.training.run import read_log

STAGES = {
    "codebook_stage": CodebookTraining(num_batches=2, batch_size=8, rounds=1),
    "looking_stage": LookingTraining(steps=2, batch_size=2, log_every=1),
    "joint_stage": JointTraining(steps=2, num_seen=2, num_drawn=2, log_every=1),
    "encoder_stage": TokenizerTraining(steps=2, batch_size=2, log_every=1),
    "decoder_stage": TokenizerTraining(steps=2, batch_size=2, log_every=1),
}


def test_one_call_trains_a_model_and_a_second_one_only_writes_it_again(tmp_path: Path):
    run = tmp_path / "run"
    train(tmp_path / "model", run, device="cpu", **STAGES)
    for stage in ("looking", "joint", "encoder", "decoder"):
        assert [record["step"] for record in read_log(run, stage)] == [1, 2], stage
    assert Image.open(run / "curves.png").width > 1000

    log = (run / "log.jsonl").read_text()
    train(tmp_path / "again", run, device="cpu", **STAGES)
    assert (run / "log.jsonl").read_text() == log
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("model", "again")]
    assert weights[0] == weights[1]

    janus = Janus.from_pretrained(tmp_path / "model", device="cpu")
    picture = janus.draw("two red hearts", seed=0)[0].image
    assert picture.size == (64, 64)
    assert isinstance(janus.caption(picture, max_tokens=4), str)
