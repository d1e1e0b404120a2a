"""Next-token losses of the two heads, each over its own vocabulary and its own targets only."""

# N tokens of all rows, M of them with a target, A answers, I image tokens of G pictures, D width

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from janus.generation.guidance import guide
from janus.model.model import JanusModel

NO_TARGET = -100
STRENGTHS = (2.0, 8.0)  # of guidance in training
CHUNK = 256  # tokens whose logits are made at once: those of a large vocabulary leave the cache


def text_loss(model: JanusModel, hidden_ND: Tensor, targets_N: Tensor) -> Tensor:
    """Cross-entropy of the text head where a target id stands (elsewhere NO_TARGET).

    The mean over answers, neighbouring targets, of the mean over an answer's tokens: a "yes" or
    "no", which says most about what was understood, would drown among the words of captions.
    """
    is_target_N = targets_N != NO_TARGET
    begins_N = is_target_N & ~F.pad(is_target_N[:-1], (1, 0))
    answer_M = begins_N.cumsum(0)[is_target_N] - 1
    lengths_A = answer_M.bincount()
    losses_M = _cross_entropy(model.text_logits, hidden_ND[is_target_N], targets_N[is_target_N])
    return (losses_M / lengths_A[answer_M]).sum() / len(lengths_A)


def image_loss(model: JanusModel, hidden_BID: Tensor, ids_BI: Tensor) -> Tensor:
    """Mean cross-entropy of the image head: hidden state i of a picture predicts its id i."""
    return _cross_entropy(model.image_logits, hidden_BID.flatten(0, 1), ids_BI.flatten()).mean()


def guided_loss(model: JanusModel, cond_GID: Tensor, uncond_GID: Tensor, ids_GI: Tensor) -> Tensor:
    """Mean cross-entropy of guided logits, at another of the STRENGTHS for each picture.

    Guidance multiplies what sets two predictions apart, in the thousands of codes that neither
    believes in too: those must agree, or they win. Only the conditional side learns from it.
    """
    strengths = torch.linspace(*STRENGTHS, len(ids_GI), device=ids_GI.device)
    losses = [cond_GID.new_zeros((), dtype=torch.float32)]
    for cond_ID, uncond_ID, ids_I, strength in zip(
        cond_GID, uncond_GID, ids_GI, strengths, strict=True
    ):
        with torch.no_grad():
            uncond = model.image_logits(uncond_ID)
        guided = guide(model.image_logits(cond_ID), uncond, strength.expand(len(ids_I)))
        losses.append(F.cross_entropy(guided, ids_I))
    return torch.stack(losses).sum() / max(len(ids_GI), 1)


def _cross_entropy(
    logits: Callable[[Tensor], Tensor], hidden_MD: Tensor, targets_M: Tensor
) -> Tensor:
    """Of each token, [M]."""
    chunks = zip(hidden_MD.split(CHUNK), targets_M.split(CHUNK), strict=True)
    losses = [
        F.cross_entropy(logits(hidden).float(), targets, reduction="none")
        for hidden, targets in chunks
    ]
    return torch.cat(losses)
