"""What people say a conversation was -> its turns.

Messages are (question, answer) pairs or mappings with role, content and pictures. Pictures may come
in any form that `vision.pixels` reads; they leave as tensors [3, S, S].
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from janus.errors import UsageError, as_janus_error
from janus.prompts.chat import Turn
from vision.pixels import Source, load_picture, to_tensor

Message = Mapping[str, Any] | tuple[str, str]


def conversation(
    history: Sequence[Message],
    question: str,
    pictures: Source | Sequence[Source] | None,
    image_size: int,
) -> list[Turn]:
    """The turns so far, and the question as the last of them.

    `pictures` were shown in the first turn, or in the last one if others came with the history.
    """
    turns = turns_of(history, image_size)
    turns.append(Turn("user", question))
    place = len(turns) - 1 if any(turn.pictures for turn in turns) else 0
    shown = (*turns[place].pictures, *_tensors(pictures, image_size))
    turns[place] = Turn(turns[place].role, turns[place].text, shown)
    return turns


def turns_of(messages: Sequence[Message], image_size: int) -> list[Turn]:
    """Each message's turn, or a pair's two."""
    return [turn for message in messages for turn in _turns(message, image_size)]


def _turns(message: Message, image_size: int) -> list[Turn]:
    if not isinstance(message, Mapping):
        asked, answer = message
        return [Turn("user", asked), Turn("assistant", answer)]
    required, allowed = {"role", "content"}, {"role", "content", "pictures"}
    if not required <= message.keys() <= allowed:
        raise UsageError(
            f"A message has the keys {sorted(message)}.",
            "It needs 'role' and 'content', and may have 'pictures'.",
        )
    shown = _tensors(message.get("pictures"), image_size)
    return [Turn(message["role"], message["content"], shown)]


def _tensors(pictures: Source | Sequence[Source] | None, image_size: int) -> tuple[Tensor, ...]:
    if pictures is None:
        return ()
    several: Any = pictures if isinstance(pictures, (list, tuple)) else [pictures]
    try:
        return tuple(to_tensor(load_picture(picture), image_size) for picture in several)
    except Exception as error:
        raise as_janus_error(error) or error from error
