"""Gumbel noise of a seed and a step: one call, where torch takes two hundred."""

# R rows, K candidates

from ctypes import c_int64, c_void_p

import torch
from torch import Tensor

from janus.model.native.build import library

LANES = 64


def suits(seeds_R: Tensor, num: int) -> bool:
    """Whether the kernel is there, and makes so many candidates."""
    return seeds_R.device.type == "cpu" and num % LANES == 0 and library() is not None


def gumbel_noise(seeds_R: Tensor, steps_R: Tensor, num: int) -> Tensor:
    """What `sampling.gumbel_noise` says, [R, num] in float32."""
    kernels = library()
    assert kernels is not None
    noise_RK = torch.empty(len(seeds_R), num)
    seeds_R, steps_R = seeds_R.contiguous(), steps_R.contiguous()
    kernels.janus_gumbel(
        *(c_void_p(tensor.data_ptr()) for tensor in (seeds_R, steps_R, noise_RK)),
        c_int64(len(seeds_R)),
        c_int64(num),
        torch.get_num_threads(),
    )
    return noise_RK
