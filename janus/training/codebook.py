"""Moves the codes of a VQ codebook to where the latents are, without gradients.

Codes are exponential moving averages of the latents that chose them (arXiv 1711.00937, appendix
A.1). A code that is hardly used, or that all but repeats another, is moved to a latent, far ones
first: most patches of a picture may look the same, and must not draw most of the codes.
"""

# B pictures, c width of a code, h w grid, K codes, M latents of a batch, n places

import torch
import torch.nn.functional as F
from torch import Tensor

from vision.codebook import Codebook

MOVED_AT_ONCE = 128
TOO_RARE = 0.03  # of the average use
TOO_NEAR = 0.003  # 1 - cos of the angle between two codes
JITTER = 0.01


class MovingCodebook:
    """Follows the latents of each batch, on the unit sphere."""

    def __init__(self, codebook: Codebook, decay: float) -> None:
        self.codebook, self.decay = codebook, decay
        table_Kc = codebook.embedding.weight.detach()
        self.sums_Kc = torch.zeros_like(table_Kc, dtype=torch.float32)
        self.counts_K = self.sums_Kc.new_zeros(len(table_Kc))
        self.generator = torch.Generator(table_Kc.device).manual_seed(0)

    @torch.no_grad()
    def follow(self, latents_Bchw: Tensor, *, revive: bool) -> Tensor:
        """Moves the codes towards these latents; gives the nearest code of each, [B, c, h, w]."""
        latents_Mc = latents_Bchw.permute(0, 2, 3, 1).flatten(0, 2).float()
        if revive or not self.counts_K.any():
            self._revive(latents_Mc)
        ids_M = (latents_Mc @ F.normalize(self.sums_Kc, dim=-1).mT).argmax(dim=-1)
        self.sums_Kc.mul_(self.decay).index_add_(0, ids_M, latents_Mc, alpha=1 - self.decay)
        self.counts_K.mul_(self.decay).add_(
            torch.bincount(ids_M, minlength=len(self.counts_K)), alpha=1 - self.decay
        )
        codes_Kc = F.normalize(self.sums_Kc, dim=-1)
        self.codebook.embedding.weight.copy_(codes_Kc)
        grid = (len(latents_Bchw), *latents_Bchw.shape[2:])
        return codes_Kc[ids_M].unflatten(0, grid).permute(0, 3, 1, 2)

    def _revive(self, latents_Mc: Tensor) -> None:
        """Puts some of the useless codes onto latents, with an average share of the choices.

        Latents are drawn by the square of their distance to the nearest code (k-means++).
        """
        idle_K = self._idle()
        share = float(self.counts_K.mean()) or len(latents_Mc) / len(self.counts_K)
        distance_M = latents_Mc.new_ones(len(latents_Mc))
        if not idle_K.all():
            busy_c = F.normalize(self.sums_Kc[~idle_K], dim=-1)
            distance_M = (1 - (latents_Mc @ busy_c.mT).amax(dim=-1)).clamp(min=1e-6)
        moved_n = idle_K.nonzero()[:MOVED_AT_ONCE, 0]
        if not len(moved_n):
            return
        place_n = torch.multinomial(
            distance_M, len(moved_n), replacement=True, generator=self.generator
        )
        jitter_nc = torch.empty_like(latents_Mc[place_n]).normal_(generator=self.generator)
        codes_nc = F.normalize(latents_Mc[place_n] + JITTER * jitter_nc, dim=-1)
        self.sums_Kc[moved_n] = codes_nc * share
        self.counts_K[moved_n] = share

    def _idle(self) -> Tensor:
        """Which codes are hardly used, or the less used of two that nearly coincide: bool [K]."""
        idle_K = self.counts_K <= TOO_RARE * self.counts_K.mean()
        codes_Kc = F.normalize(self.sums_Kc, dim=-1)
        nearest_K, other_K = (codes_Kc @ codes_Kc.mT).fill_diagonal_(-1).max(dim=-1)
        repeats_K = (1 - nearest_K < TOO_NEAR) & (self.counts_K <= self.counts_K[other_K])
        self.sums_Kc[repeats_K] = 0
        self.counts_K[repeats_K] = 0
        return idle_K | repeats_K

    def use(self) -> float:
        """Share of the codes that are chosen at least a tenth as often as the average."""
        if not self.counts_K.any():
            return 0.0
        return float((self.counts_K > 0.1 * self.counts_K.mean()).float().mean())

    def state_dict(self) -> dict[str, Tensor]:
        return {"sums": self.sums_Kc, "counts": self.counts_K}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.sums_Kc.copy_(state["sums"])
        self.counts_K.copy_(state["counts"])
        with torch.no_grad():
            self.codebook.embedding.weight.copy_(F.normalize(self.sums_Kc, dim=-1))
