"""The log of a training run -> one picture of its loss curves."""

from pathlib import Path

from janus.errors import MissingExtraError
from janus.training.run import read_log

# Stage -> the figures of its log that are losses.
LOSSES = {
    "looking": ("patches",),
    "joint": ("text", "image"),
    "encoder": ("total",),
    "decoder": ("pixels", "edges"),
}


def plot_curves(run: Path, picture: Path) -> None:
    """Draws every loss over its steps, one panel a stage. Needs the extra `train`."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            "Loss curves need matplotlib.", "pip install 'janus-multimodal[train]'"
        ) from error
    figure = Figure(figsize=(16, 3.5), layout="constrained")
    panels = figure.subplots(1, len(LOSSES))
    for panel, (stage, names) in zip(panels, LOSSES.items(), strict=True):
        records = read_log(run, stage)
        for name in names:
            panel.plot([r["step"] for r in records], [r[name] for r in records], label=name)
        panel.set(title=stage, xlabel="step", yscale="log")
        panel.grid(alpha=0.3)
        if records:
            panel.legend()
    figure.savefig(picture, dpi=120)
