"""Loading: the module gets exactly the checkpoint, in its own memory, or a full list of why not."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from weights.errors import CheckpointError
from weights.files import Checkpoint
from weights.load import Loader


class Router(nn.Module):
    e_score_correction_bias: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(4, 6), requires_grad=False)
        self.register_buffer("e_score_correction_bias", torch.empty(4))
        self.register_buffer("seen", torch.empty(4, dtype=torch.int64))
        self.register_buffer("frequencies", torch.ones(3), persistent=False)


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.language_model = nn.ModuleList([nn.Linear(6, 5), Router()])
        self.lm_head = nn.Linear(5, 7, bias=False)


def rename(name: str) -> str:
    return name.removeprefix("model.")


def empty() -> Tiny:
    with torch.device("meta"):
        return Tiny()


@pytest.fixture
def stored() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    root = "model.language_model"
    shapes = {f"{root}.0.weight": (5, 6), f"{root}.0.bias": (5,), "lm_head.weight": (7, 5)}
    shapes |= {f"{root}.1.weight": (4, 6), f"{root}.1.e_score_correction_bias": (4,)}
    tensors = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    return tensors | {f"{root}.1.seen": torch.arange(4)}


def save(folder: Path, tensors: dict[str, Tensor]) -> Checkpoint:
    (folder / "config.json").write_text('{"model_type": "janus"}')
    save_file(tensors, folder / "model.safetensors")
    return Checkpoint.open(folder)


def load(checkpoint: Checkpoint, **options: Any) -> Tiny:
    module = empty()
    options = {"dtype": torch.bfloat16, "rename": rename, **options}
    Loader(module, checkpoint, **options).load()
    return module


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_every_tensor_arrives_in_the_asked_type(
    tmp_path: Path, stored: dict[str, Tensor], dtype: torch.dtype
) -> None:
    module = load(save(tmp_path, stored), dtype=dtype, keep_float32=["e_score_correction_bias"])
    state = module.state_dict()
    assert len(state) == len(stored)
    for name, tensor in stored.items():
        exact = "correction" in name or not tensor.is_floating_point()
        expected = tensor if exact else tensor.to(dtype)
        torch.testing.assert_close(state[rename(name)], expected, rtol=0, atol=0)


def test_parameters_stay_what_they_were(tmp_path: Path, stored: dict[str, Tensor]) -> None:
    module = load(save(tmp_path, stored))
    grads = {name: parameter.requires_grad for name, parameter in module.named_parameters()}
    assert grads == {
        name: parameter.requires_grad for name, parameter in empty().named_parameters()
    }
    assert "language_model.1.frequencies" not in module.state_dict()


def test_the_file_may_change_afterwards(tmp_path: Path, stored: dict[str, Tensor]) -> None:
    checkpoint = save(tmp_path, stored)
    module = load(checkpoint, dtype=torch.float32)
    with checkpoint.files[0].open("r+b") as file:
        file.write(bytes(checkpoint.num_bytes))
    assert torch.equal(module.lm_head.weight, stored["lm_head.weight"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_mapped_stays_in_the_file(
    tmp_path: Path, stored: dict[str, Tensor], dtype: torch.dtype
) -> None:
    """Unless it had to be converted."""
    checkpoint, module = save(tmp_path, stored), empty()
    loader = Loader(module, checkpoint, dtype=dtype, rename=rename)
    loader.load(lambda name: name.startswith("lm_head."), mapped=True)
    assert module.state_dict()["language_model.0.weight"].is_meta
    loader.load(lambda name: not name.startswith("lm_head."))
    with checkpoint.files[0].open("r+b") as file:
        file.write(bytes(checkpoint.num_bytes))
    assert bool(module.lm_head.weight.any()) is (dtype is torch.bfloat16)
    kept = module.state_dict()["language_model.0.weight"]
    assert torch.equal(kept, stored["model.language_model.0.weight"].to(dtype))


def test_all_differences_are_listed_at_once(tmp_path: Path, stored: dict[str, Tensor]) -> None:
    del stored["model.language_model.1.e_score_correction_bias"]
    stored |= {f"extra.{i}": torch.zeros(1) for i in range(12)}
    stored["lm_head.weight"] = torch.zeros(7, 4)
    with pytest.raises(CheckpointError) as caught:
        load(save(tmp_path, stored))
    message = caught.value.message
    assert "1 missing, 12 unexpected, 1 of another shape" in message
    assert "language_model.1.e_score_correction_bias" in message
    assert "lm_head.weight is (7, 4), should be (7, 5)" in message
    assert "extra.9" in message or "extra.11" in message
    assert "and 2 more" in message


def test_nothing_is_loaded_when_something_differs(
    tmp_path: Path, stored: dict[str, Tensor]
) -> None:
    module = empty()
    stored["extra"] = torch.zeros(1)
    with pytest.raises(CheckpointError):
        Loader(module, save(tmp_path, stored), dtype=torch.float32, rename=rename).load()
    assert all(tensor.is_meta for tensor in module.state_dict().values())


PEAK = """
import sys
from pathlib import Path
import torch
from torch import nn
from weights.files import Checkpoint
from weights.load import Loader

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])

for folder in sys.argv[1:]:
    with torch.device("meta"):
        module = nn.Sequential(*[nn.Linear(1024, 512, bias=False) for _ in range(64)])
    checkpoint = Checkpoint.open(folder)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from here
    before = peak()
    Loader(module, checkpoint, dtype=torch.bfloat16).load()
    print((peak() - before) / checkpoint.num_bytes)
    del module
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_peak_memory_is_hardly_more_than_the_weights(tmp_path: Path) -> None:
    ones = torch.ones(512, 1024, dtype=torch.bfloat16)
    state = {f"{i}.weight": ones.clone() for i in range(64)}
    folders = [tmp_path / "bin", tmp_path / "safetensors"]
    for folder in folders:
        folder.mkdir()
        (folder / "config.json").write_text('{"model_type": "janus"}')
    torch.save(state, folders[0] / "pytorch_model.bin")
    save_file(state, folders[1] / "model.safetensors")
    result = subprocess.run(
        [sys.executable, "-c", PEAK, *map(str, folders)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"},  # freed memory goes back at once
    )
    ratios = [float(line) for line in result.stdout.splitlines()]
    assert len(ratios) == 2
    assert all(0.9 < ratio < 1.2 for ratio in ratios), ratios
