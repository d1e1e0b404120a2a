"""A model that works in the processes which ZeroGPU forks.

In: a model, and the decorator that sends the work of a generator to such a process (`spaces.GPU`).
Out: a `Janus` that the studio uses like any other. Threads and locks do not survive a fork: the
engine is made in the worker, by its first request, and stepped there by the generator itself. What
is sent is pickled: pictures, words and prompts to the worker, and back come steps with their
previews drawn, pieces of text, figures, and errors as values, because of those that are raised
ZeroGPU passes on the name.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial, wraps
from typing import Any, TypeVar

import numpy as np
import torch

from janus.errors import JanusError, as_janus_error
from janus.generation.results import DrawStep
from janus.pipeline import Janus
from janus.prompts.batch import Prompt
from janus.prompts.history import Message
from vision.pixels import Source
from webui.drawing import SECONDS_BETWEEN_FRAMES
from webui.pace import Pace

# Asked of ZeroGPU beforehand, at the visitor's cost. Estimates for Janus-Pro-7B on half an RTX Pro
# 6000, from its memory's speed: nobody has measured them there.
SECONDS_TO_START = 10.0
SECONDS_OF_FIRST_PICTURE = 10.0
SECONDS_OF_NEXT_PICTURES = 4.0  # each
SECONDS_OF_A_WORD = 0.03
SECONDS_OF_A_TOKEN = 0.001  # that is only read; what is done with it afterwards included
LONGEST_SECONDS = 120.0

Gpu = Callable[..., Callable[[Callable[..., Iterator[Any]]], Callable[..., Iterator[Any]]]]
Settings = Mapping[str, Any]
T = TypeVar("T")


class ZeroJanus(Janus):
    """Make it before the page is launched: ZeroGPU wants to know by then what needs a GPU."""

    def __init__(self, model: Janus, gpu: Gpu) -> None:
        super().__init__(
            model.model,
            model.tokenizer,
            model.template.style,
            name=model.name,
            guidance=model.guidance,
            temperature=model.temperature,
        )
        # Threads of the page would be told that it is a CPU.
        self._device = model.device
        self._draw = gpu(duration=seconds_to_draw)(_errors_as_values(self._drawing_steps))
        self._ask = gpu(duration=seconds_to_ask)(_errors_as_values(self._pieces_of_answer))
        self._read = gpu(duration=seconds_to_read)(_errors_as_values(self._readings))

    def draw_stream(self, prompt: str, **settings: Any) -> Iterator[DrawStep]:
        request = self.image_request(prompt, **settings)
        return _received(self._draw(prompt, asdict(request.params) | {"seed": request.seed}))

    def ask_stream(
        self,
        pictures: Source | Sequence[Source] | None,
        question: str,
        *,
        history: Sequence[Message] = (),
        **settings: Any,
    ) -> Iterator[str]:
        request = self.text_request(pictures, question, history=history, **settings)
        chosen = asdict(request.params) | {"seed": request.seed, "history": history}
        return _received(self._ask(pictures, question, chosen))

    @property
    def device(self) -> torch.device:
        return self._device

    def _review(self, work: Callable[..., T], *prompts: Prompt) -> T:
        [figures] = _received(self._read(work, *map(SentPrompt.of, prompts)))
        return figures

    def _drawing_steps(self, prompt: str, settings: Settings) -> Iterator[DrawStep]:
        """As many as can be shown, with what they show."""
        pace = Pace(SECONDS_BETWEEN_FRAMES)
        for step in super().draw_stream(prompt, **settings):
            if pace.is_due() or step.new_pictures or step.finished:
                with pace.update():
                    yield replace(
                        step,
                        make_previews=partial(_itself, list(step.previews())),
                        make_mosaic=partial(_itself, step.mosaic()),
                    )

    def _pieces_of_answer(
        self, pictures: Source | Sequence[Source] | None, question: str, settings: Settings
    ) -> Iterator[str]:
        yield from super().ask_stream(pictures, question, **settings)

    def _readings(self, work: Callable[..., T], *sent: "SentPrompt") -> Iterator[T]:
        yield super()._review(work, *(prompt.received() for prompt in sent))


@dataclass(frozen=True, slots=True)
class SentPrompt:
    """A prompt without tensors.

    Those that are sent to a process take shared memory, of which containers have little.
    """

    ids: tuple[int, ...]
    pixels: np.ndarray | None = None

    @classmethod
    def of(cls, prompt: Prompt) -> "SentPrompt":
        return cls(prompt.ids, None if prompt.pixels is None else prompt.pixels.numpy())

    def received(self) -> Prompt:
        return Prompt(self.ids, None if self.pixels is None else torch.from_numpy(self.pixels))


def seconds_to_draw(prompt: str, settings: Settings) -> float:
    """How long to ask a GPU for."""
    further = (settings["count"] - 1) * SECONDS_OF_NEXT_PICTURES
    return min(SECONDS_TO_START + SECONDS_OF_FIRST_PICTURE + further, LONGEST_SECONDS)


def seconds_to_ask(pictures: Any, question: str, settings: Settings) -> float:
    """How long to ask a GPU for."""
    words = settings["max_tokens"] * SECONDS_OF_A_WORD
    return min(SECONDS_TO_START + words, LONGEST_SECONDS)


def seconds_to_read(work: Any, *prompts: SentPrompt) -> float:
    """How long to ask a GPU for."""
    read = sum(len(prompt.ids) for prompt in prompts) * SECONDS_OF_A_TOKEN
    return min(SECONDS_TO_START + read, LONGEST_SECONDS)


def _errors_as_values(work: Callable[..., Iterator[Any]]) -> Callable[..., Generator[Any]]:
    """An error that people can understand is yielded."""

    @wraps(work)
    def run(*arguments: Any) -> Generator[Any]:
        try:
            yield from work(*arguments)
        except Exception as error:
            known = as_janus_error(error)
            if known is None:
                raise
            yield known

    return run


def _received(sent: Iterator[T | JanusError]) -> Iterator[T]:
    with closing(sent):  # pyright: ignore[reportArgumentType]
        for item in sent:
            if isinstance(item, JanusError):
                raise item
            yield item


def _itself(value: T) -> T:
    return value
