"""Janus for people: pictures and words in, words and pictures out.

Loads a checkpoint with all that belongs to it, turns what people pass into requests, and drives the
engine until they are answered. Several threads may use one `Janus`.
"""

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from PIL import Image

import vision.preview
from janus import saving
from janus.devices import beside_others
from janus.engine.request import ImageRequest, TextRequest, Ticket
from janus.engine.request import Sequence as Drawn
from janus.engine.shared import SharedEngine
from janus.engine.worker import EngineWorker
from janus.errors import UsageError, WeightsMissingError, as_janus_error
from janus.generation.params import DrawParams, TextParams, settings_from
from janus.generation.reading import AnswerReader
from janus.generation.results import DrawStep, Picture, TextResult
from janus.generation.review import (
    count_experts,
    log_likelihood,
    places_looked_at,
    watched_experts,
)
from janus.model.loading import load_model, num_parameters
from janus.model.model import JanusModel
from janus.model.moving import moved
from janus.prompts.batch import Prompt
from janus.prompts.chat import ChatTemplate, PromptStyle, Turn
from janus.prompts.history import Message, conversation, turns_of
from janus.prompts.styles import styled
from janus.prompts.tokenizer import JanusTokenizer
from vision.mosaic import CodeColours, mosaic
from vision.pixels import Source, to_pictures
from vision.sheet import contact_sheet
from weights import catalog
from weights.hub import locate

DEFAULT_MODEL = catalog.BUNDLED
CAPTION_REQUEST = "Describe this picture."
TRAINED_CONTEXT = 4096  # of every published checkpoint, whatever its config says
LARGEST_RANDOM_SEED = 2**32


class Janus:
    """A model that sees and draws. Make one with `Janus.from_pretrained`."""

    def __init__(
        self,
        model: JanusModel,
        tokenizer: JanusTokenizer,
        style: PromptStyle,
        *,
        name: str,
        guidance: float = DrawParams().guidance,
        temperature: float = DrawParams().temperature,
    ) -> None:
        """`guidance` and `temperature` are those of drawings that ask for none."""
        self.model, self.tokenizer, self.name = model, tokenizer, name
        self.guidance, self.temperature = guidance, temperature
        self.colours = CodeColours(model.vqmodel)
        context = min(model.config.transformer.max_position_embeddings, TRAINED_CONTEXT)
        self.template = ChatTemplate(
            tokenizer, style, num_image_tokens=model.config.num_image_tokens, context=context
        )
        self.engine: SharedEngine | EngineWorker = SharedEngine(
            model, context=context, placeholder_id=tokenizer.special.image
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

    def match(self, pictures: Sequence[Source], prompt: str) -> list[float]:
        """How well each picture shows what the prompt says, by the model's own seeing.

        The mean log-likelihood of the prompt as a description of the picture (VisualGPTScore, Lin
        et al. 2023): at most 0, and only to be compared with others of the same prompt.
        """
        wanted = self.template.answer_ids(prompt)
        special = self.tokenizer.special
        with beside_others(self.device):
            return [
                log_likelihood(self.model, request.prompt, wanted, special.image)
                for request in (self.text_request(p, CAPTION_REQUEST) for p in pictures)
            ]

    def looked_at(
        self,
        pictures: Source | Sequence[Source] | None,
        question: str,
        answer: str,
        *,
        history: Sequence[Message] = (),
    ) -> list[np.ndarray]:
        """Where in each picture it looked for an answer: squares of [grid, grid], 0 to 1.

        They cover the picture as the model sees it, padded to a square; `vision.overlay` shows
        them. `history` as for `ask`: all pictures of the conversation have a square, in their
        order. An explanation of attention, and no more: what the answer rests on may be elsewhere.

        Raises `UsageError` without a picture, `ContextError` where answer and history do not fit.
        """
        words, special = self.template.answer_ids(answer), self.tokenizer.special
        asked, plain = (
            self.text_request(pictures, text, history=history, max_tokens=len(words)).prompt
            for text in (question, CAPTION_REQUEST)
        )
        if asked.pixels is None:
            raise UsageError("There is no picture to look at.", "Pass one picture or several.")
        with beside_others(self.device):
            places_P = places_looked_at(self.model, asked, words, plain, special)
        grid = self.model.config.vision.grid_size
        return list(places_P.view(-1, grid, grid).numpy())

    def experts_for_answer(
        self,
        pictures: Source | Sequence[Source] | None,
        question: str,
        answer: str,
        *,
        history: Sequence[Message] = (),
    ) -> dict[str, np.ndarray]:
        """How often each expert was chosen: by "text" and by what is "seen", [layers, experts].

        Layers without experts are left out. `history` as for `ask`.

        Raises `UsageError` for a model without experts, `ContextError` where all does not fit.
        """
        words = self.template.answer_ids(answer)
        room = {"max_tokens": len(words)}
        request = self.text_request(pictures, question, history=history, **room)
        return self._experts(request.prompt, words, draws=False)

    def experts_for_drawing(self, prompt: str, ids: Sequence[int]) -> dict[str, np.ndarray]:
        """How often each expert was chosen: by "text" and by what is "drawn", [layers, experts].

        `ids` are those of a `Picture`, or as many as there are of one. The row without the prompt,
        which guidance adds, does not count.

        Raises `UsageError` for a model without experts, and for ids that it does not know.
        """
        config = self.model.config
        if not set(ids) <= set(range(config.codebook.num_embeddings)):
            raise UsageError("These ids are no ids of this model.", "Pass those of its pictures.")
        return self._experts(self.template.to_draw(prompt), ids, draws=True)

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

    def text_request(
        self,
        pictures: Source | Sequence[Source] | None,
        question: str,
        *,
        history: Sequence[Message] = (),
        **settings: Any,
    ) -> TextRequest:
        """What the engine needs for `ask`; checks everything that can be checked before it runs."""
        turns = conversation(history, question, pictures, self.image_size)
        return self._text_request(turns, settings)

    def chat_request(self, messages: Sequence[Message], **settings: Any) -> TextRequest:
        """What the engine needs for the next answer of a conversation, as `ask` has its history.

        The last message is the question, with pictures of its own if it likes.
        """
        return self._text_request(turns_of(messages, self.image_size), settings)

    def _text_request(self, turns: Sequence[Turn], settings: Mapping[str, Any]) -> TextRequest:
        params = settings_from(TextParams, _with_seed(settings))
        chosen = not settings.keys().isdisjoint({"max_tokens", "max_new_tokens"})
        prompt = self.template.to_answer(turns, answer_tokens=params.max_tokens if chosen else 1)
        room = self.template.context - len(prompt)
        params = replace(params, max_tokens=min(params.max_tokens, room))
        return TextRequest(
            prompt=prompt,
            params=params,
            seed=_seed(params.seed),
            eos_ids=frozenset([self.tokenizer.special.eos]),
        )

    def reader(self, request: TextRequest) -> AnswerReader:
        """Turns the ids of a prepared request's answer into text."""
        return AnswerReader(self.tokenizer, request.params.stop)

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

    def image_request(self, prompt: str, **settings: Any) -> ImageRequest:
        """What the engine needs for `draw`; checks everything that can be checked."""
        params = settings_from(DrawParams, _with_seed(settings), self._drawing)
        drawn = styled(prompt, params.style, self.name)
        if not drawn.strip():
            raise UsageError("The prompt is empty.", "Say what to draw.")
        return ImageRequest(
            prompt=self.template.to_draw(drawn),
            params=params,
            seed=_seed(params.seed),
            pad_id=self.tokenizer.special.pad,
        )

    def prompt_length(self, prompt: str) -> tuple[int, int]:
        """How many tokens of a prompt to draw there are, and how many there may be."""
        return self.template.length_to_draw(prompt)

    def must_wait(self, num_rows: int) -> bool:
        """Whether a request of so many rows waits until somebody else's ends; seen from outside."""
        return self.engine.must_wait(num_rows)

    def draw_step(
        self, prompt: str, ticket: Ticket, before: Mapping[int, Picture] = MappingProxyType({})
    ) -> DrawStep:
        """How far a prepared request of this prompt has come; with the pictures that are finished.

        `before` has those that were finished earlier, by their places: they are not painted again.
        """
        # First: other threads bring it further.
        whole = [sequence for sequence in ticket.sequences if sequence.finish_reason == "stop"]
        new = [sequence for sequence in whole if sequence.index not in before]
        new_pictures = {each.index: self._picture(prompt, ticket, each) for each in new}
        finished, ids = {**before, **new_pictures}, tuple(ticket.pictures)
        is_done = len(whole) == len(ids)
        return DrawStep(
            index=ticket.num_steps,
            total=ticket.total_steps,
            passes=ticket.num_passes,
            ids=ids,
            make_previews=lambda: self._previews(ids, finished),
            make_mosaic=lambda: contact_sheet(self.mosaics(ticket)),
            pictures=tuple(finished[place] for place in range(len(ids))) if is_done else None,
            new_pictures=new_pictures,
            held_back=ticket.held_back,
        )

    def previews(self, pictures: Sequence[Sequence[int]]) -> list[Image.Image]:
        """Pictures of which so many ids are known, in full size."""
        grid, decoder = self.model.config.vision.grid_size, self.model.vqmodel
        with beside_others(self.device):
            return [vision.preview.preview(decoder, list(ids), grid) for ids in pictures]

    def mosaics(self, ticket: Ticket) -> list[Image.Image]:
        """The ids of each picture as far as they have come, as coloured squares."""
        grid = self.model.config.vision.grid_size
        with beside_others(self.device):
            return [
                mosaic(self.colours.of(ids), grid, num_new=0 if s.finish_reason else s.num_new)
                for ids, s in zip(ticket.pictures, ticket.sequences, strict=True)
            ]

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
        return Janus(model, self.tokenizer, style, name=self.name, **self._drawing)

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Writes a checkpoint in transformers' layout, which stock transformers opens."""
        if self.quantization is not None:
            raise UsageError(
                "A quantized model cannot be saved.",
                "Load it without quantize and save that, or use `janus weights quantize`.",
            )
        try:
            style = self.template.style
            saving.save(folder, self.model, self.tokenizer, style, drawing=self._drawing)
        except Exception as error:
            raise as_janus_error(error) or error from error

    @property
    def image_size(self) -> int:
        """Pixels along a side of what it sees and draws."""
        return self.model.config.vision.image_size

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        return self.model.dtype

    @property
    def quantization(self) -> str | None:
        """ "int8" or "int4" where the transformer's weights are packed into fewer bits."""
        return self.model.quantization

    @property
    def has_experts(self) -> bool:
        """Whether some of its feed-forward layers are mixtures of experts."""
        return self.model.config.transformer.experts is not None

    @property
    def number_type(self) -> str:
        """Of weights and activations, as people call it."""
        return self.model.number_type

    @property
    def num_parameters(self) -> int:
        return num_parameters(self.model)

    def __repr__(self) -> str:
        size = f"{self.num_parameters / 1e6:.0f} M"
        return f"Janus({self.name!r}, {size}, {self.number_type}, {self.device})"

    # ------------------------------------------------------------ inside

    @property
    def _drawing(self) -> dict[str, float]:
        return {"guidance": self.guidance, "temperature": self.temperature}

    def _experts(
        self, prompt: Prompt, result: Sequence[int], *, draws: bool
    ) -> dict[str, np.ndarray]:
        load, placeholder_id = watched_experts(self.model), self.tokenizer.special.image
        with beside_others(self.device):
            count_experts(load, self.model, prompt, result, placeholder_id, draws=draws)
            return {
                kind: np.stack([counts[kind].cpu().numpy() for counts in load.counts.values()])
                for kind in ("text", "drawn" if draws else "seen")
            }

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

    def _previews(
        self, ids: Sequence[Sequence[int]], finished: Mapping[int, Picture]
    ) -> Iterator[Image.Image]:
        for place, known in enumerate(ids):
            yield finished[place].image if place in finished else self.previews([known])[0]

    @torch.inference_mode()
    def _picture(self, prompt: str, ticket: Ticket, drawn: Drawn) -> Picture:
        # Alone: the decoder's memory is large, and a picture is then the same whoever is beside it.
        with beside_others(self.device):
            ids_1I = torch.tensor([drawn.ids], device=self.device)
            image = to_pictures(self.model.draw_pixels(ids_1I))[0]
        return Picture(
            image=image,
            ids=tuple(drawn.ids),
            seed=drawn.seed,
            settings=self._settings(prompt, ticket.request.params, drawn.index),
        )

    def _settings(self, prompt: str, params: Any, index: int) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "prompt": styled(prompt, params.style, self.name),
            "guidance": params.guidance,
            "temperature": params.temperature,
            "top_k": params.top_k,
            "top_p": params.top_p,
            "model": self.name,
            "dtype": str(self.dtype).removeprefix("torch."),
            "size": f"{self.image_size}x{self.image_size}",
        }
        if self.quantization:
            settings["quantize"] = self.quantization
        if params.style:
            settings |= {"style": params.style, "typed": prompt}
        if params.reference:  # its pictures depend on each other
            settings |= {"reference": True, "count": params.count, "index": index}
        return settings


def _with_seed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Takes the initial seed of a diffusers-style `generator`."""
    settings = dict(settings)
    generator = settings.pop("generator", None)
    if generator is not None:
        settings["seed"] = generator.initial_seed()
    return settings


def _seed(seed: int | None) -> int:
    return secrets.randbelow(LARGEST_RANDOM_SEED) if seed is None else seed
