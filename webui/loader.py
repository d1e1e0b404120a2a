"""The model that everybody uses, loaded and exchanged in the background.

In: a model's name. Out: its state as it changes (`Loading`, then `Ready` or `Failed`), and the
`Janus` itself for whoever needs it. Shows nothing and knows no Gradio.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from janus.errors import JanusError, UsageError, as_janus_error

if TYPE_CHECKING:
    from janus.pipeline import Janus

Report = Callable[[int], None]  # takes the bytes downloaded so far
Load = Callable[[str, Report], "Janus"]


@dataclass(frozen=True, slots=True)
class Loading:
    name: str
    num_bytes: int = 0  # downloaded so far


@dataclass(frozen=True, slots=True)
class Ready:
    model: "Janus"

    @property
    def name(self) -> str:
        return self.model.name


@dataclass(frozen=True, slots=True)
class Failed:
    name: str
    error: JanusError
    previous: "Janus | None"  # still in use


State = Loading | Ready | Failed


def short(name: str) -> str:
    """A model's name without the folder or the owner before it."""
    return PurePath(name).name or name


class ModelLoader:
    """One model at a time; it stays in use if its successor cannot be loaded."""

    def __init__(self, load: Load, state: State) -> None:
        self.state = state
        self._load = load
        self._lock = threading.Lock()
        self._settled = threading.Event()
        if not isinstance(state, Loading):
            self._settled.set()

    @property
    def name(self) -> str:
        """Of the model that answers next."""
        state = self.state
        return state.previous.name if isinstance(state, Failed) and state.previous else state.name

    def start(self, name: str) -> None:
        """Begins to load a model. Raises `UsageError` while another one is being loaded."""
        with self._lock:
            if not self._settled.is_set() and self.state != Loading(name):
                raise UsageError(f"{self.state.name} is being loaded.", "Wait for its end first.")
            previous = self.current
            self.state = Loading(name)
            self._settled.clear()
        threading.Thread(target=self._run, args=(name, previous), daemon=True).start()

    def waiting(self, every: float = 0.25) -> Iterator[Loading]:
        """The state again and again, until the model is there or could not be loaded."""
        while isinstance(state := self.state, Loading):
            yield state
            self._settled.wait(every)

    def model(self) -> "Janus":
        """The model, as soon as there is one. Raises the `JanusError` that prevented it."""
        self._settled.wait()
        model = self.current
        if model is None:
            assert isinstance(self.state, Failed)
            raise self.state.error
        return model

    @property
    def current(self) -> "Janus | None":
        """The model that is in use at this moment."""
        if isinstance(self.state, Ready):
            return self.state.model
        return self.state.previous if isinstance(self.state, Failed) else None

    def _run(self, name: str, previous: "Janus | None") -> None:
        def report(num_bytes: int) -> None:
            self.state = Loading(name, num_bytes)

        try:
            self.state = Ready(self._load(name, report))
        except Exception as error:
            self.state = Failed(name, _explained(error), previous)
        self._settled.set()


def holding(model: "Janus") -> ModelLoader:
    """A loader that has its model already."""
    return ModelLoader(pretrained(), Ready(model))


def pretrained(*, device: str = "auto", dtype: str = "auto", quantize: str | None = None) -> Load:
    """Loads with `Janus.from_pretrained`, and reports a download as it goes on."""

    def load(name: str, report: Report) -> "Janus":
        from janus.pipeline import Janus
        from weights.hub import locate

        locate(name, progress=reporting_bar(report))
        return Janus.from_pretrained(
            name,
            device=device,
            dtype=dtype,
            quantize=quantize,
            local_files_only=True,
        )

    return load


def reporting_bar(report: Report) -> type:
    """A progress bar as huggingface_hub wants it, which also reports the bytes."""
    from huggingface_hub.utils import tqdm

    class ReportingBar(tqdm):
        def __init__(self, *args: Any, **settings: Any) -> None:
            # Without a terminal the bar is switched off, and then keeps neither of these.
            self.is_of_bytes = settings.get("unit") == "B"
            self.num_done = settings.get("initial", 0)
            super().__init__(*args, **settings)

        def update(self, n: float | None = 1) -> bool | None:
            self.num_done += n or 0
            if self.is_of_bytes and self.num_done:
                report(int(self.num_done))
            return super().update(n)

    return ReportingBar


def _explained(error: Exception) -> JanusError:
    known = as_janus_error(error)
    if known is None:
        logging.getLogger(__name__).exception("a model could not be loaded", exc_info=error)
    return known or JanusError(f"{type(error).__name__}: {error}", "The log says more.")
