"""The table of names: original deepseek-ai checkpoints <-> canonical (transformers) names.

Enters: names and tensors of one layout. Leaves: those of the other. The original layout fuses
q, k, v of the vision encoder, gives its position table a leading 1, and carries two things that
are never used (`attn_pool`, `codebook_used`), which are dropped. Reads no file.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from weights.errors import CheckpointError


@dataclass(frozen=True, slots=True)
class Transform:
    """How one original tensor becomes the canonical ones of its row, and back."""

    split: Callable[[Tensor], Sequence[Tensor]]
    join: Callable[[Sequence[Tensor]], Tensor]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; no canonical pattern means that the tensor is dropped."""

    original: str
    canonical: tuple[str, ...]
    transform: Transform


RENAME = Transform(split=lambda tensor: (tensor,), join=lambda parts: parts[0])
THIRDS = Transform(split=lambda tensor: tensor.chunk(3), join=lambda parts: torch.cat(tuple(parts)))
LEADING_ONE = Transform(
    split=lambda tensor: (tensor.squeeze(0),), join=lambda parts: parts[0].unsqueeze(0)
)

PLACEHOLDERS = {
    "n": r"\d+",
    "m": r"\d+",
    "leaf": r"weight|bias",
    "coder": r"encoder|decoder",
    "rest": r".+",
}


def row(original: str, *canonical: str, by: Transform = RENAME) -> Row:
    """A line of the table, written the short way."""
    return Row(original, canonical, by)


# Source: transformers' convert_janus_weights_to_hf.py, restated name by name. VQ levels keep
# their numbers in both layouts (decoder level 0 is the one of the lowest resolution).
TABLE: tuple[Row, ...] = (
    # The encoder that sees.
    row(
        "vision_model.vision_tower.pos_embed",
        "model.vision_model.embeddings.position_embedding.weight",
        by=LEADING_ONE,
    ),
    row(
        "vision_model.vision_tower.patch_embed.proj.{leaf}",
        "model.vision_model.embeddings.patch_embedding.{leaf}",
    ),
    row(
        "vision_model.vision_tower.blocks.{n}.norm{m}.{leaf}",
        "model.vision_model.encoder.layers.{n}.layer_norm{m}.{leaf}",
    ),
    row(
        "vision_model.vision_tower.blocks.{n}.attn.qkv.{leaf}",
        "model.vision_model.encoder.layers.{n}.self_attn.q_proj.{leaf}",
        "model.vision_model.encoder.layers.{n}.self_attn.k_proj.{leaf}",
        "model.vision_model.encoder.layers.{n}.self_attn.v_proj.{leaf}",
        by=THIRDS,
    ),
    row(
        "vision_model.vision_tower.blocks.{n}.attn.proj.{leaf}",
        "model.vision_model.encoder.layers.{n}.self_attn.projection_layer.{leaf}",
    ),
    row(
        "vision_model.vision_tower.blocks.{n}.mlp.fc{m}.{leaf}",
        "model.vision_model.encoder.layers.{n}.mlp.fc{m}.{leaf}",
    ),
    row("vision_model.vision_tower.norm.{leaf}", "model.vision_model.post_layernorm.{leaf}"),
    row("vision_model.vision_tower.attn_pool.{rest}"),
    row("aligner.layers.0.{leaf}", "model.aligner.fc1.{leaf}"),
    row("aligner.layers.2.{leaf}", "model.aligner.hidden_layers.0.{leaf}"),
    # The tokenizer that draws.
    row("gen_vision_model.{coder}.conv_in.{leaf}", "model.vqmodel.{coder}.conv_in.{leaf}"),
    row(
        "gen_vision_model.encoder.conv_blocks.{n}.res.{m}.{rest}",
        "model.vqmodel.encoder.down.{n}.block.{m}.{rest}",
    ),
    row(
        "gen_vision_model.encoder.conv_blocks.{n}.attn.{m}.{rest}",
        "model.vqmodel.encoder.down.{n}.attn.{m}.{rest}",
    ),
    row(
        "gen_vision_model.encoder.conv_blocks.{n}.downsample.conv.{leaf}",
        "model.vqmodel.encoder.down.{n}.downsample.conv.{leaf}",
    ),
    row(
        "gen_vision_model.decoder.conv_blocks.{n}.res.{m}.{rest}",
        "model.vqmodel.decoder.up.{n}.block.{m}.{rest}",
    ),
    row(
        "gen_vision_model.decoder.conv_blocks.{n}.attn.{m}.{rest}",
        "model.vqmodel.decoder.up.{n}.attn.{m}.{rest}",
    ),
    row(
        "gen_vision_model.decoder.conv_blocks.{n}.upsample.conv.{leaf}",
        "model.vqmodel.decoder.up.{n}.upsample.conv.{leaf}",
    ),
    row("gen_vision_model.{coder}.mid.0.{rest}", "model.vqmodel.{coder}.mid.block_1.{rest}"),
    row("gen_vision_model.{coder}.mid.1.{rest}", "model.vqmodel.{coder}.mid.attn_1.{rest}"),
    row("gen_vision_model.{coder}.mid.2.{rest}", "model.vqmodel.{coder}.mid.block_2.{rest}"),
    row("gen_vision_model.{coder}.norm_out.{leaf}", "model.vqmodel.{coder}.norm_out.{leaf}"),
    row("gen_vision_model.{coder}.conv_out.{leaf}", "model.vqmodel.{coder}.conv_out.{leaf}"),
    row("gen_vision_model.quantize.embedding.weight", "model.vqmodel.quantize.embedding.weight"),
    row("gen_vision_model.quantize.codebook_used"),
    row("gen_vision_model.quant_conv.{leaf}", "model.vqmodel.quant_conv.{leaf}"),
    row("gen_vision_model.post_quant_conv.{leaf}", "model.vqmodel.post_quant_conv.{leaf}"),
    # From the transformer to picture tokens, and back in.
    row("gen_embed.weight", "model.generation_embeddings.weight"),
    row("gen_aligner.layers.0.{leaf}", "model.generation_aligner.fc1.{leaf}"),
    row("gen_aligner.layers.2.{leaf}", "model.generation_aligner.hidden_layers.0.{leaf}"),
    row("gen_head.output_mlp_projector.{leaf}", "model.generation_head.proj_out.{leaf}"),
    row("gen_head.vision_head.{leaf}", "model.generation_head.vision_head.{leaf}"),
    # The shared transformer.
    row("language_model.model.{rest}", "model.language_model.{rest}"),
    row("language_model.lm_head.weight", "lm_head.weight"),
)


def to_canonical(name: str) -> tuple[str, ...] | None:
    """The canonical names of one original tensor: three for a fused q, k, v, none for a dropped
    one. None (not a tuple) for a name that is not in the table."""
    found = _find_original(name)
    if found is None:
        return None
    line, values = found
    return tuple(pattern.format(**values) for pattern in line.canonical)


def to_original(name: str) -> str | None:
    """The original name of a canonical one, or None for a name that is not in the table."""
    found = _find_canonical(name)
    if found is None:
        return None
    line, _, values = found
    return line.original.format(**values)


def canonical_tensors(pairs: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    """Original (name, tensor) pairs -> canonical ones, which share the originals' memory."""
    for name, tensor in pairs:
        yield from _convert(name, tensor)


def original_tensors(pairs: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    """Canonical (name, tensor) pairs -> original ones; the dropped tensors do not come back.

    q, k and v wait for each other.
    """
    waiting: dict[str, dict[int, Tensor]] = {}
    for name, tensor in pairs:
        found = _find_canonical(name)
        if found is None:
            raise _no_such_name(name)
        line, part, values = found
        original = line.original.format(**values)
        parts = waiting.setdefault(original, {})
        parts[part] = tensor
        if len(parts) == len(line.canonical):
            del waiting[original]
            yield original, line.transform.join([parts[i] for i in sorted(parts)])
    if waiting:
        raise CheckpointError(f"Only some of q, k and v are there for {', '.join(waiting)}.")


def _convert(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    found = _find_original(name)
    if found is None:
        raise _no_such_name(name)
    line, values = found
    for pattern, part in zip(line.canonical, line.transform.split(tensor), strict=False):
        yield pattern.format(**values), part


def _no_such_name(name: str) -> CheckpointError:
    return CheckpointError(f"No Janus checkpoint has a tensor called {name}.")


def _find_original(name: str) -> tuple[Row, dict[str, str]] | None:
    for line in TABLE:
        if match := _regex(line.original).fullmatch(name):
            return line, match.groupdict()
    return None


def _find_canonical(name: str) -> tuple[Row, int, dict[str, str]] | None:
    for line in TABLE:
        for part, pattern in enumerate(line.canonical):
            if match := _regex(pattern).fullmatch(name):
                return line, part, match.groupdict()
    return None


@cache
def _regex(pattern: str) -> re.Pattern[str]:
    escaped = re.escape(pattern).replace(r"\{", "{").replace(r"\}", "}")
    return re.compile(escaped.format(**{k: f"(?P<{k}>{v})" for k, v in PLACEHOLDERS.items()}))
