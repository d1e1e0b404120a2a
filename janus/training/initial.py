"""Weights to start from: every layer keeps the variance of what passes through it.

torch's own default shrinks a signal at every layer. That is too much for the unnormalised chains of
the VQ tokenizer: its latents would all point the same way, and the codebook would learn nothing.
"""

import torch
from torch import nn

from janus.model.model import JanusModel
from janus.model.moe import Experts, Router
from janus.model.transformer import Transformer


@torch.no_grad()
def initialise_convolutions(model: nn.Module) -> None:
    """Convolutions of gain one, zero biases; the last convolution of each residual branch small."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            fan_in = module.weight[0].numel()
            is_branch_end = name.endswith(("conv2", "proj_out"))
            nn.init.normal_(module.weight, std=(0.1 if is_branch_end else 1.0) * fan_in**-0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


@torch.no_grad()
def initialise_linears(model: nn.Module) -> None:
    """Linear layers of gain one with zero biases, small embeddings (everything but the tokenizer).

    What ends a residual branch of the transformer is divided by sqrt(2 * layers), so that the sum
    of all branches starts with the size of one (GPT-2, section 2.3).
    """
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.02 if module.embedding_dim > 64 else 1.0)
        elif isinstance(module, Router):
            nn.init.normal_(module.weight, std=0.02)
        elif isinstance(module, Experts):
            nn.init.normal_(module.gate_up_proj, std=module.gate_up_proj.shape[-1] ** -0.5)
            nn.init.normal_(module.down_proj, std=module.down_proj.shape[-1] ** -0.5)
    for transformer in (module for module in model.modules() if isinstance(module, Transformer)):
        for name, parameter in transformer.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight", "down_proj")):
                parameter.mul_((2 * len(transformer.layers)) ** -0.5)


@torch.no_grad()
def start_from_codes(model: JanusModel) -> None:
    """Codes that look alike start alike, where they enter the transformer and where they leave."""
    codes_Kc = model.vqmodel.quantize.unit_codes().float()
    width = codes_Kc.shape[1]
    model.generation_embeddings.weight.copy_(codes_Kc * width**0.5)
    head_KD = model.generation_head.vision_head.weight
    mixing_cD = torch.randn(width, head_KD.shape[1]).to(codes_Kc) * head_KD.shape[1] ** -0.5
    head_KD.mul_(0.3).add_(codes_Kc @ mixing_cD)
