"""The best of several drawings of a prompt, by the model's own seeing: `janus draw --best`.

In: finished drawings. Out: the same, the best first, each with its score. Saves nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from janus.cli.options import Messages
from janus.errors import UsageError
from janus.plaintext import table

if TYPE_CHECKING:
    from janus.generation.results import Picture
    from janus.pipeline import Janus


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """`seconds` are those of all that were drawn together; `match` is as of `Janus.match`."""

    picture: "Picture"
    seconds: float
    match: float | None = None


def check_best(best: int | None, count: int) -> None:
    """Raises `UsageError` where there are not so many pictures to choose from."""
    if best is None or 1 <= best <= count:
        return
    pictures = "1 picture is" if count == 1 else f"{count} pictures are"
    raise UsageError(
        f"best is {best}, but {pictures} drawn.",
        f"Keep 1 to {count}, or draw more with --count." if count > 1 else "Such as: -n 8 --best 2",
    )


def ranked(janus: "Janus", drawings: Sequence[Drawn], messages: Messages) -> list[Drawn]:
    """Compared one by one with the prompt that they were drawn from."""
    scored = []
    with messages.progress("Looking") as show:
        for drawn in drawings:
            picture = drawn.picture
            (match,) = janus.match([picture.image], picture.settings["prompt"])
            scored.append(replace(drawn, match=match))
            show(len(scored) / len(drawings))
    return sorted(scored, key=lambda drawn: drawn.match, reverse=True)


def scores(ranking: Sequence[Drawn], best: int) -> str:
    """All of them, for people."""
    prompt = ranking[0].picture.settings["prompt"]
    rows = [
        (f"No. {place}", f"seed {drawn.picture.seed}", f"{drawn.match:.3f}", _fate(place, best))
        for place, drawn in enumerate(ranking, 1)
    ]
    return f'How well each shows "{prompt}" (0 is best):\n{table(rows)}'


def _fate(place: int, best: int) -> str:
    return "kept" if place <= best else "left out"
