"""Every figure that only a GPU can show, in one run of some minutes, with random weights.

    python3 -m janus.evaluation.gpu_suite

prints a line of JSON for each part as soon as it is measured. It needs torch, numpy, pillow,
safetensors, tokenizers and transformers, and no checkpoint. No GPU has run it yet; its parts are
tested with tiny models on a CPU.
"""

# R rows, H heads, L positions, d width of a head

import gc
import json
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from janus.config import (
    ExpertsConfig,
    JanusConfig,
    LatentAttentionConfig,
    TransformerConfig,
    read_config,
)
from janus.evaluation import bench
from janus.evaluation.bench_peer import Transformers
from janus.evaluation.random_model import SIZES, random_model
from janus.model.attention import attend, attend_in_place
from janus.model.cache import Rows
from janus.model.model import JanusModel
from weights.catalog import BUNDLED
from weights.files import Checkpoint
from weights.hub import locate

Figures = dict[str, float | bool]
STEPS = 24
MANY = 64  # pictures at once
WINDOW = 8

# A published mixture of experts of 16 billion weights, 2.4 of them at work (DeepSeek-V2-Lite,
# config.json), in the place of Janus-Pro-1B's transformer, whose width it shares.
LARGE_MIXTURE = TransformerConfig(
    intermediate_size=10944,
    num_hidden_layers=27,
    latent_attention=LatentAttentionConfig(
        kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128
    ),
    experts=ExpertsConfig(
        n_routed_experts=64,
        num_experts_per_tok=6,
        moe_intermediate_size=1408,
        n_shared_experts=2,
        first_k_dense_replace=1,
    ),
)


def suite(
    dense: Mapping[str, JanusConfig],
    mixtures: Mapping[str, JanusConfig],
    *,
    device: str,
    many: int = MANY,
    steps: int = STEPS,
) -> Iterator[tuple[str, Figures]]:
    """Each part's name and figures. The first of the dense models runs in transformers too."""
    yield "memory", {"gigabytes_per_second": bench.measure_bandwidth(device) / 1e9}
    for rows in (2, 2 * many):
        yield f"attention of {rows} rows", attention(device, rows)
    for index, (name, config) in enumerate(dense.items()):
        model = random_model(config, device=device)
        yield name, drawing(model, many, steps)
        if index == 0:
            yield f"{name} in transformers", against_transformers(model)
        del model
        gc.collect()  # before the next one is made
    for name, config in mixtures.items():
        yield name, against_dense(config, device, steps)


def drawing(model: JanusModel, many: int, steps: int) -> Figures:
    """One picture, many at once, and what recording and windows change."""
    step = _median(model, steps)
    moved = bench.bytes_per_pass(model)
    return {
        "seconds_per_picture": bench.time_pictures(model, 1),
        f"pictures_per_second.{many}": many / bench.time_pictures(model, many),
        "ms_per_step": step,
        "ms_per_step.plain": _median(model, steps, recorded=False),
        f"ms_per_pass.window.{WINDOW}": _median(model, steps, window=WINDOW),
        "bandwidth_share": moved / (step / 1e3) / bench.measure_bandwidth(model.device),
        "first_word_ms": bench.time_first_word(model),
        "same_ids": all(_same_ids(model, seed) for seed in range(4)),
    }


def against_transformers(model: JanusModel) -> Figures:
    """A whole picture of the same weights there."""
    theirs = Transformers(model)
    limit = model.config.num_image_tokens
    ids = bench.ids_of_one(model.config).to(model.device)

    def draw() -> None:
        theirs.likeliest(limit)
        theirs.draw_pixels(ids)

    draw()
    seconds = bench.time_in_turn(draw)[0] / 1e3
    return {"seconds_per_picture": seconds, "ratio": seconds / bench.time_pictures(model, 1)}


def against_dense(config: JanusConfig, device: str, steps: int) -> Figures:
    """A mixture's step, and that of a dense model that reads as many bytes for one picture."""
    model = random_model(config, device=device)
    mixture = _median(model, steps)
    del model
    gc.collect()
    dense = _median(random_model(equally_dense(config), device=device), steps)
    return {"ms_per_step": mixture, "ms_per_step.dense": dense, "ratio": mixture / dense}


def equally_dense(config: JanusConfig, num_rows: int = 2) -> JanusConfig:
    """As wide as the shared experts and the routed ones that so many rows choose on average.

    E (1 - (1 - K / E)^R) of E experts, if each row chooses its K evenly and alone.
    """
    transformer = config.transformer
    experts = transformer.experts
    assert experts is not None
    num = experts.n_routed_experts
    chosen = num * (1 - (1 - experts.num_experts_per_tok / num) ** num_rows)
    of_mixture = experts.moe_intermediate_size * (experts.n_shared_experts + chosen)
    num_dense = experts.first_k_dense_replace
    num_mixed = transformer.num_hidden_layers - num_dense
    width = num_dense * transformer.intermediate_size + num_mixed * of_mixture
    width = 64 * round(width / transformer.num_hidden_layers / 64)
    return replace(config, transformer=replace(transformer, experts=None, intermediate_size=width))


def attention(device: str, num_rows: int, num_heads: int = 16, width: int = 128) -> Figures:
    """Milliseconds of one layer's attention at `POSITION`, by each kernel that there is."""
    length = bench.POSITION + 340
    k_SKLd, v_SKLd = (_bfloat16(num_rows, num_heads, length, width, device=device) for _ in "kv")
    q_RTHd = _bfloat16(num_rows, 1, num_heads, width, device=device)
    starts = tuple(bench.POSITION - row % 7 for row in range(num_rows))
    slots = tuple(range(num_rows))
    (block,) = Rows(counts=(1,) * num_rows, starts=starts, slots=slots, device=device).blocks
    filled = (k_SKLd[:, :, : block.length], v_SKLd[:, :, : block.length])

    def in_torch() -> Tensor:
        return attend(q_RTHd, *filled, mask_R1TL=block.mask_R1TL())

    in_place = partial(attend_in_place, q_RTHd, k_SKLd, v_SKLd, block)
    figures: Figures = {"torch_ms": bench.time_in_turn(in_torch)[0]}
    with torch.inference_mode():
        found = in_place()
    if found is not None:
        figures["in_place_ms"] = bench.time_in_turn(in_place)[0]
        figures["largest_difference"] = (found - in_torch()).abs().max().item()
    return figures


def published() -> Iterator[tuple[str, Figures]]:
    """The suite at the sizes that people use."""
    bundled = read_config(Checkpoint.open(locate(BUNDLED)).config)
    large = replace(SIZES["janus-pro-1b"], transformer=LARGE_MIXTURE)
    return suite(
        {name: SIZES[name] for name in ("janus-pro-1b", "janus-pro-7b")},
        {BUNDLED: bundled, "16b-a2.4b": large},
        device="cuda",
    )


def _median(
    model: JanusModel, steps: int, *, window: int = 1, recorded: bool | None = None
) -> float:
    times = bench.time_drawing(model, steps=steps, window=window, recorded=recorded)
    return statistics.median(times)


def _same_ids(model: JanusModel, seed: int) -> bool:
    """Of a picture drawn in windows of recorded passes and one id a time."""
    plain = bench.drawn_ids(model, seed, recorded=False)
    return plain == bench.drawn_ids(model, seed, window=WINDOW)


def _bfloat16(*shape: int, device: str) -> Tensor:
    return torch.randn(*shape, dtype=torch.bfloat16, device=device)


if __name__ == "__main__":
    for part, figures in published():
        print(json.dumps({"part": part, **figures}), flush=True)
