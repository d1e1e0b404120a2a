"""OpenVINO draws what we draw from the same weights, and refuses what it would convert wrongly."""

from collections import Counter
from dataclasses import replace

import pytest
import torch

from janus.errors import UsageError
from janus.evaluation import bench
from janus.evaluation.bench_openvino import OpenVino
from janus.evaluation.random_model import random_model
from janus.pipeline import Janus
from tests.evaluation.test_bench import CONFIG
from tests.oracle import randomize

pytest.importorskip("openvino")
pytest.importorskip("nncf")

WIDTH = 128  # as many weights as share a scale in int4
SIZE = replace(
    CONFIG,
    transformer=replace(
        CONFIG.transformer,
        hidden_size=WIDTH,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=64,
    ),
    vision=replace(CONFIG.vision, projection_dim=WIDTH),
    codebook=replace(CONFIG.codebook, projection_dim=WIDTH, image_token_embed_dim=WIDTH),
)


def operations(peer: OpenVino) -> Counter[str]:
    """That its graph is made of, once fitted to the processor."""
    graph = peer.request.get_compiled_model().get_runtime_model()
    return Counter(str(each.get_rt_info()["layerType"].value) for each in graph.get_ops())


def test_the_same_weights_in_openvino() -> None:
    model = random_model(SIZE, dtype=torch.float32)
    randomize(model)
    theirs = OpenVino(model)
    assert theirs.likeliest(12) == bench.likeliest(model, 12)
    assert len(set(theirs.likeliest(12))) > 1
    assert len(list(theirs.time_drawing(5))) == 5


@pytest.mark.parametrize("quantize", [None, "int8", "int4"])
def test_its_fast_kernels_are_chosen(quantize: str | None) -> None:
    """One for attention with its states, one for rotary positions, one for packed products."""
    chosen = operations(OpenVino(random_model(SIZE, packed=False), quantize=quantize))
    layers = SIZE.transformer.num_hidden_layers
    assert chosen["ScaledDotProductAttention"] == layers
    assert chosen["RoPE"] == 2 * layers
    assert chosen["RMS"] == 2 * layers + 1
    assert chosen["FullyConnected"] >= 4 * layers + 2
    assert chosen["MatMul"] == 0


def test_experts_are_not_converted() -> None:
    with pytest.raises(UsageError, match="Only a Llama"):
        OpenVino(Janus.from_pretrained("janus-emoji").model)
