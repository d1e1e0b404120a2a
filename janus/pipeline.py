"""Janus for people: pictures and words in, words and pictures out.

Loads a checkpoint with all that belongs to it, and drives the engine until requests are answered.
What people pass becomes requests in `janus.requests`, ids become pictures in `janus.painting`, and
`janus.insight` looks into the model. Several threads may use one `Janus`.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from janus import saving
from janus.engine.request import ImageRequest, TextRequest, Ticket
from janus.engine.shared import SharedEngine
from janus.engine.worker import EngineWorker
from janus.errors import UsageError, WeightsMissingError, as_janus_error
from janus.generation.reading import AnswerReader
from janus.generation.results import DrawStep, Picture, TextResult
from janus.insight import CAPTION_REQUEST, Insight
from janus.model.loading import load_model
from janus.model.model import JanusModel
from janus.model.moving import moved
from janus.painting import Painting
from janus.prompts.chat import PromptStyle
from janus.prompts.history import Message
from janus.prompts.tokenizer import JanusTokenizer
from vision.pixels import Source
from weights import catalog
from weights.hub import locate

DEFAULT_MODEL = catalog.BUNDLED


class Janus(Insight, Painting):
    """A model that sees and draws. Make one with `Janus.from_pretrained`."""

    def __init__(
        self,
        model: JanusModel,
        tokenizer: JanusTokenizer,
        style: PromptStyle,
        *,
        name: str,
        **drawing: float,
    ) -> None:
        """`drawing`: the guidance and temperature of drawings that ask for none."""
        super().__init__(model, tokenizer, style, name=name, **drawing)
        self.engine: SharedEngine | EngineWorker = SharedEngine(
            model, context=self.template.context, placeholder_id=tokenizer.special.image
        )

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        quantize: str | None = None,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        token: str | None = None,
        local_files_only: bool = False,
    ) -> "Janus":
        """Opens a model by its name, hub id or folder, in either published layout.

        Downloads it if need be. `quantize` ("int8", "int4") packs the transformer's weights into
        fewer bits, on a CPU: less memory and time, slightly other results.

        Raises `WeightsMissingError` with the reason where a download fails, and `UsageError` for a
        device, dtype or quantization that cannot be used.
        """
        try:
            folder = locate(
                os.fspath(name_or_folder),
                revision=revision,
                cache_dir=None if cache_dir is None else Path(cache_dir),
                token=token,
                local_files_only=local_files_only,
            )
            model = load_model(folder, device=device, dtype=dtype, quantize=quantize)
            processor, drawing = saving.read_processor(folder), saving.read_drawing(folder)
        except Exception as error:
            raise as_janus_error(error) or error from error
        tokenizer = JanusTokenizer.open(folder)
        if len(tokenizer) > model.config.transformer.vocab_size:
            raise WeightsMissingError(
                f"The tokenizer has {len(tokenizer)} entries, the model only "
                f"{model.config.transformer.vocab_size}.",
                "Use the tokenizer.json that came with the weights.",
            )
        style = PromptStyle.of_checkpoint(tokenizer, processor)
        entry = catalog.find(os.fspath(name_or_folder))
        name = entry.name if entry else os.path.basename(os.path.normpath(name_or_folder))
        return cls(model, tokenizer, style, name=name, **drawing)

    # ------------------------------------------------------------ seeing

    def caption(self, picture: Source, **settings: Any) -> str:
        """What the picture shows, in words. Settings as for `ask`."""
        return self.ask(picture, CAPTION_REQUEST, **settings)

    def ask(
        self,
        pictures: Source | Sequence[Source] | None,
        question: str,
        *,
        history: Sequence[Message] = (),
        **settings: Any,
    ) -> str:
        """The answer to a question about one picture, several, or none.

        `history` holds earlier turns, as (question, answer) pairs or as messages
        `{"role": "user" | "assistant", "content": str, "pictures": [...]}`. Where it has no
        pictures of its own, `pictures` were shown in its first turn.

        Settings: `max_tokens`, `temperature`, `top_p`, `top_k`, `seed`, `stop`
        (`janus.generation.params.TextParams`).
        """
        return "".join(self.ask_stream(pictures, question, history=history, **settings))

    def ask_stream(
        self,
        pictures: Source | Sequence[Source] | None,
        question: str,
        *,
        history: Sequence[Message] = (),
        **settings: Any,
    ) -> Iterator[str]:
        """`ask`, piece by piece as the words come. Closing the iterator stops the model."""
        request = self.text_request(pictures, question, history=history, **settings)
        return self._stream_text(request)

    def answer(self, request: TextRequest) -> TextResult:
        """A prepared request's whole answer, with why it ended and its token counts."""
        reader = self.reader(request)
        text, ticket = "", None
        for piece, reached in self._pieces(request, reader):
            text, ticket = text + piece, reached
        assert ticket is not None
        return TextResult(
            text=text,
            finish_reason="stop" if reader.found_stop else ticket.finish_reason or "stop",
            prompt_tokens=len(request.prompt),
            completion_tokens=len(ticket.ids),
        )

    # ------------------------------------------------------------ drawing

    def draw(self, prompt: str, **settings: Any) -> list[Picture]:
        """Pictures of what the prompt says; picture i is drawn with seed + i.

        Settings: `count`, `seed`, `guidance`, `temperature`, `top_k`, `top_p`, `style`, `reference`
        (`janus.generation.params.DrawParams`), or diffusers' names for them; `generator` gives
        its initial seed. Guidance and temperature are the checkpoint's own unless they are given;
        `janus.prompts.styles` has the styles.
        """
        for step in self.draw_stream(prompt, **settings):
            if step.pictures is not None:
                return list(step.pictures)
        raise AssertionError("a drawing ended without pictures")

    def draw_stream(self, prompt: str, **settings: Any) -> Iterator[DrawStep]:
        """`draw`, step by step: progress, a preview on demand, pictures as they are finished.

        A step may bring nothing, so that whoever waits for others can give up.

        Closing the iterator stops the model.
        """
        return self._stream_drawing(prompt, self.image_request(prompt, **settings))

    def must_wait(self, num_rows: int) -> bool:
        """Whether a request of so many rows waits until somebody else's ends; seen from outside."""
        return self.engine.must_wait(num_rows)

    # ------------------------------------------------------------ the model itself

    def to(
        self, device: str | torch.device | None = None, dtype: str | torch.dtype | None = None
    ) -> "Janus":
        """The same on another device or of another number type; itself where that changes nothing.

        Raises `UsageError` for a device or dtype that cannot be used, and for a quantized model.
        """
        model = moved(self.model, device, dtype)
        if model is self.model:
            return self
        style = self.template.style
        return Janus(model, self.tokenizer, style, name=self.name, **self.drawing)

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Writes a checkpoint in transformers' layout, which stock transformers opens."""
        if self.quantization is not None:
            raise UsageError(
                "A quantized model cannot be saved.",
                "Load it without quantize and save that, or use `janus weights quantize`.",
            )
        try:
            style = self.template.style
            saving.save(folder, self.model, self.tokenizer, style, drawing=self.drawing)
        except Exception as error:
            raise as_janus_error(error) or error from error

    def __repr__(self) -> str:
        size = f"{self.num_parameters / 1e6:.0f} M"
        return f"Janus({self.name!r}, {size}, {self.number_type}, {self.device})"

    # ------------------------------------------------------------ inside

    def _stream_text(self, request: TextRequest) -> Iterator[str]:
        for piece, _ in self._pieces(request, self.reader(request)):
            if piece:
                yield piece

    def _pieces(self, request: TextRequest, reader: AnswerReader) -> Iterator[tuple[str, Ticket]]:
        """The text that each step adds, which may be none."""
        for ticket in self.engine.run(request):
            done = ticket.done  # once: other threads step it too
            yield reader.read(ticket.ids, done=done), ticket
            if reader.found_stop:
                return

    def _stream_drawing(self, prompt: str, request: ImageRequest) -> Iterator[DrawStep]:
        finished: dict[int, Picture] = {}
        for ticket in self.engine.run(request):
            step = self.draw_step(prompt, ticket, finished)
            finished |= step.new_pictures
            yield step
            if step.finished:
                return
