"""Looking into a model: what it makes of pictures, of its answers and of its drawings.

In: a finished picture or answer, the model's own or anybody's. Out: figures about it. Each runs
beside the engine, in passes of its own, and chooses nothing.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np

from janus.devices import beside_others
from janus.errors import UsageError
from janus.generation.review import experts_chosen, log_likelihoods, places_looked_at
from janus.prompts.batch import Prompt
from janus.prompts.history import Message
from janus.requests import Requests
from vision.pixels import Source

CAPTION_REQUEST = "Describe this picture."

T = TypeVar("T")


class Insight(Requests):
    """What a loaded model tells about what was seen and drawn."""

    def match(self, pictures: Sequence[Source], prompt: str) -> list[float]:
        """How well each picture shows what the prompt says, by the model's own seeing.

        The mean log-likelihood of the prompt as a description of the picture (VisualGPTScore, Lin
        et al. 2023): at most 0, and only to be compared with others of the same prompt.
        """
        prompts = [self.text_request(picture, CAPTION_REQUEST).prompt for picture in pictures]
        wanted, placeholder_id = self.template.answer_ids(prompt), self.tokenizer.special.image
        scoring = partial(log_likelihoods, answer=wanted, placeholder_id=placeholder_id)
        return self._review(scoring, *prompts)

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
        looking = partial(places_looked_at, answer=words, special=special)
        places_P = self._review(looking, asked, plain)
        grid = self.model.config.vision.grid_size
        return list(places_P.reshape(-1, grid, grid))

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

    def _experts(
        self, prompt: Prompt, result: Sequence[int], *, draws: bool
    ) -> dict[str, np.ndarray]:
        known = {"placeholder_id": self.tokenizer.special.image, "draws": draws}
        counting = partial(experts_chosen, result=result, **known)
        return self._review(counting, prompt)

    def _review(self, work: Callable[..., T], *prompts: Prompt) -> T:
        """All that the model itself does for the above: what it makes of these prompts."""
        with beside_others(self.device):
            return work(self.model, *prompts)
