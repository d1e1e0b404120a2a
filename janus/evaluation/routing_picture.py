"""The routing of a model -> one picture: a map of layers and experts for each modality.

White is the fair share, blue is less and red is more; all maps have one scale, in doublings. Needs
the extra `train`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from janus.evaluation.routing_report import MODALITIES, Routing
from janus.figures import new_figure, to_image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh

NAMES = {"text": "Text", "seen": "Pictures it sees", "drawn": "Pictures it draws"}
TICKS = {1 / 4: "1/4", 1 / 2: "1/2", 1: "1", 2: "2", 4: "4"}  # the ends are those of the scale
COLOURS, INK, LIGHT_INK = "RdBu_r", "#333333", "white"
CELL = 0.46  # inches
SMALLEST_MAP, LARGEST_MAP = 2.6, 6.0
MAX_NUMBERED = 16  # experts of a layer, up to which each cell says its load


def draw_routing(routing: Routing) -> Image.Image:
    width, height = _side(routing.num_experts), _side(len(routing.layers))
    figure = new_figure(3 * width + 1.8, height + 1.9)
    panels = figure.subplots(1, len(MODALITIES), sharey=True)
    maps = [_draw_map(p, routing, m) for p, m in zip(panels, MODALITIES, strict=True)]
    panels[0].set_ylabel("layer")
    bar = figure.colorbar(maps[0], ax=panels, extend="both", pad=0.02)
    bar.set_ticks(list(TICKS), labels=list(TICKS.values()))
    bar.minorticks_off()
    bar.set_label("times the fair share")
    figure.suptitle(f"Expert use by modality: {routing.subject}", fontsize=13)
    figure.supxlabel(_footnote(routing), fontsize=9, color=INK)
    return to_image(figure)


def _side(num_cells: int) -> float:
    """Of a map, in inches."""
    return min(max(num_cells * CELL, SMALLEST_MAP), LARGEST_MAP)


def _draw_map(panel: "Axes", routing: Routing, modality: str) -> "QuadMesh":
    from matplotlib.colors import LogNorm

    loads_LE = routing.loads(modality).numpy()
    is_numbered = routing.num_experts <= MAX_NUMBERED
    cells = panel.pcolormesh(
        np.maximum(loads_LE, 1e-9),  # a dead expert has no logarithm
        cmap=COLOURS,
        norm=LogNorm(min(TICKS), max(TICKS)),
        edgecolors="white",
        linewidth=1.5 if is_numbered else 0.2,
    )
    panel.invert_yaxis()
    panel.set_title(f"{NAMES[modality]}\n{routing.num_tokens(modality):,} tokens", fontsize=11)
    panel.set_xlabel("expert")
    panel.set_xticks(*_ticks(range(routing.num_experts)))
    panel.set_yticks(*_ticks(routing.layers))
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    if is_numbered:
        _write_loads(panel, cells, loads_LE)
    return cells


def _ticks(numbers: Sequence[int]) -> tuple[np.ndarray, list[str]]:
    """Places and labels, in the middle of the cells; not more than there is room for."""
    places = np.arange(0, len(numbers), -(-len(numbers) // MAX_NUMBERED))
    return places + 0.5, [str(numbers[place]) for place in places.tolist()]


def _write_loads(panel: "Axes", cells: "QuadMesh", loads_LE: np.ndarray) -> None:
    for (row, expert), load in np.ndenumerate(loads_LE):
        brightness = np.mean(cells.to_rgba(max(load, 1e-9))[:3])
        panel.text(
            expert + 0.5,
            row + 0.5,
            f"{load:.1f}",
            ha="center",
            va="center",
            color=INK if brightness > 0.55 else LIGHT_INK,
            fontsize=8,
        )


def _footnote(routing: Routing) -> str:
    num_all = len(routing.layers) * routing.num_experts
    return (
        f"{routing.work}\n{routing.num_chosen} of {routing.num_experts} experts a token, so that "
        f"the fair share is 1/{routing.num_experts}; over all tokens, {len(routing.starved())} of "
        f"{num_all} experts have less than a quarter of it"
    )
