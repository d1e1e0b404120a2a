"""Is an upcycled checkpoint the same function as the dense one that it was made from?

In: both checkpoints as they lie on disk. Out: by how much they differ, or a `JanusError` where that
is too much. Everything is computed in float32 on the CPU from the weights as stored: in shorter
types a sum of slices is rounded otherwise than the sum over all neurons, and that would say nothing
about the weights.
"""

# N tokens, D width, T tokens of a text, V words, K codes, E routed experts

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from janus.config import ExpertsConfig, TransformerConfig
from janus.errors import JanusError
from janus.model.cache import Rows
from janus.model.loading import WithoutInitialisation, load_model
from janus.model.moe import FeedForward, MixtureOfExperts
from weights.files import Checkpoint
from weights.upcycle import group_by_layer, layer_prefix

# A larger model is not run as a whole: its layers are compared one by one, and everything that lies
# around them bit by bit.
WHOLE_MODEL_LIMIT = 500_000_000  # parameters
TOKENS = 16  # for each choice of experts
TEXT_LENGTH = 32
COMMAND = 10.0  # as a selection bias: more than any affinity, which is at most 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The largest differences of outputs, each relative to the dense model's largest output."""

    layers: float
    logits: float | None  # None where the whole model was not run


def require_equal(
    dense: Checkpoint,
    upcycled: Checkpoint,
    config: TransformerConfig,
    tolerance: float,
    show: Callable[[float], None] = lambda fraction: None,
) -> Difference:
    """Compares all tensors, layers and, of a small model, logits. `config` is the upcycled model's.

    Raises `JanusError` at the first difference larger than `tolerance`, and says where it is.
    """
    assert config.experts is not None
    layers = range(config.experts.first_k_dense_replace, config.num_hidden_layers)
    if changed := changed_tensors(dense, upcycled, layers):
        raise _unequal(f"{len(changed)} tensors are not as they were, the first is {changed[0]}")
    errors = []
    for layer, error in layer_errors(dense, upcycled, config, layers):
        _require_small(error, tolerance, f"layer {layer} differs")
        errors.append(error)
        show(len(errors) / len(layers))
    logits = None
    if sum(shape.numel() for shape in upcycled.shapes().values()) <= WHOLE_MODEL_LIMIT:
        logits = logits_error(dense.folder, upcycled.folder)
        _require_small(logits, tolerance, "the logits differ")
    return Difference(layers=max(errors), logits=logits)


def changed_tensors(dense: Checkpoint, upcycled: Checkpoint, layers: range) -> list[str]:
    """Names of tensors, outside these layers' feed-forward part, that are not bit by bit equal."""
    rewritten = tuple(map(layer_prefix, layers))
    before, after = (_fingerprints(checkpoint, rewritten) for checkpoint in (dense, upcycled))
    names = before.keys() | after.keys()
    return sorted(name for name in names if before.get(name) != after.get(name))


def layer_errors(
    dense: Checkpoint, upcycled: Checkpoint, config: TransformerConfig, layers: range
) -> Iterator[tuple[int, float]]:
    """How far the feed-forward part of each layer is from the dense one, one layer in memory."""
    prefixes = tuple(map(layer_prefix, layers))
    stream = dense.tensors(lambda name: name.startswith(prefixes))
    for layer, tensors in group_by_layer(stream, layers.start):
        assert layer is not None
        prefix = layer_prefix(layer)
        written = upcycled.tensors(lambda name, prefix=prefix: name.startswith(prefix))
        experts = {name.removeprefix(prefix): tensor for name, tensor in written}
        yield layer, feed_forward_error(_plain(tensors), _plain(experts), config, seed=layer)


@torch.inference_mode()
def feed_forward_error(
    dense: dict[str, Tensor], experts: dict[str, Tensor], config: TransformerConfig, seed: int
) -> float:
    """The same for tensors by their names in our modules. Every routed expert takes part."""
    assert config.experts is not None
    with torch.device("meta"), WithoutInitialisation():
        before = FeedForward(config.hidden_size, config.intermediate_size)
        after = MixtureOfExperts(config)
    before.load_state_dict(dense, assign=True)
    after.load_state_dict(experts, assign=True)
    generator = torch.Generator().manual_seed(seed)
    errors = []
    for bias_E in _biases(config.experts, after.gate.e_score_correction_bias.clone()):
        after.gate.e_score_correction_bias.copy_(bias_E)
        hidden_ND = torch.randn(TOKENS, config.hidden_size, generator=generator)
        errors.append(relative_error(after(hidden_ND), before(hidden_ND)))
    return _largest(errors)


def logits_error(dense: Path, upcycled: Path) -> float:
    """How far the logits of both heads are from the dense model's."""
    pairs = zip(_logits(upcycled), _logits(dense), strict=True)
    return _largest([relative_error(after, before) for after, before in pairs])


def relative_error(a: Tensor, b: Tensor) -> float:
    """max|a - b| / max|b|, and 0 for equal tensors even where all is 0."""
    return 0.0 if torch.equal(a, b) else float((a - b).abs().max() / b.abs().max())


def _largest(errors: list[float]) -> float:
    return float(torch.tensor(errors).max())  # unlike Python's max, nan where one is nan


def _require_small(error: float, tolerance: float, what: str) -> None:
    if not error <= tolerance:
        raise _unequal(f"{what} by {error:.1e} of the largest value, {tolerance:.0e} is allowed")


def _unequal(what: str) -> JanusError:
    return JanusError(
        f"The upcycled model is not the same as the dense one: {what}.",
        "Check the dense model with `janus weights verify`; if it is whole, please report this.",
    )


def _fingerprints(checkpoint: Checkpoint, left_out: tuple[str, ...]) -> dict[str, tuple]:
    return {
        name: (tensor.dtype, tensor.shape, _digest(tensor))
        for name, tensor in checkpoint.tensors(lambda name: not name.startswith(left_out))
    }


def _digest(tensor: Tensor) -> bytes:
    return hashlib.sha256(tensor.contiguous().flatten().view(torch.uint8).numpy().data).digest()


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    # Copies, also of what is float32 already: products may differ in the last bit between memory
    # that is aligned and memory that lies in a file as it comes.
    return {name: tensor.to(torch.float32, copy=True) for name, tensor in tensors.items()}


def _biases(experts: ExpertsConfig, written_E: Tensor) -> Iterator[Tensor]:
    """The selection bias as written, then others that bring up every expert at least once."""
    number, chosen = experts.n_routed_experts, experts.num_experts_per_tok
    yield written_E
    for first in (*range(0, number - chosen, chosen), number - chosen):
        bias_E = torch.zeros(number)
        bias_E[first : first + chosen] = COMMAND
        yield bias_E


@torch.inference_mode()
def _logits(folder: Path) -> tuple[Tensor, Tensor]:
    """After a random text with random codes at its end: [2T, V] and [2T, K]."""
    model = load_model(folder, device="cpu", dtype="float32")
    generator = torch.Generator().manual_seed(0)
    ids_T, codes_T = (
        torch.randint(number, (TEXT_LENGTH,), generator=generator)
        for number in (model.config.transformer.vocab_size, model.config.codebook.num_embeddings)
    )
    hidden_ND = torch.cat([model.embed_text(ids_T), model.embed_image(codes_T)])
    states_ND = model(hidden_ND, Rows.uniform(1, len(hidden_ND)))
    return model.text_logits(states_ND), model.image_logits(states_ND)
