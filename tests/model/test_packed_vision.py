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
from janus.model.packed_vision import PackedEncoderLayer
from janus.model.quantized import pack_bfloat16, pack_quantized
from tests.oracle import our_config, randomize, relative_error
from vision.config import VisionConfig
from vision.encoder import EncoderLayer, VisionEncoder

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


def rows(squares: Tensor, num_rows: int) -> Tensor:
    return squares.transpose(2, 3).flatten(1, 2).flatten(2)[:, :num_rows].double()


def test_packing_can_be_undone() -> None:
    weight_CK = random(96, 64)
    assert torch.equal(pictures.unpack(pictures.pack(weight_CK)), weight_CK)


@pytest.mark.parametrize(("num_pictures", "num_rows", "width"), SIZES)
def test_norms(num_pictures: int, num_rows: int, width: int) -> None:
    x_BND, weight_D, bias_D = random(num_pictures, num_rows, width), random(width), random(width)
    found = pictures.normalize(x_BND, weight_D, bias_D, 1e-6)
    wanted_BND = F.layer_norm(x_BND.double(), (width,), weight_D.double(), bias_D.double(), 1e-6)
    assert relative_error(rows(found, num_rows), wanted_BND) < ROUNDING
    assert not rows(found, 64)[:, num_rows:].any()


@pytest.mark.parametrize(("num_pictures", "num_rows", "width"), SIZES)
def test_products(num_pictures: int, num_rows: int, width: int) -> None:
    one = torch.ones(width, dtype=torch.bfloat16)
    squares = pictures.normalize(random(num_pictures, num_rows, width), one, one, 1e-6)
    weight_CK, bias_C, residual_BNC = (
        random(352, width, seed=1),
        random(352, seed=2),
        random(num_pictures, num_rows, 352, seed=3),
    )
    given = squares, pictures.pack(weight_CK), bias_C, num_rows
    wanted_BNC = rows(squares, num_rows) @ weight_CK.double().mT + bias_C.double()
    assert relative_error(pictures.multiply(*given).double(), wanted_BNC) < ROUNDING
    added_BNC = pictures.multiply(*given, residual_BNC=residual_BNC).double()
    assert relative_error(added_BNC, wanted_BNC + residual_BNC.double()) < ROUNDING
    gelu_BNC = rows(pictures.multiply_gelu(*given), num_rows)
    assert relative_error(gelu_BNC, F.gelu(wanted_BNC)) < ROUNDING


@pytest.mark.parametrize("head_width", [32, 64, 96])
@pytest.mark.parametrize("num_patches", [1, 31, 49, 64])
def test_attention(num_patches: int, head_width: int) -> None:
    qkv_BND = 2 * random(2, num_patches, 3 * 2 * head_width)
    found_BND = rows(pictures.attend(qkv_BND, 2), num_patches)
    q, k, v = qkv_BND.double().unflatten(2, (3, 2, -1)).permute(2, 0, 3, 1, 4)
    wanted_BND = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    assert relative_error(found_BND, wanted_BND) < 2 * ROUNDING


def test_scores_far_apart() -> None:
    """One patch outweighs the rest by more than any float holds, all scores are below zero."""
    qkv_BND = random(1, 40, 96)
    qkv_BND[..., :32], qkv_BND[..., 32:64] = 300, -300
    qkv_BND[0, 7, 32:64] = -100
    found_BND = rows(pictures.attend(qkv_BND, 1), 40)
    assert torch.equal(found_BND, qkv_BND[:, 7:8, 64:].double().expand(-1, 40, -1))


@torch.inference_mode()
def test_a_layer_and_its_pictures() -> None:
    """Nearer to single precision than torch's kernels; a picture does not see its neighbours."""
    layer = EncoderLayer(CONFIG).bfloat16()
    randomize(layer)
    hidden_BND = random(3, 49, 128)
    packed, whole = PackedEncoderLayer(layer), copy.deepcopy(layer).double()
    found_BND, wanted_BND = packed(hidden_BND), whole(hidden_BND.double())
    assert relative_error(found_BND.double(), wanted_BND) < 2e-2
    theirs = relative_error(layer(hidden_BND).double(), wanted_BND)
    assert relative_error(found_BND.double(), wanted_BND) < 1.1 * theirs
    for i in range(3):
        assert torch.equal(packed(hidden_BND[i : i + 1]), found_BND[i : i + 1])
    assert packed.state_dict().keys() == layer.state_dict().keys()
    assert all(torch.equal(packed.state_dict()[key], x) for key, x in layer.state_dict().items())


def janus() -> JanusModel:
    model = JanusModel(our_config("llama"))
    model.vision_model = VisionEncoder(CONFIG)
    randomize(model)
    return model.bfloat16().eval().requires_grad_(False)


def packed_layers(model: JanusModel) -> int:
    return sum(isinstance(module, PackedEncoderLayer) for module in model.modules())


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
