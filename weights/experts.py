"""Mixture-of-experts tensors: one by one on disk <-> fused 3-D in memory.

transformers keeps a layer's experts as `mlp.experts.gate_up_proj` [E, 2F, D] and
`mlp.experts.down_proj` [E, D, F], and writes them as `mlp.experts.0.gate_proj.weight` and so on
(checked with 5.23; it reads both forms). Other tensors pass through untouched.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from weights.errors import CheckpointError

PROJECTIONS = {"gate_up_proj": ("gate_proj", "up_proj"), "down_proj": ("down_proj",)}
FUSED = {part: fused for fused, parts in PROJECTIONS.items() for part in parts}
ONE_EXPERT = re.compile(r"(?P<experts>.+\.mlp\.experts)\.(?P<index>\d+)\.(?P<part>\w+)\.weight")
ALL_EXPERTS = re.compile(r"(?P<experts>.+\.mlp\.experts)\.(?P<fused>gate_up_proj|down_proj)")


def fuse_experts(
    pairs: Iterable[tuple[str, Tensor]], names: Iterable[str]
) -> Iterator[tuple[str, Tensor]]:
    """(name, tensor) pairs -> the same with each layer's experts stacked.

    `names` are all the names that `pairs` will deliver: a layer is complete, and is passed on,
    when its last expert has come.
    """
    wanted = _members(names)
    home = {member: fused for fused, members in wanted.items() for member in members}
    waiting: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, tensor in pairs:
        fused = home.get(name)
        if fused is None:
            yield name, tensor
            continue
        waiting[fused][name] = tensor
        if len(waiting[fused]) == len(wanted[fused]):
            arrived = waiting.pop(fused)
            yield fused, _stack(fused, [arrived[member] for member in wanted[fused]])


def split_experts(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """One canonical tensor -> what goes to disk: itself, or views of it, one per expert."""
    match = ALL_EXPERTS.fullmatch(name)
    if match is None:
        yield name, tensor
        return
    parts = PROJECTIONS[match["fused"]]
    for index, expert in enumerate(tensor):
        for part, piece in zip(parts, expert.chunk(len(parts)), strict=True):
            yield f"{match['experts']}.{index}.{part}.weight", piece


def fused_name(name: str) -> str:
    """The canonical name that a tensor on disk belongs to: its own, unless it is one expert's."""
    match = ONE_EXPERT.fullmatch(name)
    if match is None or match["part"] not in FUSED:
        return name
    return f"{match['experts']}.{FUSED[match['part']]}"


def _members(names: Iterable[str]) -> dict[str, list[str]]:
    """Fused name -> the names that it is made of, in their order in memory."""
    num_experts: dict[str, int] = {}
    present = set(names)
    for name in present:
        if match := ONE_EXPERT.fullmatch(name):
            count = int(match["index"]) + 1
            num_experts[match["experts"]] = max(count, num_experts.get(match["experts"], 0))
    members = {
        f"{experts}.{fused}": [f"{experts}.{i}.{p}.weight" for i in range(count) for p in parts]
        for experts, count in num_experts.items()
        for fused, parts in PROJECTIONS.items()
    }
    if lost := [name for group in members.values() for name in group if name not in present]:
        raise CheckpointError(
            f"The checkpoint lacks {len(lost)} expert tensors, first {lost[0]}.",
            "Download or save it again.",
        )
    return members


def _stack(fused: str, tensors: list[Tensor]) -> Tensor:
    if len({tensor.shape for tensor in tensors}) > 1:
        raise CheckpointError(f"The experts that make up {fused} differ in shape.")
    num_parts = len(PROJECTIONS[fused.rpartition(".")[2]])
    shape = (len(tensors) // num_parts, num_parts * tensors[0].shape[0], tensors[0].shape[1])
    if tensors[0].is_meta:  # torch.cat would import torch's compiler here, seconds of Python
        return tensors[0].new_empty(shape)
    return torch.cat(tensors).view(shape)
