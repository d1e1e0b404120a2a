"""The logs of training runs -> one picture of their loss curves."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from janus.figures import new_figure
from janus.training.run import read_log

# Stage -> the figures of its log that are losses.
LOSSES = {
    "looking": ("patches", "places"),
    "joint": ("text", "image"),
    "lessons": ("text", "attention", "fetched"),
    "finish": ("text", "image"),
    "encoder": ("total",),
    "decoder": ("pixels", "edges"),
}
STYLES = ("-", "--", ":", "-.")  # of the runs
SMOOTHED = 15  # records: a curve shows the mean of so many around each


def plot_curves(runs: Sequence[Path], picture: Path) -> None:
    """Draws every loss over its steps, one panel a stage, one style a run. Needs `train`.

    Stages of which no run has a record are left out.
    """
    stages = [stage for stage in LOSSES if any(read_log(run, stage) for run in runs)]
    figure = new_figure(1 + 2.5 * len(stages), 3.5)
    panels = figure.subplots(1, len(stages), squeeze=False)[0]
    for panel, stage in zip(panels, stages, strict=True):
        names = LOSSES[stage]
        for run, style in zip(runs, STYLES, strict=False):
            records = read_log(run, stage)
            for i, name in enumerate(names):
                label = name if len(runs) == 1 else f"{name}, {run.name}"
                steps, losses = [r["step"] for r in records], [r[name] for r in records]
                panel.plot(steps, smooth(losses), style, color=f"C{i}", label=label)
        panel.set(title=stage, xlabel="step", yscale="log")
        panel.grid(alpha=0.3)
        panel.legend()
    figure.savefig(picture)


def smooth(values: Sequence[float]) -> list[float]:
    """The mean around each value; fewer values count at the ends."""
    reach = SMOOTHED // 2
    return [float(np.mean(values[max(i - reach, 0) : i + reach + 1])) for i in range(len(values))]
