"""Attention taught where to look, while questions are learned.

A question about what it names takes three steps: attention from the name to the patches that show
it, what it fetches from there, and attention from the answer to the name. Each is useless without
the others, so answers alone teach them very slowly. Here each is taught by itself, in a few hundred
steps, to a few heads; nothing of this is needed afterwards.
"""

# N tokens of B rows of T, D width, H heads, q numbers of a query, M names, K answers

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from janus.model.cache import BranchedRows
from janus.model.latent_attention import LatentAttention
from janus.model.rotary import Rotation
from janus.model.transformer import Block, Transformer
from janus.training.emoji.batches import LessonBatch
from janus.training.emoji.claims import MOST
from janus.training.losses import NO_TARGET

Head = tuple[int, int]  # layer, and head in it


class Grounding(nn.Module):
    """Watches a transformer, and says how far it is from what it should look at and fetch.

    `looking` heads go from names to patches, `recalling` heads from answers to names. Before the
    last of these, a linear layer, thrown away after, tells from a name how many of it are shown,
    and where.
    """

    def __init__(
        self,
        transformer: Transformer,
        looking: Sequence[Head],
        recalling: Sequence[Head],
        *,
        grid: int,
    ) -> None:
        super().__init__()
        # In a tuple, which makes it no part of this module.
        self.watched, self.looking, self.recalling = (transformer,), looking, recalling
        self.sizes = [MOST + 1, grid, grid]
        self.readout = nn.Linear(transformer.config.hidden_size, sum(self.sizes))
        self.inputs: dict[int, tuple[Tensor, Rotation]] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Forward passes inside are kept."""
        layers = {layer for layer, _ in (*self.looking, *self.recalling)}
        hooks = [
            self.watched[0].layers[layer].register_forward_pre_hook(partial(self._keep, layer))
            for layer in layers
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _keep(self, layer: int, block: nn.Module, inputs: tuple[Any, ...]) -> None:
        self.inputs[layer] = inputs[:2]

    def attention_loss(self, batch: LessonBatch) -> Tensor:
        """-log of the attention that goes where it should, on average, summed over the heads."""
        mask_BTT = BranchedRows.of(batch.dialogue_branches_BT).mask_R1TT[:, 0]
        is_name_KT = F.one_hot(batch.asked_K3[:, 2], mask_BTT.shape[-1]).bool()
        named_M, place_M = batch.named_M2.unbind(dim=1)
        row_K, answer_K, _ = batch.asked_K3.unbind(dim=1)
        losses = [
            self._loss(head, mask_BTT, named_M, place_M, batch.shown_MT) for head in self.looking
        ]
        losses += [
            self._loss(head, mask_BTT, row_K, answer_K, is_name_KT) for head in self.recalling
        ]
        return torch.stack(losses).sum()

    def fetched_loss(self, batch: LessonBatch) -> Tensor:
        """Cross-entropy of the numbers, rows and columns that are read from the names."""
        layer = max(layer for layer, _ in self.recalling)
        hidden_BTD = self.inputs[layer][0].unflatten(0, batch.dialogue_ids_BT.shape)
        row_M, place_M = batch.named_M2.T
        logits = self.readout(hidden_BTD[row_M, place_M].float()).split(self.sizes, dim=-1)
        targets = (batch.number_M, *batch.place_M2.T)
        losses = [
            F.cross_entropy(logits_MC, target_M, reduction="sum")
            / (target_M != NO_TARGET).sum().clamp(min=1)
            for logits_MC, target_M in zip(logits, targets, strict=True)
        ]
        return torch.stack(losses).sum()

    def _loss(
        self, head: Head, mask_BTT: Tensor, row_M: Tensor, place_M: Tensor, wanted_MT: Tensor
    ) -> Tensor:
        index, number = head
        block = self.watched[0].layers[index]
        assert isinstance(block, Block) and isinstance(block.self_attn, LatentAttention)
        hidden_ND, turn = self.inputs[index]
        q_NHq, k_NHq = block.self_attn.queries_and_keys(block.input_layernorm(hidden_ND), turn)
        q_BTq = q_NHq[:, number].unflatten(0, mask_BTT.shape[:2]).float()
        k_BTq = k_NHq[:, number].unflatten(0, mask_BTT.shape[:2]).float()
        logits_MT = torch.einsum("Mq,MTq->MT", q_BTq[row_M, place_M], k_BTq[row_M])
        logits_MT = (logits_MT * block.self_attn.scale).masked_fill(
            ~mask_BTT[row_M, place_M], float("-inf")
        )
        wanted_M = logits_MT.masked_fill(~wanted_MT, float("-inf")).logsumexp(dim=-1)
        return (logits_MT.logsumexp(dim=-1) - wanted_M).sum() / max(len(row_M), 1)
