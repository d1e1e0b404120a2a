"""Rows of a batch: a picture's image tokens, and conversations about it that branch off behind it.

Enters: a picture, conversations, the chat template. Leaves: the row's ids, which of them are
answers, and where each answer begins.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from torch import Tensor

from janus.prompts.chat import ChatTemplate, Turn
from janus.training.emoji.asking import Question
from janus.training.losses import NO_TARGET


@dataclass(slots=True)
class Row:
    """`ids`, the answers' words before which they stand (`targets`), and whose they are.

    Tokens of the picture are in branch 0, those of each conversation in one of their own.
    `answers` are the questions with the place of the last token before each one's answer.
    """

    ids: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    branches: list[int] = field(default_factory=list)
    answers: list[tuple[int, Question]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RowWriter:
    """Writes conversations as the model will read them."""

    template: ChatTemplate
    length: int

    def row(self, picture: Tensor, conversations: Iterator[Sequence[Question]]) -> Row:
        """A row full of conversations; the last of them is cut where the row ends."""
        row = Row()
        for branch in count(1):
            talk = self._conversation(picture, next(conversations))
            stem = talk.ids.index(self.template.tokenizer.special.image_end) + 1
            if not row.ids:
                row = Row(talk.ids[:stem], talk.targets[:stem], talk.branches[:stem])
            offset = len(row.ids) - stem
            row.ids += talk.ids[stem:]
            row.targets += talk.targets[stem:]
            row.branches += [branch] * (len(talk.ids) - stem)
            row.answers += [(offset + place, asked) for place, asked in talk.answers]
            if len(row.ids) >= self.length:
                whole = slice(self.length)
                return Row(
                    row.ids[whole],
                    row.targets[whole],
                    row.branches[whole],
                    [answer for answer in row.answers if answer[0] < self.length],
                )
        raise AssertionError

    def _conversation(self, picture: Tensor, questions: Sequence[Question]) -> Row:
        tokenizer = self.template.tokenizer
        turns: list[Turn] = []
        answers: list[list[int]] = []
        for asked in questions:
            turns.append(Turn("user", asked.text, () if turns else (picture,)))
            turns.append(Turn("assistant", asked.answer))
            answers.append([*tokenizer.encode(f" {asked.answer}"), tokenizer.special.eos])
        ids = [*self.template.to_answer(turns[:-1]).ids, *answers[-1]]
        row = Row(ids, [NO_TARGET] * len(ids), [0] * len(ids))
        # Only answers end like this, so one prompt of the whole conversation shows all of them.
        ends = [place for place, token in enumerate(ids) if token == tokenizer.special.eos]
        for end, answer, asked in zip(ends, answers, questions, strict=True):
            row.targets[end - len(answer) : end] = answer
            row.answers.append((end - len(answer), asked))
        return row
