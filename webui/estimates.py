"""How long a drawing will take, by how long the last ones took.

In: the model, how many pictures, and the seconds that they took. Out: an estimate for as many, or
for another number of them. What nobody has measured in this process is not known.
"""

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from janus.pipeline import Janus

KEPT = 5  # drawings of each number of pictures: speed changes


@dataclass(frozen=True, slots=True)
class Estimate:
    """`is_bound`: it takes no longer, but how much less is not known."""

    seconds: float
    is_bound: bool


class Estimates:
    """Of all models that have drawn in this process."""

    def __init__(self) -> None:
        self._taken: WeakKeyDictionary[Janus, dict[int, tuple[float, ...]]] = WeakKeyDictionary()

    def add(self, model: "Janus", count: int, seconds: float) -> None:
        """A drawing of `count` pictures has ended."""
        taken = self._taken.setdefault(model, {})
        taken[count] = (*taken.get(count, ()), seconds)[-KEPT:]

    def of(self, model: "Janus", count: int) -> Estimate | None:
        """More pictures take at most as long as one after the other, fewer at most as long as more.

        They are drawn together, so that both are less by an amount that only measuring tells.
        """
        taken = {num: median(seconds) for num, seconds in self._taken.get(model, {}).copy().items()}
        if count in taken:
            return Estimate(taken[count], is_bound=False)
        bounds = [seconds * max(1.0, count / num) for num, seconds in taken.items()]
        return Estimate(min(bounds), is_bound=True) if bounds else None
