"""A checkpoint folder: which layout it has and its tensors under canonical names.

Enters: a folder with config.json and weights, of the original deepseek-ai layout or of
transformers', in one file or many. Leaves: the configuration as written, shapes, and a stream of
tensors. Builds no model, runs no code that it finds, and keeps nothing in memory.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from weights.errors import CheckpointError
from weights.experts import fuse_experts, fused_name
from weights.layout import Layout, detect_layout, find_weights, read_config
from weights.names import canonical_tensors, to_canonical
from weights.shards import read_outline, read_tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A folder that can be read; `config` is its config.json, `files` the weights."""

    folder: Path
    config: dict[str, Any]
    layout: Layout
    files: tuple[Path, ...]

    @classmethod
    def open(cls, folder: str | Path) -> "Checkpoint":
        """Look at a folder without reading weights; CheckpointError says what does not fit."""
        folder = Path(folder)
        config = read_config(folder)
        layout = detect_layout(config, folder)
        return cls(folder=folder, config=config, layout=layout, files=find_weights(folder))

    @property
    def num_bytes(self) -> int:
        """The size of the weight files on disk."""
        return sum(file.stat().st_size for file in self.files)

    def shapes(self) -> dict[str, torch.Size]:
        """Canonical name -> shape of every tensor, from the files' headers alone."""
        return {name: tensor.shape for name, tensor in self.outline().items()}

    def outline(self) -> dict[str, Tensor]:
        """Canonical name -> tensor on the meta device, from the files' headers alone."""
        stored = self._stored()
        return dict(self._canonical(stored.items(), stored))

    def tensors(
        self, wanted: Callable[[str], bool] = lambda name: True
    ) -> Iterator[tuple[str, Tensor]]:
        """Canonical (name, tensor) pairs, those with a `wanted` name, streamed; copy what you keep.

        A tensor's memory is mapped from its file, and keeps that file mapped while it lives.
        """
        names = self._stored()
        chosen = {name for name in names if any(map(wanted, self._canonical_names(name)))}
        stored = chain.from_iterable(read_tensors(file, chosen.__contains__) for file in self.files)
        return (pair for pair in self._canonical(stored, names) if wanted(pair[0]))

    def _stored(self) -> dict[str, Tensor]:
        outline: dict[str, Tensor] = {}
        for file in self.files:
            outline |= read_outline(file)
        if self.layout == "original":
            self._require_known(outline)
        return outline

    def _require_known(self, names: Iterable[str]) -> None:
        unknown = [name for name in names if to_canonical(name) is None]
        if unknown:
            raise CheckpointError(
                f"{self.folder} holds {len(unknown)} tensors that no Janus checkpoint has, "
                f"such as {', '.join(unknown[:10])}.",
                "Its config.json and its weights may belong to different models.",
            )

    def _canonical_names(self, stored: str) -> tuple[str, ...]:
        if self.layout == "original":
            return to_canonical(stored) or ()
        return (fused_name(stored),)

    def _canonical(
        self, stored: Iterable[tuple[str, Tensor]], names: Iterable[str]
    ) -> Iterator[tuple[str, Tensor]]:
        if self.layout == "original":
            return canonical_tensors(stored)
        return fuse_experts(stored, names)
