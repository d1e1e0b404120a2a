"""Packed layers give what unpacked ones give, as nearly as their bits allow."""

import copy

import pytest
import torch
from torch import Tensor, nn

from janus.errors import UsageError
from janus.model.cache import Rows
from janus.model.loading import load_model, num_parameters
from janus.model.model import JanusModel
from janus.model.moe import MixtureOfExperts
from janus.model.packed import (
    BFloat16Linear,
    DynamicInt8Linear,
    Int4Linear,
    Int8Linear,
    NativeLinear,
    PackedLinear,
    pack,
)
from janus.model.quantized import (
    PackedExperts,
    RoundedExperts,
    pack_bfloat16,
    pack_quantized,
)
from janus.model.rounded import Rounded, Rounded4, Rounded8, round_matrix
from janus.model.transformer import Transformer
from tests.oracle import our_config, randomize, relative_error

# M rows, K inputs, N outputs, D width

# Largest error, of the largest output of random weights.
TOLERANCES: dict[type[PackedLinear], float] = {
    BFloat16Linear: 4e-3,
    DynamicInt8Linear: 1.5e-2,
    Int8Linear: 1e-2,
    Int4Linear: 0.12,
}
needs_vnni = pytest.mark.skipif(
    not torch.cpu._is_vnni_supported(), reason="sums of products are clipped without VNNI"
)
KINDS = [
    pytest.param(kind, marks=[needs_vnni] if kind is DynamicInt8Linear else [])
    for kind in TOLERANCES
]


def packed_as(
    kind: type[PackedLinear], weight_NK: Tensor, bias_N: Tensor | None = None
) -> PackedLinear:
    if kind is BFloat16Linear:
        return BFloat16Linear(weight_NK, bias_N)
    if kind is DynamicInt8Linear:
        return DynamicInt8Linear(Rounded8.of(weight_NK, bias_N))
    if kind is Int8Linear:
        return Int8Linear(Rounded8.of(weight_NK, bias_N), weight_NK.dtype)
    return Int4Linear(Rounded4.of(weight_NK, bias_N), weight_NK.dtype)


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_products(kind: type[PackedLinear], bias: bool, dtype: torch.dtype) -> None:
    weight_NK, bias_N = random(96, 128, dtype=dtype), random(96, seed=1, dtype=dtype)
    packed = packed_as(kind, weight_NK, bias_N if bias else None)
    for shape in [(1,), (2,), (40,), (2, 3)]:
        x = random(*shape, 128, seed=2, dtype=dtype)
        y = packed(x)
        wanted = x.double() @ weight_NK.double().mT + (bias_N.double() if bias else 0)
        assert (y.shape, y.dtype) == (wanted.shape, dtype)
        rounding = 0.0 if dtype == torch.float32 else 4e-3
        assert relative_error(y.double(), wanted) <= TOLERANCES[kind] + rounding


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_does_not_depend_on_the_others(kind: type[PackedLinear]) -> None:
    packed = packed_as(kind, random(1536, 512, dtype=torch.bfloat16))
    x_MK = random(80, 512, seed=2, dtype=torch.bfloat16)
    whole_MN = packed(x_MK)
    for start, stop in [(0, 2), (2, 5), (5, 16), (16, 32), (32, 80)]:
        assert torch.equal(packed(x_MK[start:stop]), whole_MN[start:stop])


@pytest.mark.parametrize("kind", KINDS)
def test_zeros_give_the_bias(kind: type[PackedLinear]) -> None:
    bias_N = random(32, seed=1)
    packed = packed_as(kind, random(32, 64), bias_N)
    y_MN = packed(torch.zeros(2, 64))
    # Through bfloat16, the bias is rounded too.
    assert relative_error(y_MN, bias_N.expand(2, -1)) <= TOLERANCES[BFloat16Linear]
    assert packed(torch.stack([torch.zeros(64), random(64)]))[1].isfinite().all()


@needs_vnni
def test_one_large_input_spoils_only_its_own_row() -> None:
    weight_NK = random(32, 64)
    packed = packed_as(DynamicInt8Linear, weight_NK)
    x_MK = random(3, 64, seed=2)
    x_MK[1, 5] = 1e4
    for row in (0, 2):
        wanted_N = weight_NK @ x_MK[row]
        assert relative_error(packed(x_MK)[row], wanted_N) <= TOLERANCES[DynamicInt8Linear]


def test_sixteen_levels_that_four_bits_can_have() -> None:
    """Equally far apart among the 256 of the largest weight: nothing is lost."""
    weight_NK = torch.arange(7.0, 128.0, 8.0).repeat(16, 8) / 32
    weight_NK[:, 64:] *= -1  # another group's levels
    assert torch.equal(Rounded4.of(weight_NK).restored(), weight_NK)
    assert relative_error(packed_as(Int4Linear, weight_NK)(torch.eye(128)), weight_NK.mT) <= 1e-6


@pytest.mark.parametrize("num_inputs", [128, 1216])
@pytest.mark.parametrize("bits", [Rounded8, Rounded4])
def test_rounding_is_to_the_nearest(bits: type[Rounded], num_inputs: int) -> None:
    """Each weight takes the nearest that there is in its row, or for its group of inputs."""
    weight_NK = random(48, num_inputs)
    weight_NK[0] = 0
    weight_NK[1, 5] = 40  # the levels of other groups are coarse there
    weight_NK[2, :64] = 1.5
    restored_NK = bits.of(weight_NK).restored()
    moved_NK = (restored_NK - weight_NK).abs()
    nearest_NK = (values_of(bits.of(weight_NK)) - weight_NK[..., None]).abs().amin(-1)
    assert (moved_NK <= nearest_NK + 1e-4 * weight_NK.abs().amax(1, keepdim=True)).all()
    assert torch.equal(restored_NK[0], weight_NK[0])
    assert relative_error(restored_NK[2, :64], weight_NK[2, :64]) <= 0.02  # half of a 127th of 4
    assert moved_NK[3:].square().mean().sqrt() <= (0.01 if bits is Rounded8 else 0.092)


def values_of(rounded: Rounded) -> Tensor:
    """All that each weight could be."""
    num_inputs = rounded.shape[1]
    if not isinstance(rounded, Rounded4):
        values_Nv = torch.arange(-127, 128) * rounded.weight_scale[:, None]
        return values_Nv[:, None].expand(-1, num_inputs, -1)
    values = []
    for whole in range(16):
        rounded.weight.fill_(17 * whole)
        values.append(rounded.restored())
    return torch.stack(values, dim=-1)


@pytest.mark.parametrize("bits", [Rounded8, Rounded4])
def test_shapes_of_what_is_not_there_yet(bits: type[Rounded]) -> None:
    """A file of a quantized model is read into them."""
    weight_NK = random(48, 1216)
    parts, shaped = bits.of(weight_NK).parts, bits.of(weight_NK.to("meta")).parts
    assert [(p.shape, p.dtype) for p in shaped] == [(p.shape, p.dtype) for p in parts]
    assert all(part.is_meta for part in shaped)


@pytest.mark.parametrize("bits", [Rounded8, Rounded4])
def test_rounded_matrices_are_joined_before_they_are_packed(bits: type[Rounded]) -> None:
    parts = [bits.of(random(n, 64, seed=n), random(n, seed=1)) for n in (16, 48)]
    joined, x_MK = pack(bits.join(parts), torch.float32), random(3, 64, seed=2)
    apart = torch.cat([pack(part, torch.float32)(x_MK) for part in parts], dim=-1)
    assert torch.equal(joined(x_MK), apart)


def test_four_bits_where_they_fit() -> None:
    """Rows of whole groups, and a number of them that the kernel can take; or eight bits."""
    fitting, odd_rows, odd_inputs = random(32, 128), random(40, 128), random(32, 96)
    four = pack(round_matrix(fitting, Rounded4), torch.float32)
    assert isinstance(four, Int4Linear | NativeLinear)
    eight = pack(round_matrix(odd_rows, Rounded4), torch.float32)
    assert isinstance(eight, DynamicInt8Linear | Int8Linear)
    assert relative_error(eight(torch.eye(128)), odd_rows.mT) <= TOLERANCES[Int4Linear]
    assert isinstance(round_matrix(odd_inputs, Rounded4), Rounded8)


@pytest.mark.parametrize("name", ["llama, grouped keys of a width of their own", "glm"])
def test_fused_attention_and_feed_forward(name: str) -> None:
    transformer = Transformer(our_config(name).transformer).requires_grad_(False)
    randomize(transformer)
    fused = copy.deepcopy(transformer)
    for module in list(fused.modules()):
        if hasattr(module, "fuse"):
            module.fuse()  # pyright: ignore[reportCallIssue]
    hidden_ND = random(9, transformer.config.hidden_size)
    rows = Rows.uniform(1, 9)
    assert fused.layers[0].self_attn.qkv_proj is not None
    assert relative_error(fused(hidden_ND, rows), transformer(hidden_ND, rows)) <= 1e-6


def build(name: str, dtype: torch.dtype = torch.float32) -> JanusModel:
    model = JanusModel(our_config(name))
    randomize(model)
    return model.to(dtype).eval().requires_grad_(False)


def logits(model: JanusModel) -> Tensor:
    hidden_ND = model.embed_text(torch.arange(5, 17)).to(model.dtype)
    states_ND = model(hidden_ND, Rows.uniform(2, 6))
    parts = model.text_logits(states_ND), model.image_logits(states_ND)
    return torch.cat([part.flatten() for part in parts]).float()


@pytest.mark.parametrize("name", ["llama", "deepseek, groups of experts", "glm"])
def test_what_is_quantized(name: str) -> None:
    """All matrices of the transformer but routers and latent attention's expansion; both heads."""
    model = build(name)
    count = num_parameters(model)
    packed = pack_quantized(model, "int8")
    assert packed.quantization == "int8"
    assert num_parameters(packed) == count
    for part in (packed.language_model, packed.generation_head, packed.lm_head):
        left = [key for key, module in part.named_modules() if isinstance(module, nn.Linear)]
        assert all(key.endswith("kv_b_proj") for key in left)
        assert any(isinstance(module, PackedLinear) for module in part.modules())


@pytest.mark.parametrize(("kind", "tolerance"), [("int8", 0.05), ("int4", 0.3)])
def test_logits_of_a_quantized_model(kind: str, tolerance: float) -> None:
    model = build("llama")
    wanted = logits(model)
    assert 0 < relative_error(logits(pack_quantized(model, kind)), wanted) <= tolerance


def test_quantized_experts() -> None:
    """With the choices of the router held fast: the least change may turn them."""
    model = build("deepseek, groups of experts")
    mixture = next(m for m in model.modules() if isinstance(m, MixtureOfExperts))
    hidden_ND = random(20, model.config.transformer.hidden_size)
    routing = mixture.gate(hidden_ND)
    wanted_ND = mixture.experts(hidden_ND, *routing)
    rounded = RoundedExperts(mixture.experts, Rounded8)
    packed = PackedExperts.of_rounded(rounded, hidden_ND.dtype)
    assert relative_error(packed(hidden_ND, *routing), wanted_ND) <= 0.03


@pytest.mark.parametrize("name", ["llama", "deepseek, groups of experts"])
def test_bfloat16_changes_no_weight(name: str) -> None:
    model = build(name, torch.bfloat16)
    weights, wanted = copy.deepcopy(model.state_dict()), logits(model)
    packed = pack_bfloat16(model)
    found = packed.state_dict()
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[key], weights[key]) for key in weights)
    assert relative_error(logits(packed), wanted) <= 3e-2
    assert packed.quantization is None


def test_float32_is_left_as_it_is() -> None:
    model = build("llama")
    assert not any(isinstance(m, PackedLinear) for m in pack_bfloat16(model).modules())


def test_what_cannot_be_quantized() -> None:
    with pytest.raises(UsageError, match="'int2'"):
        pack_quantized(build("llama"), "int2")
    with torch.device("meta"):
        elsewhere = JanusModel(our_config("llama"))
    with pytest.raises(UsageError, match="meta"):
        pack_quantized(elsewhere, "int8")
    with pytest.raises(UsageError, match="'int2'"):  # before anything is opened
        load_model("nowhere", device="cpu", quantize="int2")
