import json
from collections.abc import Callable
from typing import Any


def test_the_command(run: Callable[..., Any]) -> None:
    result = run("bench", "--steps", 3, "--pictures", "1,2", "--against", "transformers", "--json")
    figures = json.loads(result.stdout)
    assert figures["ratio"] > 0
    assert figures["bandwidth.share"] > 0
    assert figures["same_ids"] is True
    assert {"pictures.1.per_second", "pictures.2.per_second", "ours.decode_ms"} <= figures.keys()
    for wrong in (
        ["--pictures", "0"],
        ["--against", "vllm"],
        ["--random", "x"],
        ["--random", "janus-pro-1b", "--dtype", "float32"],
    ):
        assert run("bench", *wrong).code == 2
