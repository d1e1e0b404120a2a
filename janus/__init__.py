"""Janus: one model that sees and draws.

    from janus import Janus
    model = Janus.from_pretrained("janus-emoji")
    model.caption("photo.jpg")
    model.draw("two red hearts")[0].save("hearts.png")

Importing this package loads neither torch nor anything else heavy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from janus.errors import JanusError
    from janus.generation.params import DrawParams, TextParams
    from janus.generation.results import DrawStep, Picture
    from janus.pipeline import Janus

__version__ = "0.1.0"
__all__ = ["DrawParams", "DrawStep", "Janus", "JanusError", "Picture", "TextParams"]

_HOMES = {
    "DrawParams": "janus.generation.params",
    "DrawStep": "janus.generation.results",
    "Janus": "janus.pipeline",
    "JanusError": "janus.errors",
    "Picture": "janus.generation.results",
    "TextParams": "janus.generation.params",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'janus' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
