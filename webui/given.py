"""Which settings somebody set, while it is not known yet what suits the model.

Until a model is loaded the page shows the usual guidance and temperature. Its own go before those,
and what a link, the browser's memory or the person set goes before its own. Knows no Gradio.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SUITED = ("guidance", "temperature")  # a model may have its own


@dataclass(slots=True)
class Given:
    """Of one visitor, for the model that is there or being loaded."""

    values: dict[str, float] = field(default_factory=dict)
    is_for_loaded: bool = False

    def begin_loading(self) -> None:
        """What was set for the model before is not meant for this one."""
        if self.is_for_loaded:
            self.values.clear()
            self.is_for_loaded = False

    def set(self, settings: Mapping[str, Any]) -> None:
        self.values.update({name: settings[name] for name in SUITED if name in settings})

    def missing(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Those of `settings` that nobody set."""
        names = [name for name in SUITED if name in settings and name not in self.values]
        return {name: settings[name] for name in names}

    def drop_others(self, settings: dict[str, Any]) -> None:
        """Leaves to the model what nobody set."""
        for name in SUITED:
            if name not in self.values:
                settings.pop(name, None)
