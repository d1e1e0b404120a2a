"""Whatever makes an upcycled layer another function is found, in every expert of every layer."""

import json
import shutil
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from janus.config import TransformerConfig, read_config
from janus.errors import JanusError
from janus.training import equality
from janus.training.equality import feed_forward_error, layer_errors, require_equal
from janus.training.upcycling import _with_experts, upcycle
from tests.dense_model import NEURONS, NUM_LAYERS, dense_config, write_dense
from weights.files import Checkpoint
from weights.recipes import Exact, Isoflop, Recipe
from weights.upcycle import layer_prefix, upcycle_tensors

WIDTH = dense_config().transformer.hidden_size
SHAPES = {
    "gate_proj.weight": (NEURONS, WIDTH),
    "up_proj.weight": (NEURONS, WIDTH),
    "down_proj.weight": (WIDTH, NEURONS),
}
RECIPES = {
    "exact": Exact(experts=5),
    "isoflop": Isoflop(copies=3),
    "isoflop, two copies a token": Isoflop(slices=6, shared=3, copies=5, experts_per_token=6),
    "isoflop, all copies": Isoflop(copies=2, experts_per_token=4),
}


@pytest.fixture(params=RECIPES)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return RECIPES[request.param]


class Layer:
    """One layer as it was, and as a recipe writes it."""

    def __init__(self, recipe: Recipe) -> None:
        generator = torch.Generator().manual_seed(0)
        self.dense = {
            leaf: torch.randn(shape, generator=generator) * shape[1] ** -0.5
            for leaf, shape in SHAPES.items()
        }
        plan = replace(recipe, first_dense=0).plan(NEURONS, num_layers=1)
        prefix = layer_prefix(0)
        pairs = ((prefix + leaf, tensor) for leaf, tensor in self.dense.items())
        self.experts = {n.removeprefix(prefix): t for n, t in upcycle_tensors(pairs, plan)}
        self.config = _with_experts(dense_config(), plan).transformer

    def error(self, **changed: Tensor) -> float:
        """With some tensors of the experts replaced."""
        named = {name.replace("__", "."): tensor for name, tensor in changed.items()}
        experts = {name: t.clone() for name, t in (self.experts | named).items()}
        return feed_forward_error(self.dense, experts, self.config, seed=0)


def noise(like: Tensor) -> Tensor:
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(2))


def test_a_layer_is_the_same(recipe: Recipe) -> None:
    assert Layer(recipe).error() <= recipe.tolerance


def test_a_layer_is_the_same_with_any_selection_bias(recipe: Recipe) -> None:
    layer = Layer(recipe)
    bias_E = layer.experts["gate.e_score_correction_bias"]
    assert layer.error(gate__e_score_correction_bias=noise(bias_E)) <= recipe.tolerance


def test_only_isoflop_needs_tied_routers(recipe: Recipe) -> None:
    layer = Layer(recipe)
    error = layer.error(gate__weight=noise(layer.experts["gate.weight"]))
    assert error <= 0 if isinstance(recipe, Exact) else error > 0.1


def test_every_expert_takes_part(recipe: Recipe) -> None:
    layer = Layer(recipe)
    # What goes into experts that add nothing may be anything.
    leaves = ["down_proj"] if isinstance(recipe, Exact) else ["gate_up_proj", "down_proj"]
    for expert, leaf in product(range(len(layer.experts["gate.weight"])), leaves):
        tensor = layer.experts[f"experts.{leaf}"].clone()
        tensor[expert, 3] += 0.01
        assert layer.error(**{f"experts__{leaf}": tensor}) > 1e-4


def test_nothing_passes_that_is_no_number(recipe: Recipe) -> None:
    layer = Layer(recipe)
    gate_up = layer.experts["experts.gate_up_proj"].clone()
    gate_up[-1] = torch.inf
    assert torch.tensor(layer.error(experts__gate_up_proj=gate_up)).isnan()


# Checkpoints


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("folders")
    dense = write_dense(folder / "dense")
    return dense, upcycle(str(dense), folder / "isoflop", Isoflop()).folder


@pytest.fixture
def copy(folders: tuple[Path, Path], tmp_path: Path) -> Path:
    return shutil.copytree(folders[1], tmp_path / "copy")


def change(folder: Path, name: str, tensor: Any) -> None:
    file = folder / "model.safetensors"
    save_file(load_file(file) | {name: tensor}, file)


def tensor(folder: Path, name: str) -> Tensor:
    return load_file(folder / "model.safetensors")[name]


def opened(dense: Path, folder: Path) -> tuple[Checkpoint, Checkpoint, TransformerConfig]:
    upcycled = Checkpoint.open(folder)
    return Checkpoint.open(dense), upcycled, read_config(upcycled.config).transformer


def test_the_layer_is_named(folders: tuple[Path, Path], copy: Path) -> None:
    name = layer_prefix(2) + "gate.weight"
    change(copy, name, noise(tensor(copy, name)))
    errors = dict(layer_errors(*opened(folders[0], copy), range(1, NUM_LAYERS)))
    assert errors[1] <= 1e-5 < 0.1 < errors[2]
    with pytest.raises(JanusError, match=r"layer 2 differs by .*, 1e-05 is allowed"):
        require_equal(*opened(folders[0], copy), 1e-5)


def test_the_least_change_of_another_tensor_is_named(
    folders: tuple[Path, Path], copy: Path
) -> None:
    name = "model.language_model.layers.1.self_attn.q_proj.weight"
    changed = tensor(copy, name)
    changed[0, 0] = changed[0, 0].nextafter(torch.tensor(9.0))
    change(copy, name, changed)
    with pytest.raises(JanusError, match=rf"1 tensors are not as they were, .* {name}"):
        require_equal(*opened(folders[0], copy), 1e-5)


def test_another_type_is_another_tensor(folders: tuple[Path, Path], copy: Path) -> None:
    change(copy, "lm_head.weight", tensor(copy, "lm_head.weight").double())
    with pytest.raises(JanusError, match=r"lm_head\.weight"):
        require_equal(*opened(folders[0], copy), 1e-5)


def test_a_whole_model_that_differs_without_its_weights(
    folders: tuple[Path, Path], copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = copy / "config.json"
    config = json.loads(file.read_text())
    config["text_config"]["rope_parameters"]["rope_theta"] = 100.0
    file.write_text(json.dumps(config))
    with pytest.raises(JanusError, match=r"the logits differ by .*, 1e-05 is allowed"):
        require_equal(*opened(folders[0], copy), 1e-5)
    monkeypatch.setattr(equality, "WHOLE_MODEL_LIMIT", 1000)
    assert require_equal(*opened(folders[0], copy), 1e-5).logits is None
