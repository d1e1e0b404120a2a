"""Ids of an answer in, its text out, piece by piece as people may see it."""

from collections.abc import Sequence

from janus.generation.stopping import StopTexts
from janus.prompts.tokenizer import JanusTokenizer


class AnswerReader:
    """Ends at a stop text, and has no blanks around the whole."""

    def __init__(self, tokenizer: JanusTokenizer, stops: tuple[str, ...]) -> None:
        self._stream, self._stops = tokenizer.stream(), StopTexts(stops)
        self._num_read, self._has_begun = 0, False
        self._blanks = ""  # that will be shown if more text follows

    @property
    def found_stop(self) -> bool:
        """Whether nothing more is to be read."""
        return self._stops.found

    def read(self, ids: Sequence[int], *, done: bool) -> str:
        """What all ids so far add to the text; `done` when there will be no more."""
        pieces = (self._stream.add(token) for token in ids[self._num_read :])
        text = self._stops.add("".join(pieces))
        self._num_read = len(ids)
        if self.found_stop or done:
            text += self._stops.rest()
        if not self._has_begun:
            text = text.lstrip()
        text = self._blanks + text
        shown = text.rstrip()
        self._blanks = text[len(shown) :]
        self._has_begun = self._has_begun or bool(shown)
        return shown
