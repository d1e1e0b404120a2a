"""`janus weights quantize` writes what --quantize would make, to the bit."""

import json
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor
from transformers import JanusForConditionalGeneration

from janus import Janus
from janus.errors import UsageError, WeightsMissingError
from janus.evaluation.parity import compare
from janus.model.cache import Rows
from janus.model.loading import load_model, num_parameters
from janus.model.model import JanusModel
from janus.quantizing import quantize
from janus.training.upcycling import upcycle
from tests.dense_model import write_dense
from weights.files import Checkpoint
from weights.recipes import make_recipe

PICTURE = Image.radial_gradient("L").resize((40, 30)).convert("RGB")


@pytest.fixture(scope="module", params=["experts", "dense", "dense, bfloat16", "original"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "whole"
    if request.param == "experts":
        tiny: Janus = request.getfixturevalue("tiny")
        tiny.save_pretrained(folder)
        return folder
    is_half = request.param == "dense, bfloat16"
    layout = "original" if request.param == "original" else "transformers"
    return write_dense(folder, layout, torch.bfloat16 if is_half else torch.float32)


def logits(model: JanusModel) -> Tensor:
    hidden_ND = model(model.embed_text(torch.arange(9, 21)), Rows.uniform(2, 6))
    return torch.cat([model.text_logits(hidden_ND), model.image_logits(hidden_ND)], dim=-1)


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_the_same_numbers(whole: Path, tmp_path: Path, kind: str) -> None:
    quantize(str(whole), tmp_path / "few", kind)
    dtype = Checkpoint.open(whole).outline()["lm_head.weight"].dtype
    wanted = load_model(whole, device="cpu", dtype=dtype, quantize=kind)
    found = load_model(tmp_path / "few", device="cpu", dtype=dtype)
    assert found.quantization == kind and found.dtype == dtype
    assert num_parameters(found) == num_parameters(wanted)
    assert torch.equal(logits(found), logits(wanted))


@pytest.mark.parametrize(("kind", "bits"), [("int8", 8), ("int4", 4)])
def test_the_file_is_small(whole: Path, tmp_path: Path, kind: str, bits: int) -> None:
    made = quantize(str(whole), tmp_path / "few", kind)
    assert made.folder == tmp_path / "few"
    assert made.bytes == (made.folder / "quantized.safetensors").stat().st_size
    before, after = (dict(Checkpoint.open(folder).tensors()) for folder in (whole, made.folder))
    shrunk = [name for name in before if after[name].dtype in (torch.int8, torch.uint8)]
    assert any("mlp" in name for name in shrunk) and any("self_attn" in name for name in shrunk)
    assert "lm_head.weight" in shrunk
    kept = ("vision_model", "vqmodel", "norm", "mlp.gate.weight", "embed_tokens")
    assert not any(part in name for name in shrunk for part in kept)
    for name in set(before) - set(shrunk):
        assert after[name].equal(before[name]), name
    if bits == 4:  # where rows are whole groups of 64
        assert any(2 * after[name].numel() == before[name].numel() for name in shrunk)


def test_transformers_does_not_take_it_for_whole_weights(whole: Path, tmp_path: Path) -> None:
    made = quantize(str(whole), tmp_path / "few", "int8")
    with pytest.raises(OSError, match="safetensors"):
        JanusForConditionalGeneration.from_pretrained(made.folder)
    with pytest.raises(UsageError, match="quantized"):
        compare(str(made.folder), device="cpu")


def test_it_is_used_like_any_model(whole: Path, tmp_path: Path) -> None:
    quantize(str(whole), tmp_path / "few", "int8")
    janus = Janus.from_pretrained(tmp_path / "few", device="cpu")
    like = Janus.from_pretrained(whole, device="cpu", quantize="int8")
    drawn = [model.draw("a dog", seed=3)[0] for model in (janus, like)]
    assert drawn[0].ids == drawn[1].ids
    assert janus.ask(PICTURE, "What?", temperature=0) == like.ask(PICTURE, "What?", temperature=0)
    assert "int8" in repr(janus)
    again = Janus.from_pretrained(tmp_path / "few", device="cpu", quantize="int8")
    assert again.quantization == "int8"


def test_progress_reaches_its_end(whole: Path, tmp_path: Path) -> None:
    seen: list[float] = []

    @contextmanager
    def progress(stage: str):
        yield seen.append

    quantize(str(whole), tmp_path / "few", "int4", progress=progress)
    assert seen == sorted(seen) and seen[-1] == pytest.approx(1.0)


def test_what_cannot_be_done_leaves_nothing(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="int3"):
        quantize(str(whole), tmp_path / "few", "int3")
    assert list(tmp_path.iterdir()) == []
    quantize(str(whole), tmp_path / "few", "int8")
    with pytest.raises(UsageError, match="already"):
        quantize(str(tmp_path / "few"), tmp_path / "fewer", "int4")
    with pytest.raises(UsageError, match="already"):
        Janus.from_pretrained(tmp_path / "few", device="cpu", quantize="int4")
    with pytest.raises(UsageError, match="quantized"):
        upcycle(str(tmp_path / "few"), tmp_path / "experts", make_recipe("exact", {}))
    assert [path.name for path in tmp_path.iterdir()] == ["few"]


def test_quantized_by_others(whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole, tmp_path / "theirs")
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsMissingError, match="gptq"):
        load_model(folder, device="cpu")
