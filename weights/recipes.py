"""How a dense model's neurons become experts: recipes, and the plan that one makes for a model.

Enters: settings, and a model's numbers of neurons and layers. Leaves: a `Plan`, or a RecipeError
that names the numbers that would do. Touches no tensors.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from weights.errors import RecipeError

WIDTH_UNIT = 8  # torch's grouped products need rows of 16 bytes
USUAL_WIDTH = 1408  # of an expert in DeepSeek-V2-Lite, and a quarter of Janus-Pro-1B's layers
USUAL_SLICES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A recipe worked out for one model: what becomes of its layers from `first_dense` on."""

    slices: int
    slice_width: int
    shared: int  # the slices 0 to shared - 1 make the expert of every token
    routed: tuple[int, ...]  # the slice of each routed expert
    experts_per_token: int
    groups: int
    kept_groups: int
    scale: float  # of the gates, which add up to one
    silent: bool  # routed experts begin by adding nothing
    first_dense: int
    seed: int

    def added_parameters(self, width: int) -> int:
        """By how many parameters a layer of this width grows."""
        slices = self.shared + len(self.routed) - self.slices
        return slices * self.slice_parameters(width) + len(self.routed) * width

    def idle_parameters(self, width: int) -> int:
        """How many parameters of a layer any one token does without."""
        return (len(self.routed) - self.experts_per_token) * self.slice_parameters(width)

    def slice_parameters(self, width: int) -> int:
        return 3 * width * self.slice_width


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(ABC):
    """Settings that are the same for every recipe. `seed` draws the routers."""

    name: ClassVar[str]
    tolerance: ClassVar[float]  # for outputs in float32, relative to the largest

    slices: int | None = None
    first_dense: int = 1
    seed: int = 0

    @abstractmethod
    def plan(self, neurons: int, num_layers: int) -> Plan:
        """For layers of so many neurons. RecipeError where the settings cannot be met."""

    def _require_layers(self, num_layers: int) -> None:
        _require(
            0 <= self.first_dense < num_layers,
            f"first_dense is {self.first_dense}, but the model has {num_layers} layers.",
            f"Choose 0 to {num_layers - 1}, so that a layer is left to rewrite.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Exact(Recipe):
    """The dense layer stays whole, as the shared expert; routed experts begin by adding zeros.

    Bit for bit the same function, whatever the router does. Each token costs `experts_per_token`
    slices more than before.
    """

    name = "exact"
    tolerance = 0.0

    experts: int = 8
    experts_per_token: int = 2

    def plan(self, neurons: int, num_layers: int) -> Plan:
        self._require_layers(num_layers)
        slices = _choose_slices(self.slices, neurons, fewest=1)
        _require(
            2 <= self.experts_per_token <= self.experts,
            f"experts_per_token is {self.experts_per_token} of {self.experts} experts.",
            "Choose at least 2: the gate of one alone is always 1, and no router learns from that.",
        )
        return Plan(
            slices=slices,
            slice_width=neurons // slices,
            shared=slices,
            routed=tuple(i % slices for i in range(self.experts)),
            experts_per_token=self.experts_per_token,
            groups=1,
            kept_groups=1,
            scale=1.0,
            silent=True,
            first_dense=self.first_dense,
            seed=self.seed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Isoflop(Recipe):
    """Some slices are shared; of the others there are copies, and a token uses whole copies.

    A copy is a group of experts with equal router rows, so equal gates. Where all experts of every
    kept group are used, the gates of the copies add up to one and so the copies to the original,
    up to rounding, whatever the selection bias. With one copy a token costs what it did before;
    no gradient then reaches the choice between copies, only that within one.
    """

    name = "isoflop"
    tolerance = 1e-5

    shared: int | None = None
    copies: int = 8
    experts_per_token: int | None = None

    def plan(self, neurons: int, num_layers: int) -> Plan:
        self._require_layers(num_layers)
        slices = _choose_slices(self.slices, neurons, fewest=3)
        shared = slices // 2 if self.shared is None else self.shared
        _require(
            1 <= shared <= slices - 2,
            f"{shared} of {slices} slices are shared.",
            f"Choose 1 to {slices - 2}: a copy consists of two slices or more.",
        )
        per_copy = slices - shared
        _require(self.copies >= 2, f"copies is {self.copies}.", "Choose 2 or more.")
        per_token = per_copy if self.experts_per_token is None else self.experts_per_token
        most = per_copy * self.copies
        _require(
            per_token in range(per_copy, most + 1, per_copy),
            f"experts_per_token is {per_token}, but a token uses whole copies of {per_copy}.",
            f"Choose a multiple of {per_copy} up to {most}.",
        )
        return Plan(
            slices=slices,
            slice_width=neurons // slices,
            shared=shared,
            routed=tuple(range(shared, slices)) * self.copies,
            experts_per_token=per_token,
            groups=self.copies,
            kept_groups=per_token // per_copy,
            scale=float(per_copy),
            silent=False,
            first_dense=self.first_dense,
            seed=self.seed,
        )


RECIPES: Mapping[str, type[Recipe]] = {kind.name: kind for kind in (Exact, Isoflop)}


def make_recipe(name: str, settings: Mapping[str, Any]) -> Recipe:
    """The recipe of this name. RecipeError for a name or a setting that it does not have."""
    kind = RECIPES.get(name)
    if kind is None:
        raise RecipeError(f"There is no recipe {name!r}.", f"Choose {' or '.join(RECIPES)}.")
    known = [field.name for field in fields(kind)]
    unknown = [setting for setting in settings if setting not in known]
    _require(
        not unknown,
        f"The recipe {name} has no setting {', '.join(unknown)}.",
        f"It has {', '.join(known)}.",
    )
    return kind(**settings)


def _choose_slices(wanted: int | None, neurons: int, *, fewest: int) -> int:
    valid = [n for n in range(fewest, neurons // WIDTH_UNIT + 1) if not neurons % (n * WIDTH_UNIT)]
    _require(
        bool(valid),
        f"The feed-forward layers have {neurons} neurons, which do not make {fewest} or more "
        f"slices of a width that is a multiple of {WIDTH_UNIT}.",
        "This recipe does not suit the model.",
    )
    if wanted is None:
        usual = max(USUAL_SLICES, neurons / USUAL_WIDTH)
        return min(valid, key=lambda number: abs(number - usual))
    _require(
        wanted in valid,
        f"{neurons} neurons do not make {wanted} slices of a width that is a multiple of "
        f"{WIDTH_UNIT}.",
        f"Choose {', '.join(map(str, valid))}.",
    )
    return wanted


def _require(holds: bool, message: str, hint: str) -> None:
    if not holds:
        raise RecipeError(message, hint)
