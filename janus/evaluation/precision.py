"""What fewer bits change: the same weights in several number types, given the same ids.

In: a model's name, and number types. Out: for each, how far its logits are from those of the
reference, and how often the likeliest id is the same: of words and of image codes, whose logits are
guided as drawings are. Every id before the compared one is the reference's own.
"""

# T ids that follow a prompt, V words, K codes, N tokens, D width

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from janus.engine.request import ImageRequest, TextRequest
from janus.generation.guidance import guide
from janus.generation.review import embed
from janus.model.cache import Rows
from janus.model.model import JanusModel
from janus.pipeline import Janus
from janus.prompts.batch import Prompt

PROMPTS = ("a dog", "two red hearts", "a car to the left of a tree", "a blue square")
QUESTION = "Describe this picture."
MAX_TOKENS = 32

Load = Callable[[str], Janus]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """A drawing and the description of what came of it, by the reference."""

    drawing: ImageRequest
    codes: tuple[int, ...]
    answer: TextRequest
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Of one number type's logits with the reference's.

    `error` is max |a - b| / max |b| of the worst prompt, `same` the share of positions at which the
    likeliest id is the same.
    """

    number_type: str
    words_error: float
    words_same: float
    codes_error: float
    codes_same: float


def compare(load: Load, reference: str, number_types: Sequence[str]) -> list[Agreement]:
    """Models are loaded one after the other, the reference first."""
    janus = load(reference)
    cases = [_case(janus, prompt, seed) for seed, prompt in enumerate(PROMPTS)]
    wanted = logits(janus, cases)
    del janus
    found = []
    for number_type in number_types:
        pairs = list(zip(logits(load(number_type), cases), wanted, strict=True))
        words = [_error_and_share(ours[0], theirs[0]) for ours, theirs in pairs]
        codes = [_error_and_share(ours[1], theirs[1]) for ours, theirs in pairs]
        found.append(
            Agreement(
                number_type=number_type,
                words_error=max(error for error, _ in words),
                words_same=_mean([share for _, share in words]),
                codes_error=max(error for error, _ in codes),
                codes_same=_mean([share for _, share in codes]),
            )
        )
    return found


@torch.inference_mode()
def logits(janus: Janus, cases: Sequence[Case]) -> list[tuple[Tensor, Tensor]]:
    """Of each case the words' [T, V] and the guided codes' [T, K]."""
    image_token_id = janus.tokenizer.special.image
    return [
        (_words(janus.model, case, image_token_id), _codes(janus.model, case)) for case in cases
    ]


def _case(janus: Janus, prompt: str, seed: int) -> Case:
    (picture,) = janus.draw(prompt, seed=seed)
    answer = janus.text_request(picture.image, QUESTION, temperature=0, max_tokens=MAX_TOKENS)
    *_, ticket = janus.engine.run(answer)
    drawing = janus.image_request(prompt, seed=seed)
    return Case(drawing=drawing, codes=picture.ids, answer=answer, words=ticket.ids)


def _words(model: JanusModel, case: Case, image_token_id: int) -> Tensor:
    prompt = case.answer.prompt
    hidden_ND = embed(model, prompt, case.words[:-1], image_token_id)
    return model.text_logits(_last(model, hidden_ND, len(case.words))).float()


def _codes(model: JanusModel, case: Case) -> Tensor:
    prompt, codes = case.drawing.prompt, torch.tensor(case.codes[:-1], device=model.device)

    def logits(prompt: Prompt) -> Tensor:
        words_ND = model.embed_text(torch.tensor(prompt.ids, device=model.device))
        hidden_ND = torch.cat([words_ND, model.embed_image(codes)])
        return model.image_logits(_last(model, hidden_ND, len(case.codes)))

    weight = torch.tensor([case.drawing.params.guidance], device=model.device)
    return guide(logits(prompt), logits(prompt.unconditional(case.drawing.pad_id)), weight)


def _last(model: JanusModel, hidden_ND: Tensor, num: int) -> Tensor:
    """The last hidden states of one row."""
    rows = Rows.uniform(1, len(hidden_ND), device=model.device)
    return model(hidden_ND, rows)[-num:]


def _error_and_share(found: Tensor, wanted: Tensor) -> tuple[float, float]:
    error = (found - wanted).abs().max() / wanted.abs().max()
    same = found.argmax(dim=-1) == wanted.argmax(dim=-1)
    return error.item(), same.float().mean().item()


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
