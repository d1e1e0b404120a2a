"""The packed vision encoder against double precision and the unpacked one, with and without AMX."""

# B pictures, N patches, K inputs, C outputs, D width, H heads, d width of a head

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from janus.model.loading import num_parameters
from janus.model.model import JanusModel
from janus.model.native import pictures
from janus.model.native.build import library
from janus.model.native.pictures import Kind, Step, Steps
from janus.model.packed_vision import PackedLayer, PackedLayers
from janus.model.quantized import pack_bfloat16, pack_quantized
from tests.oracle import our_config, randomize, relative_error
from vision.config import VisionConfig
from vision.encoder import EncoderLayers, VisionEncoder

pytestmark = pytest.mark.skipif(library() is None, reason="needs AVX-512 and a C compiler")

ROUNDING = 4e-3
# Patches that fill no square, or no half of one; several parts of a long sum.
SIZES = [(1, 5, 64), (2, 49, 1088), (3, 64, 32)]
CONFIG = VisionConfig(
    hidden_size=128, num_hidden_layers=2, num_attention_heads=4, image_size=112, projection_dim=64
)


@pytest.fixture(params=["tiles", "registers"], autouse=True)
def instructions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "registers":
        monkeypatch.setattr(pictures, "has_tiles", lambda: False)
    elif not pictures.has_tiles():
        pytest.skip("needs AMX")


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).bfloat16()


def norm(weight_D: Tensor, bias_D: Tensor) -> Step:
    width = len(weight_D)
    return Step(Kind.NORM, 0, 1, width, width, weight_D, bias_D, epsilon=1e-6)


def test_packing_can_be_undone() -> None:
    weight_CK = random(96, 64)
    assert torch.equal(pictures.unpack(pictures.pack(weight_CK)), weight_CK)


@pytest.mark.parametrize(("num_pictures", "num_rows", "width"), SIZES)
def test_norms(num_pictures: int, num_rows: int, width: int) -> None:
    x_BND, weight_D, bias_D = random(num_pictures, num_rows, width), random(width), random(width)
    found_BND = Steps([norm(weight_D, bias_D)]).run(x_BND)
    wanted_BND = F.layer_norm(x_BND.double(), (width,), weight_D.double(), bias_D.double(), 1e-6)
    assert relative_error(found_BND.double(), wanted_BND) < ROUNDING
    assert not found_BND.is_inference()  # what follows may be recorded for gradients


@pytest.mark.parametrize("num_threads", [1, 3])
@pytest.mark.parametrize("kind", [Kind.PRODUCT, Kind.GELU, Kind.SUM])
@pytest.mark.parametrize(("num_pictures", "num_rows", "width"), SIZES)
def test_products(
    num_pictures: int,
    num_rows: int,
    width: int,
    kind: Kind,
    num_threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Into a buffer of its own, or added to what is there."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: num_threads)
    outputs = width if kind is Kind.SUM else 352
    weight_CK, bias_C = random(outputs, width, seed=1), random(outputs, seed=2)
    x_BND = random(num_pictures, num_rows, width)
    first = norm(torch.ones_like(x_BND[0, 0]), torch.zeros_like(x_BND[0, 0]))
    target = 0 if kind is Kind.SUM else 2
    packed = pictures.pack(weight_CK)
    product = Step(kind, 1, target, width, outputs, packed, bias_C)
    found_BNC = Steps([first, product]).run(x_BND).double()
    wanted_BNC = Steps([first]).run(x_BND).double() @ weight_CK.double().mT + bias_C.double()
    if kind is Kind.SUM:
        wanted_BNC += x_BND.double()
    if kind is Kind.GELU:
        wanted_BNC = F.gelu(wanted_BNC)
    assert relative_error(found_BNC, wanted_BNC) < ROUNDING


def attention(qkv_BND: Tensor, num_heads: int) -> Tensor:
    width = qkv_BND.shape[-1]
    step = Step(Kind.ATTENTION, 0, 1, width, width // 3, heads=num_heads)
    return Steps([step]).run(qkv_BND).double()


@pytest.mark.parametrize("head_width", [32, 64, 96])
@pytest.mark.parametrize("num_patches", [1, 31, 49, 64])
def test_attention(num_patches: int, head_width: int) -> None:
    qkv_BND = 2 * random(2, num_patches, 3 * 2 * head_width)
    q, k, v = qkv_BND.double().unflatten(2, (3, 2, -1)).permute(2, 0, 3, 1, 4)
    wanted_BND = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    assert relative_error(attention(qkv_BND, 2), wanted_BND) < 2 * ROUNDING


def test_scores_far_apart() -> None:
    """One patch outweighs the rest by more than any float holds, all scores are below zero."""
    qkv_BND = random(1, 40, 96)
    qkv_BND[..., :32], qkv_BND[..., 32:64] = 300, -300
    qkv_BND[0, 7, 32:64] = -100
    wanted_BND = qkv_BND[:, 7:8, 64:].double().expand(-1, 40, -1)
    assert torch.equal(attention(qkv_BND, 1), wanted_BND)


@torch.inference_mode()
def test_layers_and_their_pictures() -> None:
    """Nearer to double precision than torch's kernels; a picture does not see its neighbours."""
    layers = EncoderLayers(CONFIG).bfloat16()
    randomize(layers)
    hidden_BND, weights = random(3, 49, 128), layers.state_dict()
    wanted_BND = copy.deepcopy(layers).double()(hidden_BND.double())
    packed = PackedLayers(copy.deepcopy(layers))
    found_BND = packed(hidden_BND)
    assert relative_error(found_BND.double(), wanted_BND) < 2e-2
    theirs = relative_error(layers(hidden_BND).double(), wanted_BND)
    assert relative_error(found_BND.double(), wanted_BND) < 1.1 * theirs
    for i in range(3):
        assert torch.equal(packed(hidden_BND[i : i + 1]), found_BND[i : i + 1])
    assert packed.state_dict().keys() == weights.keys()
    assert all(torch.equal(packed.state_dict()[key], x) for key, x in weights.items())


@torch.inference_mode()
@pytest.mark.parametrize("num_threads", [1, 3, 16])
def test_threads(num_threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same to the bit, however the work is shared."""
    layers = EncoderLayers(CONFIG).bfloat16()
    randomize(layers)
    packed = PackedLayers(copy.deepcopy(layers))
    hidden_BND = random(2, 150, 128)
    wanted_BND = packed(hidden_BND)
    monkeypatch.setattr(torch, "get_num_threads", lambda: num_threads)
    assert torch.equal(packed(hidden_BND), wanted_BND)


def janus() -> JanusModel:
    model = JanusModel(our_config("llama"))
    model.vision_model = VisionEncoder(CONFIG)
    randomize(model)
    return model.bfloat16().eval().requires_grad_(False)


def packed_layers(model: JanusModel) -> int:
    return sum(isinstance(module, PackedLayer) for module in model.modules())


@torch.inference_mode()
def test_models() -> None:
    """One in bfloat16 at once, a quantized one before its first picture; no weight is lost."""
    model, pixels_B3SS = janus(), random(2, 3, 112, 112)
    wanted, count, weights = model.vision_model(pixels_B3SS), num_parameters(model), {}
    weights = {key: x.clone() for key, x in model.state_dict().items()}
    rounded = pack_quantized(copy.deepcopy(model), "int8")
    assert packed_layers(rounded) == 0
    packed = pack_bfloat16(model)
    for each in (packed, rounded):
        found = each.vision_model(pixels_B3SS)
        assert relative_error(found.float(), wanted.float()) < 3e-2
        assert torch.equal(each.vision_model(pixels_B3SS[1:]), found[1:])
        assert (packed_layers(each), num_parameters(each)) == (2, count)
    saved = packed.state_dict()
    assert saved.keys() == weights.keys()
    assert all(torch.equal(saved[key], x) for key, x in weights.items())


def test_without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "library", lambda: None)
    assert packed_layers(pack_bfloat16(janus())) == 0


def test_other_widths_and_types() -> None:
    assert pictures.suits(128, 96, 32)
    assert not pictures.suits(128, 96, 48)
    assert packed_layers(pack_bfloat16(janus().float())) == 0
