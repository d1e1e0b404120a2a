import json
import subprocess
import sys

import pytest

from janus.errors import UsageError
from janus.generation.params import (
    LARGEST_SEED,
    DrawParams,
    TextParams,
    knobs,
    settings_from,
)

ALL_KNOBS = [(cls, knob) for cls in (DrawParams, TextParams) for knob in knobs(cls)]


@pytest.mark.parametrize(("cls", "knob"), ALL_KNOBS)
def test_defaults_ends_of_range_and_help_hold(cls, knob):
    assert knob.help
    assert getattr(cls(), knob.name) == knob.default
    inside = [knob.maximum] if knob.maximum is not None else []
    inside += [knob.minimum] if knob.minimum is not None and not knob.above_minimum else []
    for value in inside:
        assert getattr(cls(**{knob.name: value}), knob.name) == value


@pytest.mark.parametrize(("cls", "knob"), [(c, k) for c, k in ALL_KNOBS if k.minimum is not None])
def test_outside_names_setting_value_and_range(cls, knob):
    outside = [knob.minimum if knob.above_minimum else knob.minimum - 1]
    outside += [knob.maximum + 1] if knob.maximum is not None else []
    for value in outside:
        with pytest.raises(UsageError) as error:
            cls(**{knob.name: value})
        for part in (knob.name, repr(value), knob.range):
            assert part in str(error.value)


@pytest.mark.parametrize(
    ("cls", "values"),
    [
        (DrawParams, {"guidance": "5"}),
        (DrawParams, {"guidance": float("nan")}),
        (DrawParams, {"guidance": None}),
        (DrawParams, {"count": 1.5}),
        (DrawParams, {"top_k": 2**64}),
        (DrawParams, {"count": True}),
        (DrawParams, {"reference": 1}),
        (DrawParams, {"reference": True, "top_k": 5}),
        (DrawParams, {"reference": True, "top_p": 0.5}),
        (TextParams, {"stop": ["a", ""]}),
        (TextParams, {"stop": 3}),
    ],
)
def test_wrong_nature_is_refused(cls, values):
    with pytest.raises(UsageError, match=next(iter(values))):
        cls(**values)


def test_values_get_the_type_of_their_knob():
    params = settings_from(DrawParams, {"guidance": 5, "count": 4.0, "seed": LARGEST_SEED})
    assert (type(params.guidance), type(params.count)) == (float, int)
    assert params.seed == LARGEST_SEED
    assert settings_from(TextParams, {"stop": "end"}).stop == ("end",)
    assert settings_from(TextParams, {"stop": ["a", "b"]}).stop == ("a", "b")


def test_mapping_takes_the_names_of_the_field():
    given = {"guidance_scale": 3, "num_images_per_prompt": 2}
    assert settings_from(DrawParams, given) == DrawParams(guidance=3, count=2)
    assert settings_from(TextParams, {"max_new_tokens": 7}) == TextParams(max_tokens=7)


def test_defaults_give_way_to_what_is_given_under_any_name():
    suited = {"guidance": 1.5}
    assert settings_from(DrawParams, {"count": 2}, suited) == DrawParams(guidance=1.5, count=2)
    assert settings_from(DrawParams, {"guidance_scale": 3}, suited) == DrawParams(guidance=3)


def test_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(UsageError) as error:
        settings_from(DrawParams, {"guidence": 3})
    assert "'guidence'" in str(error.value)
    assert "Did you mean 'guidance'?" in str(error.value)
    assert "temperature" in str(error.value)


def test_one_setting_under_two_names_is_refused():
    with pytest.raises(UsageError, match="same setting"):
        settings_from(DrawParams, {"guidance": 3, "guidance_scale": 3})


def test_needs_no_torch():
    code = "import sys, json, janus.generation.params; print(json.dumps(list(sys.modules)))"
    loaded = json.loads(subprocess.check_output([sys.executable, "-c", code]))
    assert "torch" not in loaded
