"""What can be known of a GPU without one: tensors that have a device and a shape but no numbers.

Operations on two devices are errors there, and so is whatever the host would have to wait for.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from janus.config import read_config
from janus.engine.recording import Recording, Shape
from janus.engine.request import Ticket
from janus.engine.runner import Runner
from janus.engine.scheduler import Scheduler
from janus.model.model import JanusModel
from tests.engine.conftest import PLACEHOLDER, TEXT_CONFIGS, tiny_config_json


@pytest.fixture(params=sorted(TEXT_CONFIGS))
def gpu_model(request: pytest.FixtureRequest) -> Iterator[JanusModel]:
    with FakeTensorMode(), torch.inference_mode(), torch.device("cuda"):
        yield JanusModel(read_config(tiny_config_json(request.param))).eval()


@pytest.mark.parametrize(
    "shape",
    [
        Shape(pictures=2, answers=1, window=4, filtered=True),
        Shape(pictures=4, answers=0, window=1, filtered=False),
        Shape(pictures=0, answers=2, window=1, filtered=True),
    ],
)
def test_a_recorded_pass_needs_nothing_of_the_host(
    gpu_model: JanusModel, shape: Shape, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.device("cpu"):  # the pass itself says where its tensors are
        cache = gpu_model.language_model.new_cache(9, 72)
        codes = gpu_model.embed_image(torch.arange(64, device="cuda"))
        recording = Recording(gpu_model, codes, cache, 8, shape)
        monkeypatch.setattr("torch.tensor", refuse)
        recording.run()
    assert recording.choices_C.device.type == "cuda"
    assert len(recording.choices_C) == shape.pictures * shape.window + shape.answers


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("numbers come from the host")


def test_a_plain_step_waits_for_the_chosen_ids_alone(
    gpu_model: JanusModel,
    ask: Callable[..., Any],
    draw: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    requests = [draw(4), ask(5, pictures=1), draw(4, count=2)]
    monkeypatch.setattr("torch.tensor", without_numbers)
    with torch.device("cpu"):
        runner = Runner(gpu_model, num_slots=8, length=64, placeholder_id=PLACEHOLDER)
        scheduler = Scheduler(8, 128)
        for request in requests:
            scheduler.add(Ticket(request, 16))
        scheduler.admit()
        drawing, answer, *_ = scheduler.running
        for sequence in (drawing, answer):  # the others are at their prompts
            sequence.ids = [1, 2]
        assert first_wait(runner, scheduler) == "Runner.step"
        answer.ids = []
        assert first_wait(runner, scheduler) == "Runner.step"


def first_wait(runner: Runner, scheduler: Scheduler) -> str:
    """The function of ours that wants a number of the device."""
    with pytest.raises(DataDependentOutputException) as caught:
        runner.step(dict.fromkeys(scheduler.running, 1))
    ours = [entry for entry in caught.traceback if entry.path.parent.parent.name == "janus"]
    return ours[-1].frame.code.raw.co_qualname


def without_numbers(values: Any, dtype: Any = None, device: Any = None) -> torch.Tensor:
    dtypes = {"i": torch.int64, "f": torch.float32, "b": torch.bool}
    array = np.array(values)
    return torch.empty(array.shape, dtype=dtype or dtypes[array.dtype.kind], device=device)
