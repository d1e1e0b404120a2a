"""A slider for a knob of drawing or answering, with the knob's own range and help."""

import gradio as gr
from gradio.i18n import I18nData

from janus.generation.params import DrawParams, TextParams, knobs
from webui.texts import text


def slider(
    params: type[DrawParams] | type[TextParams],
    name: str,
    label: I18nData,
    *,
    step: float,
    lowest: float | None = None,
    highest: float | None = None,
) -> gr.Slider:
    """`lowest` and `highest` narrow the range of the knob to what is sensible here."""
    knob = next(knob for knob in knobs(params) if knob.name == name)
    minimum = knob.minimum if lowest is None else lowest
    maximum = knob.maximum if highest is None else highest
    assert minimum is not None and maximum is not None
    return gr.Slider(
        minimum, maximum, value=knob.default, step=step, label=label, info=text(knob.help)
    )
