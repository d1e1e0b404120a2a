"""A checkpoint -> the same with its matrices rounded to few bits, which starts sooner.

In: a model of either layout. Out: a folder in transformers' layout with all that belongs to it, but
whole numbers and scales for the matrices that `--quantize` packs: what it then computes, in the
type of the checkpoint, is the same to the bit. The file has a name of its own: transformers, which
would take the whole numbers for the weights, finds none. Holds one shard and one layer.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from janus.errors import UsageError
from janus.model.loading import (
    KEPT_IN_FLOAT32,
    canonical_name,
    empty_model,
    num_parameters,
    our_name,
    quantization_config,
    stored_quantization,
)
from janus.model.model import JanusModel
from janus.model.quantized import QUANTIZATIONS, packed_parts, round_part
from janus.prompts.chat import PromptStyle
from janus.prompts.tokenizer import JanusTokenizer
from janus.saving import config_json, other_files, read_drawing, read_processor, require_unused
from weights.export import write_checkpoint
from weights.files import Checkpoint
from weights.hub import locate
from weights.layout import QUANTIZED
from weights.load import Loader

Show = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizedFiles:
    """What was written, and what it was made of."""

    folder: Path
    bytes_before: int
    bytes: int


def quantize(
    name_or_folder: str,
    target: str | Path,
    kind: str,
    *,
    local_files_only: bool = False,
    progress: Callable[[str], AbstractContextManager[Show]] = lambda stage: nullcontext(_nobody),
) -> QuantizedFiles:
    """Writes the model with weights of `kind` to `target`, a folder that is new or empty.

    Raises `JanusError` or `WeightsError` where it cannot be done.
    """
    if kind not in QUANTIZATIONS:
        raise UsageError(f"There is no kind {kind!r}.", f"Use {' or '.join(QUANTIZATIONS)}.")
    target = Path(target).resolve()
    require_unused(target)
    checkpoint = Checkpoint.open(locate(name_or_folder, local_files_only=local_files_only))
    if stored := stored_quantization(checkpoint.config):
        raise UsageError(
            f"{name_or_folder} is quantized to {stored} already.", "Start from the whole weights."
        )
    model = empty_model(checkpoint)
    dtype = checkpoint.outline()["lm_head.weight"].dtype
    tokenizer = JanusTokenizer.open(checkpoint.folder)
    style = PromptStyle.of_checkpoint(tokenizer, read_processor(checkpoint.folder))
    config = config_json(model.config, tokenizer, dtype)
    with progress("Quantizing") as show:
        write_checkpoint(
            target,
            _rounded(model, checkpoint, dtype, kind, show),
            config | {"quantization_config": quantization_config(kind)},
            other_files(model.config, tokenizer, style, drawing=read_drawing(checkpoint.folder)),
            stem=QUANTIZED,
        )
    return QuantizedFiles(
        folder=target,
        bytes_before=checkpoint.num_bytes,
        bytes=Checkpoint.open(target).num_bytes,
    )


def _rounded(
    model: JanusModel, checkpoint: Checkpoint, dtype: torch.dtype, kind: str, show: Show
) -> Iterator[tuple[str, Tensor]]:
    """Canonical pairs, of one part of the model after the other."""
    total, done = num_parameters(model), 0
    loader = Loader(model, checkpoint, dtype=dtype, rename=our_name, keep_float32=KEPT_IN_FLOAT32)
    parts = [f"{part}." for part in packed_parts(model)]
    for name, tensor in checkpoint.tensors(
        lambda name: not our_name(name).startswith(tuple(parts))
    ):
        yield name, tensor
        done += tensor.numel()
        show(done / total)
    for part in packed_parts(model):
        loader.load(lambda name, part=part: name.startswith(f"{part}."))
        module = model.get_submodule(part)
        done += num_parameters(module)
        round_part(model, part, kind)
        module = model.get_submodule(part)
        for name, tensor in module.state_dict(prefix=f"{part}.").items():
            yield canonical_name(name), tensor
        module.to("meta")
        show(done / total)


def _nobody(fraction: float) -> None:
    """Watches no progress."""
