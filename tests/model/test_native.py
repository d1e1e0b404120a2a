"""Our own kernels against arithmetic in double precision, and what happens without them."""

# M rows, K inputs, N outputs, R rows, T new tokens of each, H heads, K key heads, S slots,
# L positions, d width of a value, x of a key

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from janus.config import LatentAttentionConfig, TransformerConfig
from janus.generation import sampling
from janus.model.attention import slot_kernel
from janus.model.cache import Rows
from janus.model.native import build, elementwise, noise, products, whole
from janus.model.native.attention import (
    MOST_NEW,
    attend_prompts,
    attend_slots,
    suits,
    suits_prompts,
)
from janus.model.native.build import library
from janus.model.native.elementwise import suits as suits_elementwise
from janus.model.norm import RMSNorm
from janus.model.packed import Int4Linear, NativeLinear, pack
from janus.model.rounded import SPAN, Rounded, Rounded4, Rounded8
from janus.model.transformer import Transformer
from tests.oracle import randomize, relative_error

needs_kernels = pytest.mark.skipif(library() is None, reason="needs AVX-512 and a C compiler")

SLOTS, LENGTH = torch.tensor([3, 0, 4]), 150


@pytest.fixture(scope="module", autouse=True)
def _shared_by_two_threads() -> Iterator[None]:
    """Whatever the other tests have: each takes its part of the work."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def without_kernels() -> Iterator[None]:
    """As on a machine that cannot build them; set up again by the next call of `library`."""
    library.cache_clear()
    slot_kernel.cache_clear()
    yield
    library.cache_clear()
    slot_kernel.cache_clear()


TOLERANCES = {torch.float32: 1e-6, torch.bfloat16: 4e-3}


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def in_eight_bits(x_MK: Tensor, span: int) -> Tensor:
    spans = x_MK.float().split(span, dim=1)
    scales = [x.abs().amax(dim=1, keepdim=True) / 127 for x in spans]
    pairs = zip(spans, scales, strict=True)
    return torch.cat([(x / scale).round() * scale for x, scale in pairs], dim=1).double()


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("bits", "span"), [(Rounded4, SPAN), (Rounded8, 1216)])
def test_products_of_rounded_numbers(bits: type[Rounded], span: int, dtype: torch.dtype) -> None:
    """Nothing is lost but what both sides' rounding takes; tiles of all sizes, an odd block."""
    rounded = bits.of(random(80, 1216, dtype=dtype))
    packed = pack(rounded, dtype)
    assert isinstance(packed, NativeLinear)
    for num_rows in (1, 2, 3, 4, 7, 8, 15, 33):
        x_MK = random(num_rows, 1216, seed=2, dtype=dtype)
        x_MK[:, 1000] *= 20  # its span's inputs are rounded to larger steps, no others
        wanted_MN = in_eight_bits(x_MK, span) @ rounded.restored().double().mT
        error = relative_error(packed(x_MK).double(), wanted_MN)
        assert error < TOLERANCES[dtype]


@needs_kernels
def test_the_largest_sums_are_exact() -> None:
    """All weights and inputs of a span at their ends, where float32 has no digit to spare."""
    rounded = Rounded4.of(random(16, SPAN))
    rounded.weight.fill_(255)
    rounded.weight_levels[..., 0], rounded.weight_levels[..., 1] = 17, -128
    rounded.weight_scale.fill_(1.0)
    packed = pack(rounded, torch.float32)
    x_MK = torch.full((40, SPAN), 127.0)
    x_MK[:, 0] = torch.arange(40.0) - 127
    wanted_MN = x_MK @ rounded.restored().mT
    assert torch.equal(packed(x_MK), wanted_MN)
    assert torch.equal(packed(x_MK[:2]), wanted_MN[:2])


def packed_in(bits: int, *shape: int) -> NativeLinear:
    weight_NK = random(*shape)
    if bits == 16:
        return NativeLinear.of_bfloat16(weight_NK)
    return NativeLinear.of((Rounded4 if bits == 4 else Rounded8).of(weight_NK))


@pytest.fixture
def without_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "has_tiles", lambda: False)


@needs_kernels
@pytest.mark.parametrize("tiles", [True, False])
def test_products_of_bfloat16(tiles: bool, request: pytest.FixtureRequest) -> None:
    """In float32 sums, whichever instructions do it; an odd block, rows that fill no tile."""
    if not tiles:
        request.getfixturevalue("without_tiles")
    weight_NK, bias_N = random(80, 192, dtype=torch.bfloat16), random(80, seed=1)
    packed = NativeLinear.of_bfloat16(weight_NK, bias_N)
    for num_rows in (1, 2, 15, 16, 17, 32, 33, 71):
        x_MK = random(num_rows, 192, seed=2, dtype=torch.bfloat16)
        wanted_MN = x_MK.double() @ weight_NK.double().mT + bias_N.bfloat16().double()
        assert relative_error(packed(x_MK).double(), wanted_MN) < 4e-3
    assert torch.equal(packed.state_dict()["weight"], weight_NK)


@needs_kernels
@pytest.mark.parametrize("bits", [4, 8, 16])
def test_a_row_of_products_does_not_depend_on_the_others(bits: int) -> None:
    packed = packed_in(bits, 96, 1024)
    x_MK = random(620, 1024, seed=2, dtype=torch.bfloat16)
    whole_MN = packed(x_MK)
    for start, stop in [(0, 1), (1, 3), (3, 8), (8, 24), (24, 41), (41, 90), (90, 620)]:
        assert torch.equal(packed(x_MK[start:stop]), whole_MN[start:stop])


@needs_kernels
@pytest.mark.skipif(not products.has_tiles(), reason="needs AMX")
@pytest.mark.parametrize("bits", [4, 8])
def test_tiles_multiply_whole_numbers_alike(bits: int, request: pytest.FixtureRequest) -> None:
    packed, x_MK = packed_in(bits, 80, 1216), random(75, 1216, seed=2, dtype=torch.bfloat16)
    in_tiles_MN = packed(x_MK)
    request.getfixturevalue("without_tiles")
    assert torch.equal(in_tiles_MN, packed(x_MK))


@needs_kernels
@pytest.mark.parametrize("bits", [Rounded4, Rounded8])
def test_extreme_inputs(bits: type[Rounded]) -> None:
    """Zeros give the bias; an enormous number spoils only its row; strided rows are read right."""
    weight_NK, bias_N = random(32, 128), random(32, seed=1)
    packed = pack(bits.of(weight_NK, bias_N), torch.float32)
    x_MK = random(6, 128, seed=2)
    x_MK[0], x_MK[1, 5] = 0, 1e30
    y_MN = packed(x_MK)
    assert torch.equal(y_MN[0], bias_N)
    assert y_MN.isfinite().all()
    assert torch.equal(packed(x_MK[::2]), y_MN[::2])
    assert torch.equal(packed(x_MK.mT.contiguous().mT), y_MN)


def attended(q_RTHx: Tensor, k_SKLx: Tensor, v_SKLd: Tensor, ends: Tensor, scale: float) -> Tensor:
    group, num_new = q_RTHx.shape[2] // k_SKLx.shape[1], q_RTHx.shape[1]
    k_RHLx, v_RHLd = (x.double()[SLOTS].repeat_interleave(group, 1) for x in (k_SKLx, v_SKLd))
    score_RTHL = torch.einsum("RTHx,RHLx->RTHL", q_RTHx.double(), k_RHLx) * scale
    last_seen_RT = ends[:, None] - num_new + torch.arange(num_new)
    unseen_RTL = torch.arange(LENGTH) > last_seen_RT[..., None]
    score_RTHL = score_RTHL.masked_fill(unseen_RTL[:, :, None], float("-inf"))
    return torch.einsum("RTHL,RHLd->RTHd", score_RTHL.softmax(-1), v_RHLd)


@needs_kernels
@pytest.mark.parametrize(
    ("key_heads", "group", "num_new", "width", "extra"),
    [(2, 1, 1, 64, 0), (2, 3, 4, 32, 0), (4, 1, 8, 128, 0), (1, 4, 5, 80, 16), (1, 5, 7, 512, 64)],
)
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_attention(
    key_heads: int, group: int, num_new: int, width: int, extra: int, dtype: torch.dtype
) -> None:
    k_SKLx = random(5, key_heads, LENGTH, width + extra, dtype=dtype)
    v_SKLd = random(5, key_heads, LENGTH, width, seed=1, dtype=dtype)
    v_SKLd = k_SKLx[..., :width] if extra else v_SKLd
    q_RTHx = random(3, num_new, key_heads * group, width + extra, seed=2, dtype=dtype)
    ends_R, scale = torch.tensor([LENGTH, 100, num_new]), 0.2
    assert suits(num_new, group, width + extra, width)
    found_RTHd = attend_slots(q_RTHx, k_SKLx, v_SKLd, SLOTS, ends_R, scale)
    wanted_RTHd = attended(q_RTHx, k_SKLx, v_SKLd, ends_R, scale)
    assert relative_error(found_RTHd.double(), wanted_RTHd) < TOLERANCES[dtype]
    one = attend_slots(q_RTHx[1:2, -1:], k_SKLx, v_SKLd, SLOTS[1:2], ends_R[1:2], scale)
    assert torch.equal(one, found_RTHd[1:2, -1:])  # alone, and without a window


@needs_kernels
@pytest.mark.skipif(not products.has_tiles(), reason="needs AMX")
@pytest.mark.parametrize(
    ("key_heads", "group", "num_new", "width"), [(2, 1, 9, 64), (2, 3, 32, 32), (3, 2, 71, 128)]
)
def test_attention_of_prompts(key_heads: int, group: int, num_new: int, width: int) -> None:
    """Rows of different lengths, one of them new, in places that hold more than they see."""
    k_SKLd, v_SKLd = (
        random(5, key_heads, LENGTH, width, seed=seed, dtype=torch.bfloat16) for seed in (0, 1)
    )
    q_RTHd = random(3, num_new, key_heads * group, width, seed=2, dtype=torch.bfloat16)
    ends_R, scale = torch.tensor([LENGTH, 100, num_new]), 0.2
    assert suits_prompts(q_RTHd, k_SKLd, v_SKLd)
    found_RTHd = attend_prompts(q_RTHd, k_SKLd, v_SKLd, SLOTS, ends_R, scale)
    wanted_RTHd = attended(q_RTHd, k_SKLd, v_SKLd, ends_R, scale)
    assert relative_error(found_RTHd.double(), wanted_RTHd) < TOLERANCES[torch.bfloat16]
    one = attend_prompts(q_RTHd[1:2], k_SKLd, v_SKLd, SLOTS[1:2], ends_R[1:2], scale)
    assert torch.equal(one, found_RTHd[1:2])


@needs_kernels
@pytest.mark.skipif(not products.has_tiles(), reason="needs AMX")
@pytest.mark.parametrize("num_new", [9, 40])
def test_a_spoilt_row_of_prompts_spoils_no_other(num_new: int) -> None:
    k_SKLd, v_SKLd, q_RTHd = (
        random(*shape, 64, seed=seed, dtype=torch.bfloat16)
        for seed, shape in enumerate([(5, 1, LENGTH), (5, 1, LENGTH), (3, num_new, 1)])
    )
    k_SKLd[SLOTS[0]] = v_SKLd[SLOTS[0]] = torch.nan
    ends_R = torch.tensor([LENGTH, 96, 64])
    found_RTHd = attend_prompts(q_RTHd, k_SKLd, v_SKLd, SLOTS, ends_R, 0.2)
    wanted_RTHd = attended(q_RTHd, k_SKLd, v_SKLd, ends_R, 0.2)
    assert found_RTHd[0].isnan().all()
    error = relative_error(found_RTHd[1:].double(), wanted_RTHd[1:])
    assert error < TOLERANCES[torch.bfloat16]


@needs_kernels
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(
    ("num_heads", "num_inputs", "num_outputs"), [(1, 256, 8), (4, 32, 64), (3, 70, 147)]
)
def test_whole_products(
    num_heads: int, num_inputs: int, num_outputs: int, dtype: torch.dtype
) -> None:
    """Of weights that lie apart, and each row as alone."""
    x_NHK = random(11, num_heads, 2 * num_inputs, dtype=dtype)[..., :num_inputs]
    w_HKM = random(num_heads, 2 * num_inputs, num_outputs, seed=1, dtype=dtype)[:, :num_inputs]
    found_NHM = whole.multiply(x_NHK, w_HKM)
    wanted_NHM = torch.einsum("NHK,HKM->NHM", x_NHK.double(), w_HKM.double())
    assert relative_error(found_NHM.double(), wanted_NHM) < TOLERANCES[dtype]
    for i in range(11):
        assert torch.equal(whole.multiply(x_NHK[i : i + 1], w_HKM), found_NHM[i : i + 1])
    other_NHM = whole.multiply(x_NHK.contiguous(), w_HKM.mT.contiguous().mT)
    assert torch.equal(other_NHM, found_NHM)


@needs_kernels
@pytest.mark.parametrize("bits", [4, 8, 16])
def test_several_matrices_in_one_call(bits: int) -> None:
    layers = [packed_in(bits, 96, 128) for _ in range(4)]
    x_MK, counts = random(23, 128, dtype=torch.bfloat16), [7, 0, 15, 1]
    found_MN = NativeLinear.multiply_each(layers, x_MK, counts)
    pieces = zip(layers, x_MK.split(counts), strict=True)
    assert torch.equal(found_MN, torch.cat([layer(piece) for layer, piece in pieces]))


@needs_kernels
def test_scores_far_apart() -> None:
    """One position outweighs the rest by more than any float holds, and nothing overflows."""
    k_SKLd = torch.zeros(1, 1, 40, 32, dtype=torch.bfloat16)
    k_SKLd[0, 0, 7], k_SKLd[0, 0, 20] = 300.0, -300.0
    v_SKLd = random(1, 1, 40, 32, dtype=torch.bfloat16)
    q_RTHd = torch.full((1, 1, 1, 32), 300.0, dtype=torch.bfloat16)
    out = attend_slots(q_RTHd, k_SKLd, v_SKLd, torch.tensor([0]), torch.tensor([40]), 1.0)
    assert torch.equal(out[0, 0, 0], v_SKLd[0, 0, 7])


def test_shapes_of_attention() -> None:
    assert suits(MOST_NEW, 7, 96, 80)
    assert not suits(MOST_NEW + 1, 1, 64, 64)
    assert not suits(1, 1, 48, 48)
    assert not suits(1, 1, 64, 40)


GROUPED = TransformerConfig(
    vocab_size=8,
    hidden_size=64,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=32,
)
LATENT = replace(
    GROUPED,
    num_key_value_heads=4,
    latent_attention=LatentAttentionConfig(
        kv_lora_rank=32, qk_nope_head_dim=16, qk_rope_head_dim=32, v_head_dim=16
    ),
)


@needs_kernels
@pytest.mark.parametrize("config", [GROUPED, LATENT], ids=["grouped", "latent"])
@torch.inference_mode()
def test_a_transformer_attends_with_it(
    config: TransformerConfig, monkeypatch: pytest.MonkeyPatch, without_kernels: None
) -> None:
    """And gives what it gives without, as nearly as bfloat16 allows."""
    transformer, width = Transformer(config).bfloat16(), config.hidden_size
    randomize(transformer)

    def run() -> Tensor:
        cache = transformer.new_cache(2, 64)
        prompt_ND = random(2 * 9, width, dtype=torch.bfloat16)
        transformer(prompt_ND, Rows((9, 9), (0, 0), (0, 1)), cache)
        new_ND = random(2 * 3, width, seed=1, dtype=torch.bfloat16)
        return transformer(new_ND, Rows((3, 3), (9, 9), (0, 1)), cache)

    calls: list[Tensor] = []
    monkeypatch.setattr(
        "janus.model.native.attention.attend_slots",
        lambda *tensors: calls.append(tensors[0]) or attend_slots(*tensors),
    )
    with_it = run()
    assert len(calls) == transformer.config.num_hidden_layers
    monkeypatch.setenv("JANUS_NATIVE", "0")
    library.cache_clear()
    slot_kernel.cache_clear()
    assert relative_error(with_it.float(), run().float()) < 3e-2
    assert len(calls) == transformer.config.num_hidden_layers


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_number_by_number(dtype: torch.dtype) -> None:
    """As in double precision, rounded once; for one row and for so many that threads share them."""
    for num_rows in (1, 300):
        x_ND = 8 * random(num_rows, 128, dtype=dtype)
        weight_D = random(128, seed=1, dtype=dtype)
        x, weight = x_ND.double(), weight_D.double()
        root = (x.square().mean(dim=-1, keepdim=True) + 1e-6).sqrt()
        assert suits_elementwise(x_ND, weight_D, width=128)
        assert is_rounded(elementwise.normalize(x_ND, weight_D, 1e-6), x / root * weight)
        first, second = x.chunk(2, dim=-1)
        assert is_rounded(elementwise.gate(x_ND), first * first.sigmoid() * second)
        # The queries of a product that also gives keys.
        x_NHe = x_ND.unflatten(1, (4, 32))[:, 1:]
        cosine, sine = random(2, num_rows, 1, 32, seed=3, dtype=dtype)
        turned = x_NHe.double() * cosine.double() + x_NHe.double().roll(16, -1) * sine.double()
        assert is_rounded(elementwise.rotate(x_NHe, cosine, sine), turned)


def is_rounded(found: Tensor, wanted: Tensor) -> bool:
    step = max(torch.finfo(found.dtype).eps, 1e-6)  # of the exponential in float32
    return torch.allclose(found.double(), wanted, rtol=step, atol=4 * step)


@needs_kernels
def test_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch makes of the same seeds and steps, to the bit."""
    seeds_R, steps_R = torch.tensor([0, 7, 2**62 + 5]), torch.tensor([0, 575, 3])
    found_RK = sampling.gumbel_noise(seeds_R, steps_R, 16384)
    assert noise.suits(seeds_R, 16384)
    monkeypatch.setattr(noise, "suits", lambda *_: False)
    assert torch.equal(found_RK, sampling.gumbel_noise(seeds_R, steps_R, 16384))


def test_gradients_pass_through_torch() -> None:
    norm = RMSNorm(64)
    norm(random(2, 64)).sum().backward()
    assert norm.weight.grad is not None


def no_compiler(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")


def broken_compiler(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("CC", "false")


def no_room(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "file").touch()
    monkeypatch.setattr(build, "user_cache_path", lambda *_, **__: folder / "file")


@pytest.mark.parametrize("break_it", [no_compiler, broken_compiler, no_room])
def test_torchs_kernels_take_their_place(
    break_it: Callable[[pytest.MonkeyPatch, Path], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    without_kernels: None,
) -> None:
    break_it(monkeypatch, tmp_path)
    assert library() is None
    assert isinstance(pack(Rounded4.of(random(32, 64)), torch.float32), Int4Linear)
    assert slot_kernel("cpu", torch.bfloat16) is None


@needs_kernels
def test_what_was_built_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, without_kernels: None
) -> None:
    monkeypatch.setattr(build, "user_cache_path", lambda *_, **__: tmp_path)
    assert library() is not None
    (built,) = tmp_path.iterdir()
    made = built.stat().st_mtime_ns
    library.cache_clear()
    assert library() is not None
    assert built.stat().st_mtime_ns == made
