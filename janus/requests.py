"""Pictures, words and settings as people pass them -> requests as the engine takes them.

Runs nothing.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from janus.engine.request import ImageRequest, TextRequest
from janus.errors import UsageError
from janus.generation.params import DrawParams, TextParams, settings_from
from janus.generation.reading import AnswerReader
from janus.loaded import LoadedModel
from janus.prompts.chat import Turn
from janus.prompts.history import Message, conversation, turns_of
from janus.prompts.styles import styled
from vision.pixels import Source

LARGEST_RANDOM_SEED = 2**32


class Requests(LoadedModel):
    """What a loaded model can be asked."""

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

    def reader(self, request: TextRequest) -> AnswerReader:
        """Turns the ids of a prepared request's answer into text."""
        return AnswerReader(self.tokenizer, request.params.stop)

    def image_request(self, prompt: str, **settings: Any) -> ImageRequest:
        """What the engine needs for `draw`; checks everything that can be checked."""
        params = settings_from(DrawParams, _with_seed(settings), self.drawing)
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


def _with_seed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Takes the initial seed of a diffusers-style `generator`."""
    settings = dict(settings)
    generator = settings.pop("generator", None)
    if generator is not None:
        settings["seed"] = generator.initial_seed()
    return settings


def _seed(seed: int | None) -> int:
    return secrets.randbelow(LARGEST_RANDOM_SEED) if seed is None else seed
