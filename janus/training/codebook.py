"""Stage 1: the codebook of the VQ tokenizer, found in the patches of pictures without gradients.

A patch is described by its principal components, as a direction: `PatchSpace`. The codes are the
centres of the directions that occur (spherical k-means). A code so depends on its own patch alone,
wherever it stands and whatever else is in the picture; a learned encoder lets all of a picture
leak into every code, through its norms and its attention, and the transformer then has to predict
the leak. Each patch counts once, however often it occurs: plain background takes few codes.
"""

# B pictures of 3 H W pixels, h w grid, P numbers of a patch, c width of a code, K codes, M patches

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 8192  # patches that are compared with all codes at once


@dataclass(frozen=True, slots=True)
class PatchSpace:
    """Patches <-> directions: the first c - 1 principal components, and a 1, normalised."""

    mean_P: Tensor
    basis_Pd: Tensor  # d = c - 1 columns, scaled so that an average patch has components of norm 1

    @classmethod
    def of(cls, patches_MP: Tensor, code_width: int) -> "PatchSpace":
        """The principal components of these patches."""
        mean_P = patches_MP.mean(dim=0)
        centred_MP = patches_MP - mean_P
        _, vectors_PP = torch.linalg.eigh(centred_MP.mT @ centred_MP)  # eigenvalues ascend
        basis_Pd = vectors_PP.flip(1)[:, : code_width - 1]
        return cls(mean_P, basis_Pd / (centred_MP @ basis_Pd).norm(dim=1).mean())

    def directions(self, patches_MP: Tensor) -> Tensor:
        """Unit vectors [M, c]."""
        components_Md = (patches_MP - self.mean_P) @ self.basis_Pd
        return F.normalize(F.pad(components_Md, (0, 1), value=1.0), dim=1)

    def latents(self, pixels_B3HW: Tensor) -> Tensor:
        """What a perfect encoder would give: [B, c, h, w]."""
        patch = int((len(self.mean_P) / 3) ** 0.5)
        patches_BPhw = F.pixel_unshuffle(pixels_B3HW, patch)
        grid = (len(pixels_B3HW), *patches_BPhw.shape[2:])
        patches_MP = patches_BPhw.permute(0, 2, 3, 1).flatten(0, 2)
        return self.directions(patches_MP).unflatten(0, grid).permute(0, 3, 1, 2)


def find_codes(directions_Mc: Tensor, num_codes: int, *, rounds: int, seed: int) -> Tensor:
    """Spherical k-means: unit codes [K, c]. A code that nobody chose moves to a far direction."""
    generator = torch.Generator(directions_Mc.device).manual_seed(seed)
    order_M = torch.randperm(len(directions_Mc), generator=generator, device=directions_Mc.device)
    # With fewer directions than codes, some codes start, and stay, the same.
    repeats = -(-num_codes // len(order_M))
    codes_Kc = directions_Mc[order_M.repeat(repeats)[:num_codes]]
    for _ in range(rounds):
        nearness_M, ids_M = nearest_code(directions_Mc, codes_Kc)
        sums_Kc = torch.zeros_like(codes_Kc).index_add_(0, ids_M, directions_Mc)
        idle_K = torch.bincount(ids_M, minlength=num_codes) == 0
        if idle_K.any():
            far_M = (1 - nearness_M).clamp(min=1e-9)  # not all 0, where every direction is a code
            num_idle = int(idle_K.sum())
            place = torch.multinomial(far_M, num_idle, replacement=True, generator=generator)
            sums_Kc[idle_K] = directions_Mc[place]
        codes_Kc = F.normalize(sums_Kc, dim=1)
    return codes_Kc


def nearest_code(directions_Mc: Tensor, codes_Kc: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and index of the code nearest to each direction: [M], [M]."""
    found = [(chunk @ codes_Kc.mT).max(dim=1) for chunk in directions_Mc.split(CHUNK)]
    return torch.cat([best.values for best in found]), torch.cat([best.indices for best in found])
