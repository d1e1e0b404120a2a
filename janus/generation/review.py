"""A whole answer read at once, instead of word by word: how likely the model finds it, and where
it looks.

In: a prompt and the ids of an answer, the model's own or anybody's. Out: figures about it. Chooses
nothing, and leaves the cache of the engine alone.
"""

# N tokens of prompt and answer, D width, T tokens of the answer, H heads, P places in pictures

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from janus.model.cache import Rows
from janus.model.model import JanusModel
from janus.prompts.batch import Prompt


def embed(model: JanusModel, prompt: Prompt, answer: Sequence[int], placeholder_id: int) -> Tensor:
    """Inputs of the transformer for a prompt and the words of its answer: [N, D]."""
    ids_N = torch.tensor([*prompt.ids, *answer], device=model.device)
    hidden_ND = model.embed_text(ids_N)
    if prompt.pixels is not None:
        pixels = prompt.pixels.to(model.device, model.dtype)
        hidden_ND[ids_N == placeholder_id] = model.see(pixels).flatten(0, 1)
    return hidden_ND


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
def attention_to_pictures(
    model: JanusModel, prompt: Prompt, answer: Sequence[int], placeholder_id: int
) -> Tensor:
    """How much of the attention of each answer token, and of the words that lead to it, goes where.

    [layers, H, T + W, P]: the queries are the W words behind the last picture and the T tokens of
    the answer, the keys the places of all pictures in turn.
    """
    hidden_ND = embed(model, prompt, answer, placeholder_id)
    is_seen_N = torch.tensor([id == placeholder_id for id in (*prompt.ids, *answer)])
    places_P = is_seen_N.nonzero()[:, 0].to(model.device)
    first = int(places_P[-1]) + 1
    with _inputs_of_attention(model) as kept:
        model(hidden_ND, Rows.uniform(1, len(hidden_ND), model.device))
    return torch.stack([_attention(*inputs, first)[:, :, places_P].cpu() for inputs in kept])


def _attention(block: nn.Module, hidden_ND: Tensor, rotation: Any, first: int) -> Tensor:
    """[H, N - first, N]"""
    q_NHd, k_NHd = block.self_attn.queries_and_keys(block.input_layernorm(hidden_ND), rotation)  # pyright: ignore
    logits_HQN = torch.einsum("QHd,NHd->HQN", q_NHd[first:].float(), k_NHd.float())
    future_QN = torch.ones(logits_HQN.shape[1:], dtype=torch.bool).triu(first + 1)
    logits_HQN = logits_HQN * block.self_attn.scale  # pyright: ignore
    return logits_HQN.masked_fill(future_QN.to(logits_HQN.device), -torch.inf).softmax(dim=-1)


@contextmanager
def _inputs_of_attention(model: JanusModel) -> Iterator[list[tuple[nn.Module, Tensor, Any]]]:
    """Each layer with what a forward pass inside gives it."""
    kept: list[tuple[nn.Module, Tensor, Any]] = []

    def keep(block: nn.Module, inputs: tuple[Any, ...]) -> None:
        kept.append((block, inputs[0], inputs[1]))

    hooks = [layer.register_forward_pre_hook(keep) for layer in model.language_model.layers]
    try:
        yield kept
    finally:
        for hook in hooks:
            hook.remove()
