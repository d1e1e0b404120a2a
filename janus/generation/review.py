"""A whole answer or drawing read at once, instead of id by id: how likely the model finds it, where
it looks, and which of its experts work.

In: a prompt and the ids that follow it, the model's own or anybody's. Out: figures about them.
Chooses nothing, and leaves the cache of the engine alone.
"""

# N tokens of prompt and answer, D width, T tokens of the answer, L layers, H heads,
# P places in pictures

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from janus.errors import UsageError
from janus.model.cache import Rows
from janus.model.expert_load import ExpertLoad
from janus.model.model import JanusModel
from janus.model.rotary import Rotation
from janus.model.transformer import Block
from janus.prompts.batch import Prompt
from janus.prompts.tokenizer import SpecialIds


def embed(model: JanusModel, prompt: Prompt, answer: Sequence[int], placeholder_id: int) -> Tensor:
    """Inputs of the transformer for a prompt and the words of its answer: [N, D]."""
    ids_N = torch.tensor([*prompt.ids, *answer], device=model.device)
    hidden_ND = model.embed_text(ids_N)
    if prompt.pixels is not None:
        pixels = prompt.pixels.to(model.device, model.dtype)
        hidden_ND[ids_N == placeholder_id] = model.see(pixels).flatten(0, 1)
    return hidden_ND


def log_likelihoods(
    model: JanusModel, *prompts: Prompt, answer: Sequence[int], placeholder_id: int
) -> list[float]:
    """How likely the model finds one answer, after each of the prompts."""
    return [log_likelihood(model, prompt, answer, placeholder_id) for prompt in prompts]


@torch.inference_mode()
def log_likelihood(
    model: JanusModel, prompt: Prompt, answer: Sequence[int], placeholder_id: int
) -> float:
    """The mean logarithm of the probability of each id, given those before it: at most 0."""
    hidden_ND = embed(model, prompt, answer[:-1], placeholder_id)
    rows = Rows.uniform(1, len(hidden_ND), model.device)
    states_TD = model(hidden_ND, rows)[-len(answer) :]
    log_probabilities_TV = model.text_logits(states_TD).float().log_softmax(dim=-1)
    chosen_T = torch.tensor(answer, device=model.device)
    return log_probabilities_TV.gather(1, chosen_T[:, None]).mean().item()


@torch.inference_mode()
def places_looked_at(
    model: JanusModel,
    asked: Prompt,
    plain: Prompt,
    *,
    answer: Sequence[int],
    special: SpecialIds,
) -> np.ndarray:
    """Which places of the pictures matter to a question and its answer: [P], each from 0 to 1.

    Attention has its habits, whatever is asked: what counts is how much more of it a place has from
    some word than in the prompt `plain`, which asks for nothing in particular about the same
    pictures after the same conversation (relative attention, arXiv 2502.17422). Words of earlier
    turns do not count. Heads that look somewhere on purpose give a place most of what they have,
    the others a little of everything: squares tell them apart.
    """
    first = 1 + max(i for i, t in enumerate(asked.ids) if t in (special.image, special.eos))
    most_LHP = attention_to_pictures(model, asked, answer, special.image, first).amax(dim=2)
    plain_LHP = attention_to_pictures(model, plain, (), special.image, first).amax(dim=2)
    gained_P = (most_LHP - plain_LHP).clamp(min=0).square().sum(dim=(0, 1))
    return (gained_P / gained_P.max().clamp(min=torch.finfo(gained_P.dtype).tiny)).numpy()


@torch.inference_mode()
def attention_to_pictures(
    model: JanusModel, prompt: Prompt, answer: Sequence[int], placeholder_id: int, first: int
) -> Tensor:
    """Shares of attention in [layers, H, Q, P].

    Its Q queries are the tokens of prompt and answer from `first` on, which is behind all pictures.
    """
    hidden_ND = embed(model, prompt, answer, placeholder_id)
    is_seen_N = torch.tensor([token == placeholder_id for token in (*prompt.ids, *answer)])
    places_P = is_seen_N.nonzero()[:, 0].to(model.device)
    with _inputs_of_layers(model) as kept:
        model(hidden_ND, Rows.uniform(1, len(hidden_ND), model.device))
    return torch.stack([_attention(*inputs, first)[:, :, places_P].cpu() for inputs in kept])


def _attention(block: Block, hidden_ND: Tensor, rotation: Rotation, first: int) -> Tensor:
    """Of the tokens from `first` on to all before them: [H, Q, N]."""
    q_NHd, k_NHd = block.self_attn.queries_and_keys(block.input_layernorm(hidden_ND), rotation)
    logits_HQN = torch.einsum("QHd,NHd->HQN", q_NHd[first:].float(), k_NHd.float())
    is_future_QN = torch.ones_like(logits_HQN[0], dtype=torch.bool).triu(first + 1)
    logits_HQN *= block.self_attn.scale
    return logits_HQN.masked_fill(is_future_QN, -torch.inf).softmax(dim=-1)


def experts_chosen(
    model: JanusModel, prompt: Prompt, *, result: Sequence[int], placeholder_id: int, draws: bool
) -> dict[str, np.ndarray]:
    """How often each expert was chosen for text, and for what is seen or drawn: [layers, experts].

    Raises `UsageError` where the model has no experts.
    """
    load = watched_experts(model)
    count_experts(load, model, prompt, result, placeholder_id, draws=draws)
    return {
        kind: np.stack([counts[kind].cpu().numpy() for counts in load.counts.values()])
        for kind in ("text", "drawn" if draws else "seen")
    }


def watched_experts(model: JanusModel) -> ExpertLoad:
    """Nothing counted yet. Raises `UsageError` where the model has no experts."""
    load = ExpertLoad(model)
    if not load.routers:
        raise UsageError(
            "This model has no experts: all its feed-forward layers are dense.",
            "Choose a model with a mixture of experts, such as janus-emoji.",
        )
    return load


@torch.inference_mode()
def count_experts(
    load: ExpertLoad,
    model: JanusModel,
    prompt: Prompt,
    result: Sequence[int],
    placeholder_id: int,
    *,
    draws: bool,
) -> None:
    """Adds the choices for each token: of text, of a picture that is seen, or of one drawn."""
    kinds = ["seen" if token == placeholder_id else "text" for token in prompt.ids]
    kinds += ["drawn" if draws else "text"] * len(result)
    hidden_ND = embed(model, prompt, () if draws else result, placeholder_id)
    if draws:
        ids_T = torch.tensor(result, dtype=torch.long, device=model.device)
        hidden_ND = torch.cat([hidden_ND, model.embed_image(ids_T)])
    masks_N = {
        name: torch.tensor([kind == name for kind in kinds], device=model.device)
        for name in ("text", "seen", "drawn")
    }
    with load.tokens(**masks_N):
        model(hidden_ND, Rows.uniform(1, len(kinds), model.device))


@contextmanager
def _inputs_of_layers(model: JanusModel) -> Iterator[list[tuple[Block, Tensor, Rotation]]]:
    """What forward passes inside give to each layer."""
    kept: list[tuple[Block, Tensor, Rotation]] = []
    own_thread = threading.get_ident()

    def keep(block: Any, inputs: tuple[Any, ...]) -> None:
        if threading.get_ident() == own_thread:  # others may use the same model meanwhile
            kept.append((block, *inputs[:2]))

    hooks = [layer.register_forward_pre_hook(keep) for layer in model.language_model.layers]
    try:
        yield kept
    finally:
        for hook in hooks:
            hook.remove()
