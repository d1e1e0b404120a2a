"""The Triton kernel against plain arithmetic, in Triton's interpreter on a CPU.

`tests/conftest.py` switches the interpreter on where there is no GPU.
"""

# R rows, T new tokens of each, H heads, K key heads, S slots, L positions, d width of a value,
# x of a key

import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from janus.config import LatentAttentionConfig, TransformerConfig
from janus.model.cache import Rows
from janus.model.static_rows import StaticRows
from janus.model.transformer import Transformer
from tests.oracle import randomize, relative_error

slot_kernel = pytest.importorskip("janus.model.slot_kernel", exc_type=ImportError)
SPLIT, attend_slots, suits = slot_kernel.SPLIT, slot_kernel.attend_slots, slot_kernel.suits

LENGTH = 3 * SPLIT - 7
SLOTS = torch.tensor([3, 0, 4])


def wanted(q_RTHx: Tensor, k_SKLx: Tensor, v_SKLd: Tensor, ends: Tensor, scale: float) -> Tensor:
    groups, num_new = q_RTHx.shape[2] // k_SKLx.shape[1], q_RTHx.shape[1]
    k_RHLx, v_RHLd = (x.double()[SLOTS].repeat_interleave(groups, 1) for x in (k_SKLx, v_SKLd))
    score_RTHL = torch.einsum("RTHx,RHLx->RTHL", q_RTHx.double(), k_RHLx) * scale
    last_seen_RT = ends[:, None] - num_new + torch.arange(num_new)
    unseen_RTL = torch.arange(LENGTH) > last_seen_RT[..., None]
    score_RTHL = score_RTHL.masked_fill(unseen_RTL[:, :, None], float("-inf"))
    return torch.einsum("RTHL,RHLd->RTHd", score_RTHL.softmax(-1), v_RHLd)


@pytest.mark.parametrize(
    ("key_heads", "groups", "num_new", "width", "extra"),
    [(2, 1, 1, 64, 0), (2, 3, 4, 32, 0), (4, 1, 8, 128, 0), (1, 4, 5, 64, 32), (1, 5, 7, 512, 64)],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_the_kernel_is_attention(
    key_heads: int, groups: int, num_new: int, width: int, extra: int, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(dtype)

    k_SKLx = random(5, key_heads, LENGTH, width + extra)
    v_SKLd = k_SKLx[..., :width] if extra else random(5, key_heads, LENGTH, width)
    q_RTHx = random(3, num_new, key_heads * groups, width + extra)
    # In the last piece, one token into the second, and nothing but the new tokens.
    ends_R, scale = torch.tensor([LENGTH, SPLIT + 1, num_new]), 0.2
    assert suits(num_new, groups, width + extra, width)
    found_RTHd = attend_slots(q_RTHx, k_SKLx, v_SKLd, SLOTS, ends_R, scale)
    error = relative_error(found_RTHd.double(), wanted(q_RTHx, k_SKLx, v_SKLd, ends_R, scale))
    assert error < (1e-5 if dtype is torch.float32 else 2e-3)


def test_a_row_is_the_same_in_any_batch() -> None:
    generator = torch.Generator().manual_seed(1)
    k_SKLd, v_SKLd = torch.randn(2, 5, 2, LENGTH, 32, generator=generator)
    q_RTHd = torch.randn(3, 1, 2, 32, generator=generator)
    ends_R = torch.tensor([LENGTH, 200, 9])
    together = attend_slots(q_RTHd, k_SKLd, v_SKLd, SLOTS, ends_R, 0.2)
    for row in range(3):
        one = slice(row, row + 1)
        alone = attend_slots(q_RTHd[one], k_SKLd, v_SKLd, SLOTS[one], ends_R[one], 0.2)
        assert torch.equal(alone, together[one])


@pytest.mark.parametrize(
    ("num_new", "group", "key_width", "value_width", "fits"),
    [
        (1, 1, 64, 64, True),
        (1, 1, 80, 64, True),
        (1, 1, 48, 48, False),
        (1, 1, 72, 64, False),
        (8, 16, 64, 64, True),
        (43, 3, 64, 64, False),
        (1, 1, 1024, 1024, False),
        (1, 1, 8, 8, False),
    ],
)
def test_shapes_that_it_takes(
    num_new: int, group: int, key_width: int, value_width: int, fits: bool
) -> None:
    assert suits(num_new, group, key_width, value_width) == fits


GROUPED = TransformerConfig(
    vocab_size=8,
    hidden_size=48,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=16,
)
LATENT = TransformerConfig(
    vocab_size=8,
    hidden_size=48,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=4,
    latent_attention=LatentAttentionConfig(
        kv_lora_rank=32, qk_nope_head_dim=16, qk_rope_head_dim=16, v_head_dim=16
    ),
)


@pytest.mark.parametrize("config", [GROUPED, LATENT], ids=["grouped", "latent"])
@torch.inference_mode()
def test_a_transformer_reads_its_cache_in_place(
    config: TransformerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that the host knows and rows of tensors, with and without the kernel."""
    transformer = Transformer(config)
    randomize(transformer)
    slots, starts = (4, 0, 2, 3), (150, 9, 20, 2)  # two rows of three tokens, two of one
    generator = torch.Generator().manual_seed(0)
    new_ND = torch.randn(8, config.hidden_size, generator=generator)

    def run(static: bool) -> Tensor:
        cache = transformer.new_cache(5, 192)
        for slot, start in zip(slots, starts, strict=True):
            seed = torch.Generator().manual_seed(slot)
            prompt_ND = torch.randn(start, config.hidden_size, generator=seed)
            transformer(prompt_ND, Rows(counts=(start,), starts=(0,), slots=(slot,)), cache)
        rows = Rows(counts=(3, 3, 1, 1), starts=starts, slots=slots)
        if static:
            threes = torch.tensor(starts[:2])[:, None] + torch.arange(3)
            ones = torch.tensor(starts[2:])[:, None]
            blocks = ((torch.tensor(slots[:2]), threes), (torch.tensor(slots[2:]), ones))
            rows = StaticRows.of(cache, *blocks)
        return transformer(new_ND, rows, cache)

    wanted_ND = run(static=False)
    assert relative_error(run(static=True), wanted_ND) < 1e-5
    calls = []

    def counting(*tensors: Tensor) -> Tensor:
        calls.append(tensors)
        return attend_slots(*tensors)

    monkeypatch.setattr("janus.model.attention.slot_kernel", lambda *_: slot_kernel)
    monkeypatch.setattr(slot_kernel, "attend_slots", counting)
    for static in (False, True):
        assert relative_error(run(static), wanted_ND) < 1e-5
    assert len(calls) == 2 * 2 * config.num_hidden_layers


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from janus.model import slot_kernel

numbers = dict.fromkeys(["q", "k", "v", "out"], "*bf16")
numbers |= dict.fromkeys(["partial", "top", "total"], "*fp32")
numbers |= {"slots": "*i64", "ends": "*i64", "scale": "fp32"}


def compile(kernel, **constants):
    names = kernel.arg_names
    types = {n: "constexpr" if n in constants else numbers.get(n, "i32") for n in names}
    source = ASTSource(kernel, types, {(names.index(n),): c for n, c in constants.items()})
    return triton.compile(source, target=GPUTarget("cuda", 90, 32))


for width, extra, tile, block in [(128, 0, 64, 64), (512, 64, 16, 32)]:
    sizes = dict(WIDTH=width, EXTRA=extra, TILE=tile, SPLIT=slot_kernel.SPLIT, BLOCK=block)
    kernel = compile(slot_kernel._attend_piece, **sizes)
    print(len(kernel.asm["cubin"]), kernel.metadata.shared)
kernel = compile(slot_kernel._put_together, WIDTH=128, SPLIT=slot_kernel.SPLIT)
print(len(kernel.asm["cubin"]), kernel.metadata.shared)
"""
HOPPER_SHARED_MEMORY = 227 * 1024  # bytes of a block


@pytest.mark.skipif(sys.platform != "linux", reason="Triton's compiler is for Linux")
def test_it_compiles_for_a_hopper_gpu() -> None:
    interpreted = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    run = subprocess.run(
        [sys.executable, "-c", COMPILE], env=interpreted, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    sizes = [[int(number) for number in line.split()] for line in run.stdout.splitlines()]
    assert len(sizes) == 3
    assert all(machine_code > 1000 for machine_code, _ in sizes)
    assert all(shared <= HOPPER_SHARED_MEMORY for _, shared in sizes)
