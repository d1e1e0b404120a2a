"""Every knob of drawing and writing, described once.

A knob has a name, a type, a default, a range and a sentence of help; the command line, the server
and the studio read them from here. `DrawParams` and `TextParams` hold checked values. Knows neither
models nor tensors: importing it costs nothing.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from janus.errors import UsageError

LARGEST_SEED = 2**63 - 1
LARGEST_TOP_K = 1_000_000  # no vocabulary and no codebook has more

Kind = Literal["float", "int", "bool", "text", "strings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Knob:
    """One setting, as a person meets it."""

    name: str
    kind: Kind
    default: Any
    help: str
    minimum: float | None = None
    maximum: float | None = None
    above_minimum: bool = False
    aliases: tuple[str, ...] = ()
    of_model: bool = False  # a checkpoint may state a default of its own

    @property
    def range(self) -> str:
        """Such as `1 to 20`, or an empty string where any value will do."""
        if self.minimum is None:
            return ""
        if self.maximum is None:
            return f"{self.minimum} or more"
        if self.above_minimum:
            return f"above {self.minimum}, up to {self.maximum}"
        return f"{self.minimum} to {self.maximum}"

    def check(self, value: Any) -> Any:
        """The value in the knob's own type. Raises `UsageError` with name, value and range."""
        if value is None and self.default is None:
            return None
        checked = _CONVERSIONS[self.kind](value)
        if checked is None:
            raise UsageError(f"{self.name} is {value!r}, but must be {self._nature()}.")
        if not self._contains(checked):
            raise UsageError(f"{self.name} is {value!r}, but must be {self.range}.")
        return checked

    def _contains(self, value: Any) -> bool:
        # Written so that a value which compares with nothing, such as nan, is outside.
        if self.minimum is None:
            return True
        above = value > self.minimum if self.above_minimum else value >= self.minimum
        return above and (self.maximum is None or value <= self.maximum)

    def _nature(self) -> str:
        nature = _NATURES[self.kind]
        return f"{nature}, {self.range}" if self.range else nature


def _knob(default: Any, kind: Kind, help: str, **limits: Any) -> Any:
    return field(default=default, metadata={"kind": kind, "help": help, **limits})


def _temperature(default: float, *, of_model: bool = False) -> Any:
    help = "How freely to choose: 0 always takes the likeliest, 1 is the model's own measure."
    return _knob(default, "float", help, minimum=0, maximum=2, of_model=of_model)


def _top_k() -> Any:
    help = "Choose among this many of the likeliest only; 0: all."
    return _knob(0, "int", help, minimum=0, maximum=LARGEST_TOP_K)


def _top_p(default: float) -> Any:
    help = "Choose among the likeliest that together have this probability; 1: all."
    return _knob(default, "float", help, minimum=0, maximum=1, above_minimum=True)


def _seed() -> Any:
    help = "The same seed and settings give the same result; none: a new one each time."
    return _knob(None, "int", help, minimum=0, maximum=LARGEST_SEED)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawParams:
    """How to draw. Raises `UsageError` for a value out of range."""

    guidance: float = _knob(
        5.0,
        "float",
        "How closely to follow the prompt; 1 turns guidance off and takes half the time.",
        minimum=1,
        maximum=20,
        aliases=("guidance_scale",),
        of_model=True,
    )
    temperature: float = _temperature(1.0, of_model=True)
    top_k: int = _top_k()
    top_p: float = _top_p(1.0)
    seed: int | None = _seed()
    count: int = _knob(
        1,
        "int",
        "How many pictures; picture i uses seed + i.",
        minimum=1,
        maximum=64,
        aliases=("num_images_per_prompt",),
    )
    style: str | None = _knob(
        None, "text", "The name of a style, which completes the prompt; none: only what it says."
    )
    reference: bool = _knob(
        False, "bool", "Sample exactly as the original code does, number by number; slower."
    )

    def __post_init__(self) -> None:
        _check_all(self)
        if self.reference and (self.top_k or self.top_p < 1):
            raise UsageError(
                f"reference cannot go with top_k {self.top_k} and top_p {self.top_p}.",
                "The original code samples from all codes: leave top_k at 0 and top_p at 1.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TextParams:
    """How to write. Raises `UsageError` for a value out of range."""

    max_tokens: int = _knob(
        512,
        "int",
        "The longest answer, in tokens.",
        minimum=1,
        maximum=16384,
        aliases=("max_new_tokens",),
    )
    temperature: float = _temperature(0.0)
    top_p: float = _top_p(0.95)
    top_k: int = _top_k()
    seed: int | None = _seed()
    stop: tuple[str, ...] = _knob((), "strings", "End the answer before any of these texts.")

    def __post_init__(self) -> None:
        _check_all(self)


def knobs(cls: type) -> tuple[Knob, ...]:
    """The knobs of `DrawParams` or `TextParams`, in their order."""
    return tuple(
        Knob(name=field.name, default=field.default, **field.metadata) for field in fields(cls)
    )


Params = TypeVar("Params", DrawParams, TextParams)


def settings_from(
    cls: type[Params],
    values: Mapping[str, Any],
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> Params:
    """Params from a mapping; the names that the field already uses stand for ours.

    `defaults`, under our names, go before those of the class.

    Raises:
        UsageError: an unknown name, the same setting under two names, or a value out of range.
    """
    names = {alias: knob.name for knob in knobs(cls) for alias in (knob.name, *knob.aliases)}
    settings: dict[str, Any] = {}
    for given, value in values.items():
        if given not in names:
            raise _unknown(given, list(names), [knob.name for knob in knobs(cls)])
        if names[given] in settings:
            raise UsageError(f"{given} and {names[given]} are the same setting: give one of them.")
        settings[names[given]] = value
    return cls(**{**defaults, **settings})


def _unknown(given: str, accepted: list[str], shown: list[str]) -> UsageError:
    near = difflib.get_close_matches(given, accepted, n=1)
    question = f"Did you mean {near[0]!r}? " if near else ""
    return UsageError(
        f"There is no setting {given!r}.", f"{question}The settings are: {', '.join(shown)}."
    )


def _check_all(params: Any) -> None:
    for knob in knobs(type(params)):
        object.__setattr__(params, knob.name, knob.check(getattr(params, knob.name)))


# A value in the type of its knob, or None where it has another nature.


def _as_float(value: Any) -> float | None:
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else None


def _as_int(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    # JSON and sliders write whole numbers as 4.0 now and then.
    if isinstance(value, Integral) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    return None


def _as_bool(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _as_text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _as_strings(value: Any) -> tuple[str, ...] | None:
    if isinstance(value, str):
        value = (value,)
    if isinstance(value, (tuple, list)) and all(isinstance(v, str) and v for v in value):
        return tuple(value)
    return None


_CONVERSIONS = {
    "float": _as_float,
    "int": _as_int,
    "bool": _as_bool,
    "text": _as_text,
    "strings": _as_strings,
}
_NATURES = {
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
    "text": "a text",
    "strings": "texts that are not empty",
}
