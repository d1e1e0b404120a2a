"""What guidance does to drawings: the exam's marks at several strengths, and their curve.

In: a model. Out: marks by strength, and a picture of them. The prompts and seeds are those of the
exam, so the strengths differ in nothing else.
"""

from collections.abc import Callable, Mapping, Sequence

from PIL import Image

from janus.evaluation.emoji_drawing import CATEGORIES, draw_category, drawing_marks
from janus.figures import new_figure, to_image
from janus.pipeline import Janus
from janus.training.emoji.sprites import load_sprites

STRENGTHS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0)

Marks = Mapping[str, float]


def measure_guidance(
    model: Janus,
    *,
    limit: int = 20,
    strengths: Sequence[float] = STRENGTHS,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> dict[float, Marks]:
    """The marks of the exam's English drawings at each strength, `limit` prompts a category."""
    sprites, own = load_sprites(), model.guidance
    found: dict[float, Marks] = {}
    try:
        for strength in strengths:
            model.guidance = strength
            drawings = []
            for category in CATEGORIES:
                drawings += draw_category(model, category, sprites, limit, "en")
                on_progress((len(found) + len(drawings) / (limit * 4 * 6)) / len(strengths))
            found[strength] = drawing_marks(drawings)
    finally:
        model.guidance = own
    return found


def draw_curve(marks: Mapping[float, Marks], subject: str) -> Image.Image:
    """The overall mark in bold and the categories thin, over the strength."""
    figure = new_figure(7, 4)
    panel = figure.subplots()
    for category in CATEGORIES:
        label = category.replace("_", " ")
        values = [found[f"drawing.{category}"] for found in marks.values()]
        panel.plot(list(marks), values, "o-", markersize=3, linewidth=1, alpha=0.7, label=label)
    overall = [found["drawing.overall"] for found in marks.values()]
    panel.plot(list(marks), overall, "o-", color="black", linewidth=2.5, label="overall")
    panel.set(xscale="log", ylim=(0, 1), xlabel="guidance", ylabel="drawn right")
    panel.set_xticks(list(marks), [f"{strength:g}" for strength in marks])
    panel.minorticks_off()
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8)
    panel.set_title(f"Drawing at different strengths of guidance: {subject}", fontsize=11)
    return to_image(figure)
