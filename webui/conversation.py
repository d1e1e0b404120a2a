"""A conversation about pictures, as a tuple of turns.

Out of it come the history that the model is to be told and the messages that the page shows. A
question is about the pictures on the table; where these change, a new conversation begins for the
model, though the page goes on. Knows neither model nor Gradio.
"""

from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any


@dataclass(frozen=True, slots=True)
class Turn:
    """One question about pictures (their paths), and as much of the answer as there is."""

    pictures: tuple[str, ...]
    question: str
    answer: str = ""


Turns = tuple[Turn, ...]


def history(turns: Turns) -> list[tuple[str, str]]:
    """Earlier questions and answers about the very pictures that the last turn is about."""
    *earlier, last = turns
    recent = takewhile(lambda turn: turn.pictures == last.pictures, reversed(earlier))
    return [(turn.question, turn.answer) for turn in recent if turn.answer][::-1]


def answered(turns: Turns, answer: str) -> Turns:
    """The same turns, the last one with this answer."""
    return (*turns[:-1], replace(turns[-1], answer=answer))


def asked_again(turns: Turns) -> Turns:
    """The same turns, the last one without its answer."""
    return answered(turns, "")


def edited(turns: Turns, index: int, question: str) -> Turns:
    """The turns up to the one whose question is this message, which now asks something else.

    `index` counts `messages`; where none of them is a question, all turns stay as they are.
    """
    asked = [place for place, said in enumerate(messages(turns)) if said["role"] == "user"]
    if index not in asked:
        return turns
    number = asked.index(index)
    return (*turns[:number], Turn(turns[number].pictures, question))


def messages(turns: Turns) -> list[dict[str, Any]]:
    """What a chat shows: pictures where they first appear, questions, answers."""
    shown: list[dict[str, Any]] = []
    pictures: tuple[str, ...] = ()
    for turn in turns:
        new = [] if turn.pictures == pictures else [{"path": path} for path in turn.pictures]
        shown.append({"role": "user", "content": [*new, turn.question]})
        if turn.answer:
            shown.append({"role": "assistant", "content": turn.answer})
        pictures = turn.pictures
    return shown
