"""Next-token losses of the two heads, each over its own vocabulary and its own targets only."""

# N tokens of all rows, M of them with a target, D width

import torch.nn.functional as F
from torch import Tensor

from janus.model.model import JanusModel

NO_TARGET = -100


def text_loss(model: JanusModel, hidden_ND: Tensor, targets_N: Tensor) -> Tensor:
    """Mean cross-entropy of the text head where a target id stands (elsewhere NO_TARGET)."""
    chosen_N = targets_N != NO_TARGET
    logits = model.text_logits(hidden_ND[chosen_N])
    return F.cross_entropy(logits.float(), targets_N[chosen_N])


def image_loss(model: JanusModel, hidden_BID: Tensor, ids_BI: Tensor) -> Tensor:
    """Mean cross-entropy of the image head: hidden state i of a picture predicts its id i."""
    logits = model.image_logits(hidden_BID.flatten(0, 1))
    return F.cross_entropy(logits.float(), ids_BI.flatten())
