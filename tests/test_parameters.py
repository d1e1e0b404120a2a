"""The text that picture tools share, as we write it and as others do."""

import pytest

from janus.parameters import from_parameters, to_parameters

FOREIGN = """a girl, 雪
in the snow
Negative prompt: ugly, bad anatomy
blurry
Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 965400086, Model: "a, b", Version: v1.9.4"""


def test_what_another_tool_wrote():
    assert from_parameters(FOREIGN) == {
        "prompt": "a girl, 雪\nin the snow",
        "negative_prompt": "ugly, bad anatomy\nblurry",
        "seed": 965400086,
        "guidance": 7.0,
        "model": "a, b",
    }


def test_ours_comes_back():
    settings = {
        "prompt": 'two red hearts,\n"close": Seed: 1',
        "seed": 7,
        "guidance": 5.0,
        "model": "deepseek: Janus, Pro",
        "temperature": 0.5,
        "top_k": 9,
        "top_p": 0.9,
    }
    assert from_parameters(to_parameters(settings, (32, 32))) == settings


@pytest.mark.parametrize("text", ["", "a holiday", "a holiday\nat the sea", "Seed: 1, Steps: 2"])
def test_other_texts_are_none(text: str):
    assert from_parameters(text) is None


@pytest.mark.parametrize("last", ['Seed: x, CFG scale: , Model: "', "Seed: 1.5, A: 1, B: 2, C: 3"])
def test_values_that_make_no_sense_are_left_out(last: str):
    assert from_parameters(f"a dog\n{last}, Steps: 20, Sampler: Euler") == {"prompt": "a dog"}
