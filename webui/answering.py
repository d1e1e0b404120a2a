"""An answer, as it should be shown.

In: the model and a conversation that ends with a question. Out: the answer so far, again and
again, at most a dozen times a second. Knows no Gradio.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

from janus.errors import ContextError
from janus.generation.params import TextParams
from webui.conversation import Turns, history
from webui.pace import Pace
from webui.pictures import open_upload

if TYPE_CHECKING:
    from janus.pipeline import Janus

SECONDS_BETWEEN_PIECES = 0.08
T = TypeVar("T")


def answers(model: "Janus", turns: Turns, **settings: Any) -> Generator[str]:
    """Begins to answer; closing the generator stops the model. Raises what is wrong at once.

    The settings are those of `Janus.ask`; an answer never takes more than half of the room.
    """
    turn = turns[-1]
    pictures = [open_upload(path) for path in turn.pictures]
    longest = settings.pop("max_tokens", TextParams().max_tokens)
    settings["max_tokens"] = min(longest, model.template.context // 2)
    pieces = with_history(
        turns, lambda told: model.ask_stream(pictures, turn.question, history=told, **settings)
    )
    return _growing(pieces)


def with_history(turns: Turns, run: Callable[[list[tuple[str, str]]], T]) -> T:
    """Runs with as many of the earlier turns as the model has room for."""
    told = history(turns)
    while True:
        try:
            return run(told)
        except ContextError:
            if not told:
                raise
            told = told[1:]  # a conversation that outgrows the model loses its oldest turns


def _growing(pieces: Iterator[str]) -> Generator[str]:
    answer, shown, pace = "", "", Pace(SECONDS_BETWEEN_PIECES)
    with closing(pieces):  # pyright: ignore[reportArgumentType]
        for piece in pieces:
            answer += piece
            if pace.is_due():
                with pace.update():
                    yield (shown := answer)
    if answer != shown:
        yield answer
