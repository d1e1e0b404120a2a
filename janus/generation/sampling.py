"""Logits in, one chosen id a row out.

The noise is counter-based: a pure function of (seed, step, id), so that a row's choice depends
neither on the other rows nor on what was drawn before, and is the same on every device. Holds no
state and never waits for the device. Guidance has been applied already.
"""

# R rows, K candidates of a row, B blocks of four random words

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from janus.generation.params import DrawParams, TextParams
from janus.model.native import noise

# Multipliers and key increments of Philox-4x32-10, from the authors' code (Random123).
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
INCREMENTS = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
WORD = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, eq=False)
class Sampling:
    """How each of R rows chooses, on the device; the flags say whether any row needs a part."""

    temperature_R: Tensor
    top_k_R: Tensor
    top_p_R: Tensor
    seeds_R: Tensor
    steps_R: Tensor
    noisy: bool = True
    filtered: bool = True

    @classmethod
    def of(
        cls,
        params: Sequence[DrawParams | TextParams],
        seeds: Sequence[int],
        steps: Sequence[int],
        device: torch.device | str = "cpu",
    ) -> "Sampling":
        """From one params, seed and step a row. The seed given here counts, not the params' own."""
        random = [p for p in params if p.temperature > 0]
        return cls(
            temperature_R=torch.tensor([p.temperature for p in params], device=device),
            top_k_R=torch.tensor([p.top_k for p in params], device=device),
            top_p_R=torch.tensor([p.top_p for p in params], device=device),
            seeds_R=torch.tensor(seeds, device=device),
            steps_R=torch.tensor(steps, device=device),
            noisy=bool(random),
            filtered=any(p.top_k > 0 or p.top_p < 1 for p in random),
        )


def choose(logits_RK: Tensor, sampling: Sampling) -> Tensor:
    """Samples softmax(logits / T) within each row's top-k and top-p; [R]. T = 0 takes the largest.

    The Gumbel-max trick: the argmax of logits / T + noise has that distribution. Multiplied by T,
    it needs no division and holds at T = 0.
    """
    logits_RK = logits_RK.float()
    if sampling.filtered:
        logits_RK = keep_likeliest(
            logits_RK, sampling.temperature_R, sampling.top_k_R, sampling.top_p_R
        )
    if sampling.noisy:
        noise_RK = gumbel_noise(sampling.seeds_R, sampling.steps_R, logits_RK.shape[1])
        logits_RK = logits_RK + sampling.temperature_R[:, None] * noise_RK
    return logits_RK.argmax(dim=-1)


def keep_likeliest(
    logits_RK: Tensor, temperature_R: Tensor, top_k_R: Tensor, top_p_R: Tensor
) -> Tensor:
    """Logits with -inf outside each row's top-k and then top-p set, which is never empty.

    The top-p set is the smallest one of the likeliest whose probabilities reach p (arXiv
    1904.09751), of softmax(logits / T) within the top k.
    """
    sorted_RK, order_RK = logits_RK.sort(dim=-1, descending=True, stable=True)
    places_K = torch.arange(logits_RK.shape[1], device=logits_RK.device)
    beyond_k_RK = (places_K >= top_k_R[:, None]) & (top_k_R[:, None] > 0)
    # At T = 0 any small number will do: the largest stays in every set.
    scaled_RK = sorted_RK / temperature_R[:, None].clamp(min=1e-4)
    probability_RK = scaled_RK.masked_fill(beyond_k_RK, float("-inf")).softmax(dim=-1)
    before_RK = probability_RK.cumsum(dim=-1) - probability_RK
    beyond_p_RK = (before_RK >= top_p_R[:, None]) & (top_p_R[:, None] < 1) & (places_K > 0)
    dropped_RK = torch.zeros_like(beyond_k_RK).scatter(1, order_RK, beyond_k_RK | beyond_p_RK)
    return logits_RK.masked_fill(dropped_RK, float("-inf"))


def gumbel_noise(seeds_R: Tensor, steps_R: Tensor, num: int) -> Tensor:
    """Standard Gumbel noise, [R, num] in float32, made from (seed, step) of each row alone."""
    if noise.suits(seeds_R, num):
        return noise.gumbel_noise(seeds_R, steps_R, num)
    blocks_B = torch.arange(-(-num // 4), device=seeds_R.device)
    zero = torch.zeros_like(blocks_B)
    words = philox(
        (blocks_B, steps_R[:, None], zero, zero),
        (seeds_R[:, None] & WORD, seeds_R[:, None] >> 32),
    )
    bits_RK = torch.stack(words, dim=-1).flatten(1)[:, :num]
    # In double precision the logarithms of two devices, though not equal, round to the same
    # float32. Apple's GPUs have no doubles.
    real = torch.float32 if seeds_R.device.type == "mps" else torch.float64
    below_one = 1 - torch.finfo(real).eps / 2
    uniform_RK = ((bits_RK.to(real) + 0.5) * 2**-32).clamp(max=below_one)
    return -(-uniform_RK.log()).log().float()


def philox(counter: tuple[Tensor, ...], key: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Philox-4x32-10 (Salmon et al., SC'11): four random words for each counter of four words.

    Words are int64 tensors in [0, 2^32) that broadcast together.
    """
    x0, x1, x2, x3 = counter
    key0, key1 = key
    for _ in range(ROUNDS):
        high0, low0 = _multiply(x0, MULTIPLIERS[0])
        high2, low2 = _multiply(x2, MULTIPLIERS[1])
        x0, x1, x2, x3 = high2 ^ x1 ^ key0, low2, high0 ^ x3 ^ key1, low0
        key0, key1 = (key0 + INCREMENTS[0]) & WORD, (key1 + INCREMENTS[1]) & WORD
    return x0, x1, x2, x3


def _multiply(word: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """High and low word of a 64-bit product, in halves, so that signed integers never overflow."""
    low = word * (factor & 0xFFFF)
    high = word * (factor >> 16) + (low >> 16)
    return high >> 16, (high & 0xFFFF) << 16 | (low & 0xFFFF)
