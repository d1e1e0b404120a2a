"""Stage 1: the VQ tokenizer learns to write pictures as ids and to paint them back.

Batches of pictures in [-1, 1] go in, a trained `ImageTokenizer` comes out. The first steps run
without a codebook; it is then sampled from the latents that the encoder has found, and follows them
as an exponential moving average (arXiv 1711.00937, appendix A.1). Codes that nobody uses are moved
to where latents are.
"""

# B pictures, c width of a code, h w grid, K codes, M latents of a batch

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from janus.training.optimizer import MasterAdamW, warmup_cosine
from janus.training.run import Run
from vision.codebook import Codebook
from vision.tokenizer import ImageTokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerTraining:
    """Every knob of the stage."""

    steps: int = 6000
    batch_size: int = 16
    peak_lr: float = 1e-3
    warmup: int = 100
    steps_without_codebook: int = 300
    commitment: float = 0.25
    edges: float = 1.0
    codebook_decay: float = 0.99
    revive_every: int = 50
    log_every: int = 50
    save_every: int = 500


def train_tokenizer(
    model: ImageTokenizer, batches: Iterable[Tensor], settings: TokenizerTraining, run: Run
) -> None:
    """Trains in place. `batches` yields the pictures of step `run`'s next step, then the next.

    Resumes from the run's newest state; `batches` must start at that step (`first_step`).
    """
    optimizer = MasterAdamW(_without_codebook(model), weight_decay=0.01)
    codebook = MovingCodebook(model.quantize, settings.codebook_decay)
    first_step = _resume(run, optimizer, codebook)
    for step, pixels_B3HW in enumerate(batches, start=first_step):
        if step >= settings.steps:
            break
        quantised = step >= settings.steps_without_codebook
        losses = _losses(model, pixels_B3HW, codebook, settings, quantised, step)
        losses["total"].backward()
        optimizer.step(
            warmup_cosine(
                step, peak=settings.peak_lr, warmup=settings.warmup, total=settings.steps
            )
        )
        if (step + 1) % settings.log_every == 0:
            figures = {name: float(loss.detach()) for name, loss in losses.items()}
            run.log(step + 1, **figures, codebook_use=codebook.use())
        if (step + 1) % settings.save_every == 0 or step + 1 == settings.steps:
            run.save(
                {
                    "step": step + 1,
                    "optimizer": optimizer.state_dict(),
                    "codebook": codebook.state_dict(),
                }
            )
    optimizer.copy_average_to()


def first_step(run: Run) -> int:
    """The step at which a run goes on."""
    state = run.load()
    return 0 if state is None else state["step"]


def _resume(run: Run, optimizer: MasterAdamW, codebook: "MovingCodebook") -> int:
    state = run.load()
    if state is None:
        return 0
    optimizer.load_state_dict(state["optimizer"])
    codebook.load_state_dict(state["codebook"])
    return state["step"]


def _without_codebook(model: ImageTokenizer):
    return [p for p in model.parameters() if p is not model.quantize.embedding.weight]


def _losses(
    model: ImageTokenizer,
    pixels_B3HW: Tensor,
    codebook: "MovingCodebook",
    settings: TokenizerTraining,
    quantised: bool,
    step: int,
) -> dict[str, Tensor]:
    dtype = model.quant_conv.weight.dtype
    latents_Bchw = F.normalize(model.latents(pixels_B3HW.to(dtype)), dim=1)
    codes_Bchw, commitment = latents_Bchw, latents_Bchw.new_zeros(())
    if quantised:
        revive = step % settings.revive_every == 0
        nearest_Bchw = codebook.follow(latents_Bchw.detach(), revive=revive).to(dtype)
        commitment = (latents_Bchw - nearest_Bchw).float().square().sum(dim=1).mean()
        codes_Bchw = latents_Bchw + (nearest_Bchw - latents_Bchw).detach()
    painted_B3HW = model.pixels(codes_Bchw).float()
    pixels = (painted_B3HW - pixels_B3HW).abs().mean()
    edges = _edge_distance(painted_B3HW, pixels_B3HW)
    total = pixels + settings.edges * edges + settings.commitment * commitment
    return {"total": total, "pixels": pixels, "edges": edges, "commitment": commitment}


def _edge_distance(a_B3HW: Tensor, b_B3HW: Tensor) -> Tensor:
    """Mean distance of the differences between neighbouring pixels: blur costs, brightness not."""
    difference = a_B3HW - b_B3HW
    return difference.diff(dim=-1).abs().mean() + difference.diff(dim=-2).abs().mean()


class MovingCodebook:
    """Codes as moving averages of the latents that chose them, on the unit sphere."""

    def __init__(self, codebook: Codebook, decay: float) -> None:
        self.codebook, self.decay = codebook, decay
        num_codes, width = codebook.embedding.weight.shape
        self.sums_Kc = torch.zeros(num_codes, width)
        self.counts_K = torch.zeros(num_codes)
        self.generator = torch.Generator().manual_seed(0)

    @torch.no_grad()
    def follow(self, latents_Bchw: Tensor, *, revive: bool) -> Tensor:
        """Moves the codes towards these latents; gives the nearest code of each, [B, c, h, w]."""
        latents_Mc = latents_Bchw.permute(0, 2, 3, 1).flatten(0, 2).float()
        if not self.counts_K.any():
            self._start_from(latents_Mc, torch.ones_like(self.counts_K, dtype=torch.bool))
        ids_M = (latents_Mc @ F.normalize(self.sums_Kc, dim=-1).mT).argmax(dim=-1)
        self.sums_Kc.mul_(self.decay).index_add_(0, ids_M, latents_Mc, alpha=1 - self.decay)
        self.counts_K.mul_(self.decay).add_(
            torch.bincount(ids_M, minlength=len(self.counts_K)), alpha=1 - self.decay
        )
        if revive:
            self._start_from(latents_Mc, self.counts_K < 0.03 * self.counts_K.mean())
        codes_Kc = F.normalize(self.sums_Kc, dim=-1)
        self.codebook.embedding.weight.copy_(codes_Kc)
        return codes_Kc[ids_M].unflatten(0, (len(latents_Bchw), *latents_Bchw.shape[2:])).permute(
            0, 3, 1, 2
        )

    def _start_from(self, latents_Mc: Tensor, chosen_K: Tensor) -> None:
        """Puts the chosen codes onto random latents, with an average share of the choices."""
        place_K = torch.randint(len(latents_Mc), (int(chosen_K.sum()),), generator=self.generator)
        share = float(self.counts_K.mean()) or len(latents_Mc) / len(self.counts_K)
        noise_Kc = torch.randn(len(place_K), latents_Mc.shape[1], generator=self.generator) * 0.01
        self.sums_Kc[chosen_K] = F.normalize(latents_Mc[place_K] + noise_Kc, dim=-1) * share
        self.counts_K[chosen_K] = share

    def use(self) -> float:
        """Share of the codes that are chosen at least a tenth as often as the average."""
        if not self.counts_K.any():
            return 0.0
        return float((self.counts_K > 0.1 * self.counts_K.mean()).float().mean())

    def state_dict(self) -> dict[str, Tensor]:
        return {"sums": self.sums_Kc, "counts": self.counts_K}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.sums_Kc, self.counts_K = state["sums"], state["counts"]
        with torch.no_grad():
            self.codebook.embedding.weight.copy_(F.normalize(self.sums_Kc, dim=-1))
