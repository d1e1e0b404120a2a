"""How much may run at once: rows, by the model and their length, and tokens of prompts."""

import torch

from janus.model.model import JanusModel

MOST_SLOTS = 32
FEWEST_SLOTS = 2  # of one guided picture
SHARE = 0.6  # of a GPU's free memory; the rest is for passes and pictures


def slots_that_fit(model: JanusModel, length: int) -> int:
    """On a GPU, whose slots take their whole memory at once, as many as fit; at most 32.

    Slots on a CPU take memory as they fill.
    """
    if model.device.type != "cuda":
        return MOST_SLOTS
    free, _ = torch.cuda.mem_get_info(model.device)
    fitting = int(SHARE * free / (length * bytes_a_token(model)))
    return max(FEWEST_SLOTS, min(MOST_SLOTS, fitting))


def prompt_tokens_of(model: JanusModel) -> int:
    """So many fill a pass, and more would keep those waiting who are beyond their prompts.

    Beside the short steps of weights of four bits, more would be a long wait. In pieces of 64
    tokens and multiples, attention in bfloat16 on a CPU sums as it does in whole prompts.
    """
    if model.device.type == "cuda":
        return 512
    return 64 if model.quantization == "int4" else 128


def bytes_a_token(model: JanusModel) -> int:
    """That the cache keeps of each token of a row."""
    layers = model.language_model.new_cache(1, 1).layers
    return sum(t.numel() * t.element_size() for layer in layers for t in layer.tensors)
