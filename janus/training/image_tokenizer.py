"""Stage 1: the VQ tokenizer learns to write pictures as ids and to paint them back.

Batches of pictures in [-1, 1] go in, a trained `ImageTokenizer` comes out. The first steps run
without a codebook; it is then sampled from the latents that the encoder has found, and follows them
as an exponential moving average (arXiv 1711.00937, appendix A.1). Codes that nobody uses are moved
to where latents are. `polish_decoder` (stage 4) improves the painting alone: no id changes.
"""

# B pictures, c width of a code, h w grid, K codes, M latents of a batch

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from janus.training.optimizer import MasterAdamW, warmup_cosine
from janus.training.run import Run
from vision.codebook import Codebook
from vision.tokenizer import ImageTokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerTraining:
    """Every knob of the stage."""

    steps: int
    batch_size: int = 8
    peak_lr: float = 1e-3
    warmup: int = 100
    steps_without_codebook: int = 200
    commitment: float = 0.25
    edges: float = 1.0
    codebook_decay: float = 0.99
    revive_every: int = 50
    log_every: int = 20
    save_every: int = 250


def train_tokenizer(
    model: ImageTokenizer, batches: Iterable[Tensor], settings: TokenizerTraining, run: Run
) -> None:
    """Trains in place. Resumes from the run's newest state, where `batches` must start too."""
    optimizer = MasterAdamW(_without_codebook(model), weight_decay=0.01)
    codebook = MovingCodebook(model.quantize, settings.codebook_decay)
    first_step = 0
    if state := run.load():
        first_step = state["step"]
        optimizer.load_state_dict(state["optimizer"])
        codebook.load_state_dict(state["codebook"])
    for step, pixels_B3HW in enumerate(batches, start=first_step):
        losses = _losses(model, pixels_B3HW, codebook, settings, step)
        _descend(losses, optimizer, settings, step)
        if (step + 1) % settings.log_every == 0:
            run.log(step + 1, **_floats(losses), codebook_use=codebook.use())
        if run.is_due(step + 1, settings.save_every, settings.steps):
            state = {"optimizer": optimizer.state_dict(), "codebook": codebook.state_dict()}
            run.save({"step": step + 1, **state})
    optimizer.use_average()


def polish_decoder(
    model: ImageTokenizer, batches: Iterable[Tensor], settings: TokenizerTraining, run: Run
) -> None:
    """Trains only what turns codes into pixels, with encoder and codebook as they are."""
    optimizer = MasterAdamW(
        [*model.decoder.parameters(), *model.post_quant_conv.parameters()], weight_decay=0.01
    )
    first_step = 0
    if state := run.load():
        first_step = state["step"]
        optimizer.load_state_dict(state["optimizer"])
    for step, pixels_B3HW in enumerate(batches, start=first_step):
        with torch.no_grad():
            ids_BN = model.encode(pixels_B3HW)
        losses = painting_losses(model.decode(ids_BN), pixels_B3HW, settings.edges)
        _descend(losses, optimizer, settings, step)
        if (step + 1) % settings.log_every == 0:
            run.log(step + 1, **_floats(losses))
        if run.is_due(step + 1, settings.save_every, settings.steps):
            run.save({"step": step + 1, "optimizer": optimizer.state_dict()})
    optimizer.use_average()


def painting_losses(
    painted_B3HW: Tensor, pixels_B3HW: Tensor, edges_weight: float
) -> dict[str, Tensor]:
    """How far the painted pictures are from the true ones: in colour, and at edges."""
    difference = painted_B3HW.float() - pixels_B3HW
    pixels = difference.abs().mean()
    # Differences of neighbouring pixels: blur costs here, a wrong brightness does not.
    edges = difference.diff(dim=-1).abs().mean() + difference.diff(dim=-2).abs().mean()
    return {"total": pixels + edges_weight * edges, "pixels": pixels, "edges": edges}


def _losses(
    model: ImageTokenizer,
    pixels_B3HW: Tensor,
    codebook: "MovingCodebook",
    settings: TokenizerTraining,
    step: int,
) -> dict[str, Tensor]:
    latents_Bchw = F.normalize(model.latents(pixels_B3HW), dim=1)
    codes_Bchw, commitment = latents_Bchw, latents_Bchw.new_zeros(())
    if step >= settings.steps_without_codebook:
        revive = step % settings.revive_every == 0
        nearest_Bchw = codebook.follow(latents_Bchw.detach(), revive=revive).to(latents_Bchw.dtype)
        commitment = (latents_Bchw - nearest_Bchw).float().square().sum(dim=1).mean()
        # The decoder sees the codes; the gradient passes to the latents as if they were equal.
        codes_Bchw = latents_Bchw + (nearest_Bchw - latents_Bchw).detach()
    losses = painting_losses(model.pixels(codes_Bchw), pixels_B3HW, settings.edges)
    total = losses["total"] + settings.commitment * commitment
    return {**losses, "total": total, "commitment": commitment}


def _descend(
    losses: dict[str, Tensor], optimizer: MasterAdamW, settings: TokenizerTraining, step: int
) -> None:
    losses["total"].backward()
    optimizer.step(
        warmup_cosine(step, peak=settings.peak_lr, warmup=settings.warmup, total=settings.steps)
    )


def _floats(losses: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(loss.detach()) for name, loss in losses.items()}


def _without_codebook(model: ImageTokenizer) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p is not model.quantize.embedding.weight]


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
        return (
            codes_Kc[ids_M]
            .unflatten(0, (len(latents_Bchw), *latents_Bchw.shape[2:]))
            .permute(0, 3, 1, 2)
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
