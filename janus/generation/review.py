"""A whole answer read at once, instead of word by word: how likely the model finds it.

In: a prompt and the ids of an answer, the model's own or anybody's. Out: figures about it. Chooses
nothing, and leaves the cache of the engine alone.
"""

# N tokens of prompt and answer, D width, T tokens of the answer

from collections.abc import Sequence

import torch
from torch import Tensor

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
