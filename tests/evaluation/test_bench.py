"""`janus bench` counts right, times what it says, and leaves the model as it was."""

import time
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from janus.config import JanusConfig, TransformerConfig
from janus.errors import UsageError
from janus.evaluation import bench
from janus.evaluation.bench_peer import Transformers
from janus.evaluation.bench_report import measure
from janus.evaluation.random_model import SIZES, random_model, size_named
from janus.model.loading import num_parameters
from janus.model.model import JanusModel
from janus.model.packed import PackedLinear
from tests.oracle import randomize
from vision.config import CodebookConfig, VisionConfig
from weights import catalog

WIDTH = 64
CONFIG = JanusConfig(
    transformer=TransformerConfig(
        vocab_size=80,
        hidden_size=WIDTH,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=16,
        max_position_embeddings=1024,
    ),
    vision=VisionConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=64,
        patch_size=4,
        projection_dim=WIDTH,
    ),
    codebook=CodebookConfig(
        num_embeddings=64,
        embed_dim=4,
        latent_channels=8,
        base_channels=32,
        channel_multiplier=(1, 1, 1),
        num_res_blocks=1,
        projection_dim=WIDTH,
        image_token_embed_dim=WIDTH,
    ),
    image_token_id=79,
)


@pytest.fixture(scope="module")
def model() -> JanusModel:
    return random_model(CONFIG, dtype=torch.float32)


def test_bytes_of_a_pass(model: JanusModel) -> None:
    """What codes pass on both sides of the transformer and in it, keys and values of 300 tokens."""
    matrices = 2 * (4 * WIDTH * WIDTH + 3 * WIDTH * 128 + 2 * WIDTH)
    head = WIDTH * WIDTH + WIDTH + 64 * WIDTH + 64
    aligner = 4 * WIDTH + WIDTH + WIDTH * WIDTH + WIDTH
    kept = 2 * 300 * 2 * 2 * WIDTH
    assert bench.bytes_per_pass(model) == 4 * (matrices + head + aligner + kept)
    assert bench.bytes_per_pass(model, pictures=3) == 4 * (matrices + head + aligner + 3 * kept)


def test_fewer_bits_are_fewer_bytes() -> None:
    sizes = [
        bench.bytes_per_pass(random_model(CONFIG, quantize=kind)) for kind in (None, "int8", "int4")
    ]
    assert sizes[0] > sizes[1] > sizes[2]


def test_a_pass_takes_as_long_as_it_takes(model: JanusModel) -> None:
    hook = model.language_model.register_forward_hook(lambda *_: time.sleep(0.05))
    times = list(bench.time_drawing(model, steps=3))
    first_word = bench.time_first_word(model)
    hook.remove()
    assert len(times) == 3
    assert all(50 <= each < 500 for each in [*times, first_word])


def test_steps_lie_around_one_position(model: JanusModel) -> None:
    positions: list[int] = []
    hook = model.language_model.register_forward_pre_hook(
        lambda _, inputs: positions.extend(inputs[1].starts)
    )
    list(bench.time_drawing(model, steps=20, window=4))
    hook.remove()
    assert positions[0] == 0
    assert min(positions[4:]) < bench.POSITION < max(positions)


def test_as_many_passes_as_asked_however_soon_a_picture_is_done(model: JanusModel) -> None:
    widths: list[int] = []
    hook = model.language_model.register_forward_pre_hook(
        lambda _, inputs: widths.append(inputs[1].counts[0])
    )
    times = list(bench.time_drawing(model, steps=8, window=100))
    hook.remove()
    assert len(times) == 8
    assert widths.count(100) >= 8
    with pytest.raises(UsageError, match=r"256 ids .* windows of 255"):
        list(bench.time_drawing(model, steps=1, window=255))


def test_the_same_weights_in_transformers() -> None:
    model = random_model(CONFIG, dtype=torch.float32)
    randomize(model)
    theirs = Transformers(model)
    assert theirs.likeliest(12) == bench.likeliest(model, 12)
    assert len(set(theirs.likeliest(12))) > 1
    assert len(list(theirs.time_drawing(5))) == 5
    assert theirs.likeliest(12) == bench.likeliest(model, 12)  # the size of a picture is restored


class Peer:
    """Another engine that takes its time."""

    name = "transformers"

    def time_drawing(self, steps: int) -> list[float]:
        return [5.0] * steps

    def see(self, pixels_B3SS: Tensor) -> None:
        time.sleep(0.05)

    def draw_pixels(self, ids_BI: Tensor) -> None:
        time.sleep(0.05)


def test_the_report(model: JanusModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "BANDWIDTH_BYTES", 2**24)
    parts: list[str] = []
    figures: dict[str, Any] = measure(
        model,
        steps=3,
        pictures=[2],
        windows=[4],
        against=Peer(),
        on_part=parts.append,
    )
    step = figures["ours.ms_per_image_token"]
    assert figures["transformers.ms_per_image_token"] == 5.0
    assert figures["ratio"] == pytest.approx(5.0 / step)
    for part in ("see", "decode"):
        ours, theirs = figures[f"ours.{part}_ms"], figures[f"transformers.{part}_ms"]
        assert theirs >= 50
        assert figures[f"ratio.{part}"] == pytest.approx(theirs / ours)
    share = figures["bandwidth.bytes_per_step"] / (step * 1e-3) / figures["bandwidth.measured"]
    assert figures["bandwidth.share"] == pytest.approx(share * 1e-9)
    assert figures["pictures.2.per_second"] > 0
    assert figures["window.4.cost"] == pytest.approx(figures["window.4.ms_per_pass"] / step)
    assert "windows of 4" in parts


@pytest.mark.parametrize("quantize", [None, "int8", "int4"])
def test_random_models_are_whole(quantize: str | None) -> None:
    model = random_model(CONFIG, quantize=quantize)
    assert num_parameters(model) == num_parameters(JanusModel(CONFIG))
    assert model.quantization == quantize
    assert all(not tensor.is_meta for tensor in [*model.parameters(), *model.buffers()])
    assert any(isinstance(module, PackedLinear) for module in model.modules())
    assert not any(
        isinstance(module, nn.Linear) for module in model.language_model.layers.modules()
    )


def test_sizes_have_names() -> None:
    for name, config in SIZES.items():
        with torch.device("meta"):
            model = JanusModel(config)
        entry = catalog.find(name)
        assert entry is not None
        assert num_parameters(model) == pytest.approx(entry.parameters, rel=1e-3)
    with pytest.raises(UsageError, match="janus-pro-1b, janus-pro-7b"):
        size_named("janus-pro-2b")
