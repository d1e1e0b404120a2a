"""What people and the model say about scenes of the emoji world, in English and Spanish.

Captions in one canonical form, questions with their short answers, conversations of both, drawing
prompts in many wordings. Everything that is said is true of its scene by construction.
"""

from janus.training.emoji.asking import Question
from janus.training.emoji.captions import (
    ParsedCaption,
    caption,
    describe_request,
    parse_caption,
    score_caption,
)
from janus.training.emoji.dialogues import ask_caption, dialogue, follow_up
from janus.training.emoji.prompts import prompt
from janus.training.emoji.questions import question

__all__ = [
    "ParsedCaption",
    "Question",
    "ask_caption",
    "caption",
    "describe_request",
    "dialogue",
    "follow_up",
    "parse_caption",
    "prompt",
    "question",
    "score_caption",
]
