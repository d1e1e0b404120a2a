"""The GPU's figures, of tiny models on a CPU: what they are made of, not how large they are."""

from dataclasses import replace

import pytest
import torch

from janus.config import ExpertsConfig, JanusConfig
from janus.evaluation import gpu_suite
from janus.evaluation.random_model import SIZES, random_model
from janus.model.loading import num_parameters
from janus.model.model import JanusModel
from tests.evaluation.test_bench import CONFIG

EXPERTS = ExpertsConfig(
    n_routed_experts=4, num_experts_per_tok=2, moe_intermediate_size=64, first_k_dense_replace=1
)
MIXTURE = replace(CONFIG, transformer=replace(CONFIG.transformer, experts=EXPERTS))


def test_every_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_suite, "WINDOW", 4)
    parts = dict(
        gpu_suite.suite({"small": CONFIG}, {"mixed": MIXTURE}, device="cpu", many=2, steps=3)
    )
    assert list(parts) == [
        "memory",
        "attention of 2 rows",
        "attention of 4 rows",
        "small",
        "small in transformers",
        "mixed",
    ]
    assert parts["small"].pop("same_ids") is True
    assert all(figure > 0 for figures in parts.values() for figure in figures.values())


def test_a_dense_model_that_reads_as_much() -> None:
    """Two rows that choose two of four experts each choose three in all, and there is one more."""
    of_mixture = 64 * (1 + 4 * (1 - (1 - 2 / 4) ** 2))
    dense = gpu_suite.equally_dense(MIXTURE)
    assert dense.transformer.experts is None
    assert dense.transformer.intermediate_size == 64 * round((128 + of_mixture) / 2 / 64)


def test_the_sizes_of_the_large_mixture() -> None:
    config: JanusConfig = replace(SIZES["janus-pro-1b"], transformer=gpu_suite.LARGE_MIXTURE)
    with torch.device("meta"):
        model = JanusModel(config)
    assert num_parameters(model.language_model) == pytest.approx(15.5e9, rel=0.02)


def test_random_models_of_a_gpu_are_made_there() -> None:
    """The device `meta` stands for one that is not the CPU."""
    model = random_model(CONFIG, device="meta")
    assert {tensor.device.type for tensor in [*model.parameters(), *model.buffers()]} == {"meta"}
