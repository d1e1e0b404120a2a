"""The figures of `janus bench` -> one picture: milliseconds of a token, and pictures a second.

Needs the extra `train`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from janus.figures import new_figure, to_image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS, THEIRS, LIMIT = "#4253c5", "#b9bdc9", "#d9a441"


def draw_bench(figures: Mapping[str, Any]) -> Image.Image:
    """A single picture's token, beside the time in which memory can give its weights."""
    several = _several(figures)
    figure = new_figure(4.6 if not several else 8.2, 3.2)
    panels = figure.subplots(1, 2 if several else 1, squeeze=False)[0]
    _draw_token(panels[0], figures)
    if several:
        _draw_several(panels[1], several)
    subject = f"{figures['model']}, {figures['number_type']}, {figures['threads']} threads"
    figure.suptitle(subject, fontsize=11)
    return to_image(figure)


def _draw_token(panel: "Axes", figures: Mapping[str, Any]) -> None:
    ours = figures["ours.ms_per_image_token"]
    bars = {"reading\nits weights": figures["bandwidth.share"] * ours, "Janus": ours}
    bars |= {
        name.split(".")[0]: value
        for name, value in figures.items()
        if name.endswith(".ms_per_image_token") and not name.startswith("ours.")
    }
    _draw_bars(panel, bars, [LIMIT, OURS, THEIRS][: len(bars)], "{:.3g}")
    panel.set_title("milliseconds of an image token", fontsize=10)


def _draw_several(panel: "Axes", several: Mapping[int, float]) -> None:
    bars = {str(count): rate for count, rate in several.items()}
    _draw_bars(panel, bars, [OURS] * len(bars), "{:.2g}")
    panel.set_title("pictures a second, so many at once", fontsize=10)


def _draw_bars(
    panel: "Axes", bars: Mapping[str, float], colours: Sequence[str], numbers: str
) -> None:
    shown = panel.bar(list(bars), list(bars.values()), color=colours, width=0.6)
    panel.bar_label(shown, fmt=numbers)
    panel.margins(y=0.15)
    panel.set_yticks([])
    panel.tick_params(length=0)
    panel.spines[["left", "top", "right"]].set_visible(False)


def _several(figures: Mapping[str, Any]) -> dict[int, float]:
    """Pictures a second by how many are drawn at once; nothing where there is no comparison."""
    found = {
        int(name.split(".")[1]): value
        for name, value in figures.items()
        if name.startswith("pictures.") and name.endswith(".per_second")
    }
    return dict(sorted(found.items())) if len(found) > 1 else {}
