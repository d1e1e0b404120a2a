"""The model that everybody uses, while it comes and goes."""

from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest
from huggingface_hub.utils import enable_progress_bars

from janus.errors import JanusError, UsageError, WeightsMissingError
from janus.pipeline import Janus
from webui.loader import (
    Failed,
    Loading,
    ModelLoader,
    Ready,
    Report,
    holding,
    pretrained,
    reporting_bar,
)


def test_a_request_waits_for_the_model(tiny: Janus):
    go = Event()
    loader = loading(after(go, tiny))
    states = loader.waiting(every=0.01)
    assert next(states) == next(states) == Loading("some")
    go.set()
    assert loader.model() is tiny
    assert isinstance(loader.state, Ready) and not list(states)


def test_a_real_folder_is_loaded(tiny: Janus, tiny_folder: Path):
    loader = ModelLoader(pretrained(device="cpu"), Loading(str(tiny_folder)))
    loader.start(str(tiny_folder))
    assert loader.model().num_parameters == tiny.num_parameters


def test_what_goes_wrong_is_told_to_every_request():
    loader = ModelLoader(pretrained(), Loading("no-such-model"))
    loader.start("no-such-model")
    for _ in range(2):
        with pytest.raises(WeightsMissingError, match="no-such-model"):
            loader.model()
    assert isinstance(loader.state, Failed)


def test_a_fault_is_explained_too():
    def fail() -> Janus:
        raise ZeroDivisionError("by zero")

    with pytest.raises(JanusError, match="ZeroDivisionError: by zero"):
        loading(fail).model()


def test_the_old_model_stays_if_the_new_one_cannot_be_loaded(tiny: Janus):
    loader = holding(tiny)
    loader.start("no-such-model")
    assert loader.model() is tiny
    assert isinstance(loader.state, Failed)
    assert (loader.state.name, loader.name) == ("no-such-model", tiny.name)


def test_one_model_is_loaded_at_a_time(tiny: Janus):
    go = Event()
    loader = loading(after(go, tiny))
    with pytest.raises(UsageError, match="some is being loaded"):
        loader.start("other")
    go.set()
    assert loader.model() is tiny


def test_a_download_reports_its_bytes_and_nothing_else():
    enable_progress_bars()  # commands that are tested in this process switch them off
    reported: list[int] = []
    bar = reporting_bar(reported.append)
    with bar(total=9, unit="B", disable=False) as whole, bar(total=2, unit="it") as files:
        whole.update(4)
        files.update(1)
        whole.update(5)
    assert reported == [4, 9]


def loading(make: Callable[[], Janus]) -> ModelLoader:
    def load(name: str, report: Report) -> Janus:
        return make()

    loader = ModelLoader(load, Loading("some"))
    loader.start("some")
    return loader


def after(go: Event, model: Janus) -> Callable[[], Janus]:
    def make() -> Janus:
        go.wait()
        return model

    return make
