"""An upcycled checkpoint is the dense one's function, in our model and stock's, or is not kept."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from janus import Janus
from janus.errors import JanusError, SaveError, UsageError
from janus.evaluation.parity import compare
from janus.evaluation.parity_case import Case, Outputs, run_ours
from janus.prompts.tokenizer import JanusTokenizer
from janus.saving import GENERATION_FILE, read_drawing
from janus.training import upcycling
from janus.training.upcycling import Upcycled, upcycle
from tests.dense_model import NUM_LAYERS, Layout, write_dense
from tests.layouts import (
    MODELS,
    PRO_1B,
    original_config,
    tokenizer_json,
    write_large_bin,
    write_settings,
)
from tests.oracle import relative_error
from tests.small_model import small_janus
from weights.errors import CheckpointError, RecipeError
from weights.files import Checkpoint
from weights.recipes import RECIPES, Exact, Isoflop, Recipe

LAYOUTS: tuple[Layout, ...] = ("transformers", "original")
SHARD = 200_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Made:
    """A dense model and what became of it, with what both compute."""

    dense: Path
    upcycled: Upcycled
    recipe: Recipe
    before: Outputs
    after: Outputs


@pytest.fixture(scope="module", params=LAYOUTS)
def dense(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_dense(tmp_path_factory.mktemp("models") / "dense", request.param)
    (folder / GENERATION_FILE).write_text('{"guidance_scale": 2}')
    return folder


@pytest.fixture(scope="module", params=RECIPES)
def made(dense: Path, request: pytest.FixtureRequest) -> Made:
    recipe = RECIPES[request.param]()
    target = dense.with_name(recipe.name)
    upcycled = upcycle(str(dense), target, recipe, max_shard_bytes=SHARD)
    return Made(
        dense=dense,
        upcycled=upcycled,
        recipe=recipe,
        before=outputs(dense),
        after=outputs(target),
    )


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dense model to refuse."""
    return write_dense(tmp_path_factory.mktemp("models") / "dense")


def outputs(folder: Path, dtype: str = "float32") -> Outputs:
    """What it sees, its logits, and the ids that it answers and draws with when it is greedy."""
    janus = Janus.from_pretrained(folder, dtype=dtype, device="cpu")
    return run_ours(janus.model, Case.of(janus, num_tokens=8))


# The same function


def test_logits_are_the_same(made: Made) -> None:
    for name in ("seen", "text_logits", "image_logits"):
        before, after = getattr(made.before, name), getattr(made.after, name)
        if isinstance(made.recipe, Exact):
            assert torch.equal(after, before), name
        else:
            assert relative_error(after, before) <= 1e-5, name
    difference = made.upcycled.difference
    assert difference.logits is not None
    assert max(difference.layers, difference.logits) <= made.recipe.tolerance


def test_greedy_answers_and_pictures_are_the_same(made: Made) -> None:
    assert made.after.text_ids == made.before.text_ids
    assert made.after.image_ids == made.before.image_ids


def test_stock_transformers_does_the_same(made: Made) -> None:
    report = compare(str(made.upcycled.folder), device="cpu", num_tokens=4)
    assert report.passed, report
    assert len(report.checks) == 7  # prompts, as JanusProcessor makes them, among them


def test_in_bfloat16(tmp_path: Path) -> None:
    from transformers import JanusForConditionalGeneration

    dense = write_dense(tmp_path / "dense", dtype=torch.bfloat16)
    exact, isoflop = (upcycle(str(dense), tmp_path / n, RECIPES[n]()) for n in RECIPES)
    assert exact.difference.layers == 0 < isoflop.difference.layers <= 1e-5
    before, after = (outputs(folder, "bfloat16") for folder in (dense, exact.folder))
    assert torch.equal(after.text_logits, before.text_logits)
    assert torch.equal(after.image_logits, before.image_logits)
    loaded: Any = JanusForConditionalGeneration.from_pretrained(
        isoflop.folder, output_loading_info=True
    )
    assert not any(loaded[1].values()), loaded[1]
    kinds = {name: tensor.dtype for name, tensor in loaded[0].state_dict().items()}
    floats = [name for name, kind in kinds.items() if kind == torch.float32]
    assert all(name.endswith("e_score_correction_bias") for name in floats)
    assert len(floats) == NUM_LAYERS - 1
    assert set(kinds.values()) == {torch.float32, torch.bfloat16}


# What is written


def test_it_keeps_its_guidance(made: Made) -> None:
    assert read_drawing(made.dense.with_name(made.recipe.name))["guidance"] == 2


def test_parameters_are_counted(made: Made) -> None:
    counted, folders = made.upcycled, (made.dense, made.upcycled.folder)
    before, after = (Janus.from_pretrained(folder, device="cpu") for folder in folders)
    assert counted.parameters_before == before.num_parameters
    assert counted.parameters == after.num_parameters
    config = after.model.config.transformer
    assert config.experts is not None
    idle = config.experts.n_routed_experts - config.experts.num_experts_per_tok
    of_expert = 3 * config.hidden_size * config.experts.moe_intermediate_size
    assert counted.active_parameters == after.num_parameters - 2 * idle * of_expert


def test_it_is_written_in_shards(made: Made) -> None:
    folder = made.upcycled.folder
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    files = set(index["weight_map"].values())
    assert files == {path.name for path in folder.glob("*.safetensors")}
    assert len(files) > 5
    sizes = [[t.nbytes for t in load_file(folder / file).values()] for file in files]
    assert all(sum(size) <= SHARD or len(size) == 1 for size in sizes)


def test_only_the_result_is_left(made: Made) -> None:
    names = {path.name for path in made.dense.parent.iterdir()}
    assert names <= {"dense", *RECIPES}
    assert made.upcycled.folder.stat().st_mode == made.dense.stat().st_mode


# What is not the same is not kept


def test_an_untied_router_is_refused(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def untied(*arguments: Any) -> Iterator[tuple[str, Tensor]]:
        generator = torch.Generator().manual_seed(0)
        for name, tensor in written(*arguments):
            random = name.endswith("layers.2.mlp.gate.weight")
            yield name, torch.randn(tensor.shape, generator=generator) if random else tensor

    written = upcycling.upcycle_tensors
    monkeypatch.setattr(upcycling, "upcycle_tensors", untied)
    target = tmp_path / "new" / "target"
    with pytest.raises(JanusError, match=r"layer 2 differs by [3-9]\.\de-01 .*, 1e-05 is allowed"):
        upcycle(str(plain), target, Isoflop())
    assert not any(target.parent.iterdir())
    assert upcycle(str(plain), target, Exact()).difference.layers == 0  # it may be anything there


def test_an_interruption_leaves_nothing(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any) -> Iterator[tuple[str, Tensor]]:
        for name, tensor in written(*arguments):
            if "layers.2" in name:
                raise KeyboardInterrupt
            yield name, tensor

    written = upcycling.upcycle_tensors
    monkeypatch.setattr(upcycling, "upcycle_tensors", interrupted)
    with pytest.raises(KeyboardInterrupt):
        upcycle(str(plain), tmp_path / "target", Exact(), max_shard_bytes=SHARD)
    assert not any(tmp_path.iterdir())


# What is refused before anything is written


def test_a_mixture_of_experts(tmp_path: Path) -> None:
    small_janus().save_pretrained(tmp_path / "experts")
    with pytest.raises(UsageError, match=r"mixture of 4 experts already"):
        upcycle(str(tmp_path / "experts"), tmp_path / "target", Exact())
    assert not (tmp_path / "target").exists()


def test_a_place_that_is_taken(plain: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("kept")
    for target in (tmp_path, tmp_path / "notes.txt", plain):
        with pytest.raises(SaveError, match="exists, and is not an empty folder"):
            upcycle(str(plain), target, Exact())
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_empty_folder_is_filled(plain: Path, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    folder = upcycle(str(plain), tmp_path / "target", Exact()).folder
    assert Checkpoint.open(folder).files


def test_another_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(CheckpointError, match="not a Janus checkpoint"):
        upcycle(str(tmp_path), tmp_path / "target", Exact())


def test_an_attention_that_the_layout_lacks(plain: Path, tmp_path: Path) -> None:
    shutil.copytree(plain, tmp_path / "biased")
    file = tmp_path / "biased" / "config.json"
    config = json.loads(file.read_text())
    config["text_config"]["attention_bias"] = True
    file.write_text(json.dumps(config))
    tensors = load_file(file.with_name("model.safetensors"))
    weights = [name for name in tensors if "language_model" in name and "self_attn" in name]
    biases = {name.replace("weight", "bias"): torch.zeros(len(tensors[name])) for name in weights}
    save_file(tensors | biases, file.with_name("model.safetensors"))
    with pytest.raises(UsageError, match="bias to its output"):
        upcycle(str(file.parent), tmp_path / "target", Exact())


def test_numbers_that_do_not_fit(plain: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="Choose 1, 2, 3, 4, 6, 12"):
        upcycle(str(plain), tmp_path / "target", Exact(slices=5))


def test_a_disk_that_is_too_small(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(SaveError, match=r"takes 0\.0 GB, and the disk of .* has 0\.0 GB free"):
        upcycle(str(plain), tmp_path / "new" / "target", Exact())
    assert not any(tmp_path.iterdir())


def test_room_is_asked_for_what_it_takes(made: Made) -> None:
    asked = upcycling._Job.of(Checkpoint.open(made.dense), made.recipe).num_bytes
    taken = Checkpoint.open(made.upcycled.folder).num_bytes
    assert 0.9 < asked / taken < 1.1


# The published size


UPCYCLE = """
import json
import sys
from pathlib import Path

import torch


def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


before = peak()

from janus.training.upcycling import upcycle
from weights.recipes import RECIPES

source, target, recipe = sys.argv[1:]
made = upcycle(source, target, RECIPES[recipe](), max_shard_bytes=1_000_000_000)
numbers = [made.parameters_before, made.parameters, made.active_parameters]
print(json.dumps([numbers, made.difference.layers, made.difference.logits, peak() - before]))
"""


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Path]:
    """A folder that is not kept for three runs, as pytest's others are."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_a_real_one_takes_a_shard_and_a_layer(vocabulary: JanusTokenizer, large: Path) -> None:
    tokenizer = tokenizer_json(vocabulary, MODELS["Janus-Pro-1B"].added_tokens)
    write_settings(large / "dense", original_config(PRO_1B, PRO_1B.language()), tokenizer)
    write_large_bin(large / "dense" / "pytorch_model.bin", PRO_1B.shapes())
    expected = {
        "exact": (3_668_752_011, 2_474_948_235),
        "isoflop": (4_862_932_619, 2_077_390_475),
    }
    for recipe, parameters in expected.items():
        command = [sys.executable, "-c", UPCYCLE, str(large / "dense"), str(large / "new"), recipe]
        result = subprocess.run(command, check=True, capture_output=True, text=True)
        numbers, layer_error, logits_error, memory = json.loads(result.stdout)
        assert numbers == [2_076_636_811, *parameters]
        assert layer_error <= RECIPES[recipe].tolerance
        assert logits_error is None
        assert memory < 2e9  # a shard of 1 GB, and what belongs to one layer
        shutil.rmtree(large / "new")
