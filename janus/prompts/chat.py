"""Turns of a conversation -> the exact prompt that each checkpoint was trained on.

    {system}\n\n{User}: {message}\n\n{Assistant}: {answer}<eos>{User}: {message}\n\n{Assistant}:

A picture stands in a message as <begin_of_image>, its placeholders and <end_of_image>, then a line
break. To draw, the system part is empty and <begin_of_image> follows the last colon. Text is
encoded between special tokens in one go, as the original tokenizes the whole string.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from janus.errors import ContextError, UsageError
from janus.prompts.batch import Prompt
from janus.prompts.tokenizer import ASSISTANT, USER, JanusTokenizer

SEEING_SYSTEM_PROMPT = (
    "You are a helpful language and vision assistant. "
    "You are able to understand the visual content that the user provides, "
    "and assist the user with a variety of tasks using natural language."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptStyle:
    """What differs between checkpoints: the role names, and the system prompt for seeing."""

    user: str
    assistant: str
    system: str

    @classmethod
    def of_checkpoint(cls, tokenizer: JanusTokenizer, processor: dict) -> "PromptStyle":
        """The style that a checkpoint's `processor_config.json` and vocabulary call for.

        The original file names its format ("deepseek" has role tokens, "deepseek_old" the words);
        transformers' has a chat template, and says whether there is a system prompt. A vocabulary
        may hold role tokens that its model was not trained with.
        """
        has_roles = tokenizer.id_of(USER) is not None and tokenizer.id_of(ASSISTANT) is not None
        template = processor.get("chat_template") or USER
        if processor.get("sft_format") == "deepseek_old" or USER not in template:
            has_roles = False
        user, assistant = (USER, ASSISTANT) if has_roles else ("User", "Assistant")
        has_system = processor.get("use_default_system_prompt", True)
        return cls(
            user=user, assistant=assistant, system=SEEING_SYSTEM_PROMPT if has_system else ""
        )


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """One message: who says it, what, and the pictures [3, S, S] shown before the text."""

    role: str  # "user" or "assistant"
    text: str
    pictures: tuple[Tensor, ...] = ()


class ChatTemplate:
    """Builds prompts for one checkpoint."""

    def __init__(
        self, tokenizer: JanusTokenizer, style: PromptStyle, *, num_image_tokens: int, context: int
    ) -> None:
        self.tokenizer, self.style = tokenizer, style
        self.num_image_tokens, self.context = num_image_tokens, context

    def to_answer(self, turns: Sequence[Turn], *, answer_tokens: int = 0) -> Prompt:
        """A conversation that ends with the user -> the prompt for the assistant's answer.

        Raises `UsageError` for turns out of order and `ContextError` where prompt and
        `answer_tokens` do not fit the context.
        """
        _check_order(turns)
        parts: list[str | int] = [self.tokenizer.special.bos]
        if self.style.system:
            parts.append(f"{self.style.system}\n\n")
        for turn in turns:
            parts += self._turn(turn)
        parts += [*self._role(self.style.assistant), ":"]
        pictures = [picture for turn in turns for picture in turn.pictures]
        ids = self._encode(parts)
        self._check_length(len(ids), answer_tokens, len(pictures))
        return Prompt(ids, _stack(pictures))

    def to_draw(self, prompt: str) -> Prompt:
        """A description -> the prompt after which image ids follow."""
        ids = self._ids_to_draw(prompt)
        self._check_length(len(ids), self.num_image_tokens, 0)
        return Prompt(ids)

    def length_to_draw(self, prompt: str) -> tuple[int, int]:
        """How many tokens a description has, and how many there is room for."""
        own = len(self._ids_to_draw(""))
        room = self.context - self.num_image_tokens - own
        return len(self._ids_to_draw(prompt)) - own, room

    def answer_ids(self, text: str) -> tuple[int, ...]:
        """What follows the prompt of `to_answer` where this text is the whole answer."""
        return self._encode([f" {text.strip()}", self.tokenizer.special.eos])

    def _ids_to_draw(self, prompt: str) -> tuple[int, ...]:
        return self._encode(
            [
                self.tokenizer.special.bos,
                *self._turn(Turn("user", prompt)),
                *self._role(self.style.assistant),
                ":",
                self.tokenizer.special.image_start,
            ]
        )

    def _turn(self, turn: Turn) -> list[str | int]:
        special, text = self.tokenizer.special, turn.text.strip()
        if turn.role == "assistant":
            return [*self._role(self.style.assistant), f": {text}", special.eos]
        parts: list[str | int] = [*self._role(self.style.user), ": "]
        for _ in turn.pictures:
            placeholders = [special.image] * self.num_image_tokens
            parts += [special.image_start, *placeholders, special.image_end, "\n"]
        return [*parts, f"{text}\n\n"]

    def _role(self, role: str) -> list[str | int]:
        token = self.tokenizer.id_of(role) if role.startswith("<") else None
        return [role if token is None else token]

    def _encode(self, parts: Sequence[str | int]) -> tuple[int, ...]:
        """Joins neighbouring text before encoding it: merges may cross the joints."""
        ids: list[int] = []
        text = ""
        for part in parts:
            if isinstance(part, str):
                text += part
                continue
            ids += [*self.tokenizer.encode(text), part]
            text = ""
        return (*ids, *self.tokenizer.encode(text))

    def _check_length(self, prompt_tokens: int, output_tokens: int, num_pictures: int) -> None:
        if prompt_tokens + output_tokens <= self.context:
            return
        pictures = f", {num_pictures} pictures among them" if num_pictures else ""
        raise ContextError(
            f"The prompt has {prompt_tokens} tokens{pictures}; with {output_tokens} to come that "
            f"is more than the {self.context} that this model can take in.",
            "Shorten the text, leave out earlier turns, or ask for a shorter answer.",
        )


def _check_order(turns: Sequence[Turn]) -> None:
    roles = [turn.role for turn in turns]
    expected = ["user" if i % 2 == 0 else "assistant" for i in range(len(turns))]
    if not turns or roles != expected or len(turns) % 2 == 0:
        raise UsageError(
            f"The turns of a conversation are {roles}.",
            "They alternate between 'user' and 'assistant' and end with 'user'.",
        )


def _stack(pictures: list[Tensor]) -> Tensor | None:
    import torch

    return torch.stack(pictures) if pictures else None
