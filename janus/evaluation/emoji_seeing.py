"""The seeing half of the exam: captions marked element by element, and questions by type.

In: a model and held-out scenes. Out: marks by name, each a list of right and wrong. What is right,
the scene says that made the picture; nobody looks at it but the model.
"""

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from janus.evaluation.emoji_drawing import EXAM_SEED
from janus.pipeline import Janus
from janus.training.emoji.language import describe_request, question, score_caption
from janus.training.emoji.scenes import KINDS, render, sample_scene
from janus.training.emoji.sprites import Language, Sprites

QUESTIONS_A_SCENE = 2
CAPTION_TOKENS, ANSWER_TOKENS = 48, 16

Marks = Mapping[str, list[bool]]


def look_and_answer(model: Janus, sprites: Sprites, number: int, language: Language) -> Marks:
    """Describes so many scenes of each kind, and answers two questions about each."""
    marks: dict[str, list[bool]] = defaultdict(list)
    for place, kind in enumerate(KINDS):
        rng = np.random.default_rng((EXAM_SEED, len(KINDS), place))
        for _ in range(number):
            scene = sample_scene(rng, sprites, True, {kind: 1.0})
            picture = render(scene, sprites, model.image_size)
            request = describe_request(rng, language)
            said = model.ask(picture, request, max_tokens=CAPTION_TOKENS)
            for element, is_right in score_caption(said, scene, sprites, language).items():
                marks[f"caption.{'overall' if element == 'all' else element}"].append(is_right)
            for _ in range(QUESTIONS_A_SCENE):
                asked = question(scene, sprites, rng, language)
                answer = model.ask(picture, asked.text, max_tokens=ANSWER_TOKENS)
                for name in ("overall", asked.type):
                    marks[f"question.{name}"].append(answer == asked.answer)
    return marks
