"""Fewer bits are compared on the same ids; the same numbers agree in everything."""

import json
from collections.abc import Sequence
from dataclasses import asdict

import pytest
import torch
from typer.testing import CliRunner

from janus.cli.main import app
from janus.evaluation.precision import Agreement, compare
from janus.pipeline import Janus
from tests.small_model import small_janus

NAMES = ("words_error", "words_same", "codes_error", "codes_same")


def agreement(janus: Janus, others: Sequence[Janus]) -> list[Agreement]:
    models = {"reference": janus, **{str(i): other for i, other in enumerate(others)}}
    return compare(models.__getitem__, "reference", list(models)[1:])


def test_the_same_model() -> None:
    (same,) = agreement(small_janus(), [small_janus()])
    assert [getattr(same, name) for name in NAMES] == [0, 1, 0, 1]


def test_a_little_noise_and_much() -> None:
    noisy = []
    for size in (1e-4, 1.0):
        janus = small_janus()
        for weight in (janus.model.lm_head.weight, janus.model.generation_head.proj_out.weight):
            generator = torch.Generator().manual_seed(0)
            weight += size * weight.std() * torch.randn(weight.shape, generator=generator)
        noisy.append(janus)
    little, much = agreement(small_janus(), noisy)
    assert 0 < little.words_error < 1e-2 < much.words_error
    assert 0 < little.codes_error < 1e-2 < much.codes_error
    assert little.words_same > 0.95 > much.words_same
    assert little.codes_same > 0.95 > much.codes_same


@pytest.mark.parametrize("form", ["table", "json"])
def test_the_command(tmp_path, form: str) -> None:
    small_janus().save_pretrained(tmp_path / "model")
    arguments = ["eval", "precision", str(tmp_path / "model"), "--types", "bfloat16,int8"]
    outcome = CliRunner().invoke(app, [*arguments, *(["--json"] if form == "json" else [])])
    assert outcome.exit_code == 0, outcome.output
    if form == "table":
        assert [line.split()[0] for line in outcome.stdout.splitlines()[3:]] == ["bfloat16", "int8"]
        return
    rows = json.loads(outcome.stdout)["types"]
    assert [row["number_type"] for row in rows] == ["bfloat16", "int8"]
    assert all(0 < row["codes_error"] < 0.5 for row in rows)
    assert set(rows[0]) == {"number_type", *NAMES} == set(asdict(Agreement(**rows[0])))
