import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from PIL import Image

from janus.evaluation import bench


def test_the_command(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "BANDWIDTH_BYTES", 2**24)
    compared = ("--pictures", "1,2", "--against", "transformers", "--plot", "bench.png")
    result = run("bench", "--steps", 3, *compared, "--drawings", 2, "--json")
    assert Image.open("bench.png").width > 1000
    figures = json.loads(result.stdout)
    assert figures["ratio"] > 0
    assert figures["bandwidth.share"] > 0
    assert figures["same_ids"] is True
    assert figures["guessing.same_ids"] is True
    assert figures["company.same_ids"] == 1
    assert 1 <= figures["guessing.ids_per_pass"] <= 8
    assert figures["guessing.ratio"] > 0
    assert {"pictures.1.per_second", "pictures.2.per_second", "ours.decode_ms"} <= figures.keys()
    for wrong in (
        ["--pictures", "0"],
        ["--against", "vllm"],
        ["--random", "x"],
        ["--random", "janus-pro-1b", "--dtype", "float32"],
        ["--suite", "tpu"],
        ["--random", "janus-pro-1b", "--drawings", "1"],
    ):
        assert run("bench", *wrong).code == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="it would run")
def test_the_suite_of_a_gpu_needs_one(run: Callable[..., Any]) -> None:
    result = run("bench", "--suite", "gpu")
    assert result.code == 2
    assert "no cuda device" in result.stderr
