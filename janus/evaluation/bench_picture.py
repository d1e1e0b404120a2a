"""The figures of `janus bench` -> one picture: a panel for each kind of time, what else below.

Needs the extra `train`.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from PIL import Image

from janus.figures import new_figure, to_image
from janus.plaintext import gigabytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    Draw = Callable[[Axes], None]

OURS, THEIRS, LIMIT = "#4253c5", "#b9bdc9", "#d9a441"
COLUMNS = 3
OF_ONE_PICTURE = {"see_ms": "see", "decode_ms": "decode", "first_word_ms": "first word\nabout it"}


def draw_bench(figures: Mapping[str, Any]) -> Image.Image:
    """Every figure of `bench_report.measure` and `bench.time_guessing` that there is."""
    draws = _panels(figures)
    rows, columns = -(-len(draws) // COLUMNS), min(len(draws), COLUMNS)
    figure = new_figure(3.9 * columns, 3.2 * rows + 0.5)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for panel, draw in zip(panels, draws, strict=False):
        draw(panel)
    for panel in panels[len(draws) :]:
        panel.set_axis_off()
    subject = f"{figures['model']}, {figures['number_type']}, {figures['threads']} threads"
    figure.set_layout_engine("constrained", w_pad=0.15, h_pad=0.1)
    figure.suptitle(subject, fontsize=11)
    figure.supxlabel(_besides(figures), fontsize=9)
    return to_image(figure)


def _panels(figures: Mapping[str, Any]) -> "list[Draw]":
    always = (_draw_token, _draw_one_picture)
    draws: list[Draw] = [partial(draw, figures=figures) for draw in always]
    several, windows = _numbered(figures, "pictures"), _numbered(figures, "window")
    if len(several) > 1:  # or there is no comparison
        draws.append(partial(_draw_several, figures=figures, numbers=several))
    if windows:
        draws.append(partial(_draw_windows, figures=figures, numbers=windows))
    if "guessing.ratio" in figures:
        draws.append(partial(_draw_guessing, figures=figures))
    return draws


def _draw_token(panel: "Axes", figures: Mapping[str, Any]) -> None:
    ours = figures["ours.ms_per_image_token"]
    bars = {"reading\nits weights": figures["bandwidth.share"] * ours, "Janus": ours}
    bars |= {peer: figures[f"{peer}.ms_per_image_token"] for peer in _peers(figures)}
    _draw_bars(panel, bars, [LIMIT, OURS, THEIRS][: len(bars)])
    panel.set_title("milliseconds of an image token", fontsize=10)


def _draw_one_picture(panel: "Axes", figures: Mapping[str, Any]) -> None:
    """A bar of ours for each time, and one of a peer beside it where it was measured."""
    engines = {"ours": ("Janus", OURS)} | {peer: (peer, THEIRS) for peer in _peers(figures)}
    shown = {}
    for place, time in enumerate(OF_ONE_PICTURE):
        timed = [engine for engine in engines if f"{engine}.{time}" in figures]
        for number, engine in enumerate(timed):
            middle = place + (number - (len(timed) - 1) / 2) * 0.36
            name, colour = engines[engine]
            bar = shown[name] = panel.bar(middle, figures[f"{engine}.{time}"], 0.33, color=colour)
            panel.bar_label(bar, labels=[_number(figures[f"{engine}.{time}"])], fontsize=9)
    panel.set_xticks(range(len(OF_ONE_PICTURE)), list(OF_ONE_PICTURE.values()))
    panel.set_title("milliseconds of one picture", fontsize=10)
    if len(shown) > 1:
        panel.legend(list(shown.values()), list(shown), frameon=False, fontsize=9)
    _plain(panel)


def _draw_several(panel: "Axes", figures: Mapping[str, Any], numbers: list[int]) -> None:
    bars = {}
    for number in numbers:
        step = _number(figures[f"pictures.{number}.ms_per_step"])
        bars[f"{number}\n{step} ms\na step"] = figures[f"pictures.{number}.per_second"]
    _draw_bars(panel, bars, [OURS] * len(bars))
    panel.set_title("pictures a second, so many at once", fontsize=10)


def _draw_windows(panel: "Axes", figures: Mapping[str, Any], numbers: list[int]) -> None:
    bars = {"1": figures["ours.ms_per_image_token"]}
    for number in numbers:
        cost = _number(figures[f"window.{number}.cost"])
        bars[f"{number}\n{cost} times"] = figures[f"window.{number}.ms_per_pass"]
    _draw_bars(panel, bars, [OURS] * len(bars))
    panel.set_title("milliseconds of a pass, so many ids checked", fontsize=10)


def _draw_guessing(panel: "Axes", figures: Mapping[str, Any]) -> None:
    several = f"guessed,\n{figures['guessing.ids_per_pass']:.2g} ids a pass"
    bars = {"one id\na pass": figures["guessing.seconds_without"]}
    bars |= {several: figures["guessing.seconds_per_picture"]}
    _draw_bars(panel, bars, [THEIRS, OURS])
    panel.set_title("seconds of a picture's ids", fontsize=10)


def _draw_bars(panel: "Axes", bars: Mapping[str, float], colours: list[str]) -> None:
    shown = panel.bar(list(bars), list(bars.values()), color=colours, width=0.6)
    panel.bar_label(shown, labels=list(map(_number, bars.values())))
    middle, half = (len(bars) - 1) / 2, max(len(bars), 3) / 2
    panel.set_xlim(middle - half, middle + half)  # bars of few are as wide as those of three
    _plain(panel)


def _plain(panel: "Axes") -> None:
    panel.margins(y=0.15)
    panel.set_yticks([])
    panel.tick_params(length=0, labelsize=9)
    panel.spines[["left", "top", "right"]].set_visible(False)


def _besides(figures: Mapping[str, Any]) -> str:
    said = [
        f"a picture in {_number(figures['ours.seconds_per_picture'])} s",
        f"memory gives {_number(figures['bandwidth.measured'])} GB/s, of which drawing uses "
        f"{figures['bandwidth.share']:.0%}",
    ]
    if figures.get("peak_memory_bytes"):
        said.append(f"at most {gigabytes(figures['peak_memory_bytes'])} taken")
    return ";  ".join(said)


def _number(value: float) -> str:
    """Three digits, and no powers of ten."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _peers(figures: Mapping[str, Any]) -> list[str]:
    ends = ".ms_per_image_token"
    names = [name.removesuffix(ends) for name in figures if name.endswith(ends)]
    return [name for name in names if name != "ours"]


def _numbered(figures: Mapping[str, Any], kind: str) -> list[int]:
    """What N was in `kind.N. ...`."""
    return sorted({int(name.split(".")[1]) for name in figures if name.startswith(f"{kind}.")})
