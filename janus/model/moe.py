"""DeepSeekMoE: shared experts for every token, and a few of many routed experts for each.

Routing is DeepSeek-V3's (arXiv 2412.19437, section 2.1.2): sigmoid affinities, a bias that only
takes part in the selection, selection limited to the best groups, gates from the unbiased scores.
The experts are run in one of three ways that give the same sums; which one depends on shapes and
device alone, never on data.
"""

# N tokens, D width, E routed experts, K experts of a token, G groups, I inner width of an expert

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from janus.config import ExpertsConfig, TransformerConfig
from janus.model.linear import join, save_apart
from janus.model.native import elementwise, whole


class MixtureOfExperts(nn.Module):
    """y = shared(x) + sum over the K chosen experts of gate * expert(x)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        experts = config.experts
        assert experts is not None
        self.gate = Router(config.hidden_size, experts)
        self.experts = Experts(config.hidden_size, experts)
        self.shared_experts = FeedForward(
            config.hidden_size, experts.moe_intermediate_size * experts.n_shared_experts
        )

    def forward(self, hidden_ND: Tensor) -> Tensor:
        gates_NK, chosen_NK = self.gate(hidden_ND)
        return self.shared_experts(hidden_ND) + self.experts(hidden_ND, gates_NK, chosen_NK)


class FeedForward(nn.Module):
    """SwiGLU: down(silu(gate(x)) * up(x)) (arXiv 2002.05202)."""

    def __init__(self, width: int, inner_width: int) -> None:
        super().__init__()
        self.inner_width = inner_width
        self.gate_proj = nn.Linear(width, inner_width, bias=False)
        self.up_proj = nn.Linear(width, inner_width, bias=False)
        self.down_proj = nn.Linear(inner_width, width, bias=False)
        self.gate_up_proj: nn.Linear | None = None  # instead of the two, once fused

    def fuse(self) -> None:
        """Makes one product of two."""
        parts = {"gate_proj": self.inner_width, "up_proj": self.inner_width}
        self.gate_up_proj = join(self.gate_proj, self.up_proj)
        del self.gate_proj, self.up_proj
        save_apart(self, "gate_up_proj", parts)

    def forward(self, hidden_ND: Tensor) -> Tensor:
        if self.gate_up_proj is None:
            return self.down_proj(F.silu(self.gate_proj(hidden_ND)) * self.up_proj(hidden_ND))
        return self.down_proj(gated(self.gate_up_proj(hidden_ND)))


def gated(gate_up_NI: Tensor) -> Tensor:
    """silu(first half) * second half."""
    width = gate_up_NI.shape[-1] // 2
    if elementwise.suits(gate_up_NI, width=width):
        return elementwise.gate(gate_up_NI)
    gate_NI, up_NI = gate_up_NI.chunk(2, dim=-1)
    return F.silu(gate_NI) * up_NI


class Router(nn.Module):
    """Chooses K experts for each token and says how much each counts."""

    e_score_correction_bias: Tensor

    def __init__(self, width: int, config: ExpertsConfig) -> None:
        super().__init__()
        self.config = config
        self.weight = nn.Parameter(torch.empty(config.n_routed_experts, width))
        nn.init.normal_(self.weight, std=0.02)
        self.register_buffer("e_score_correction_bias", torch.zeros(config.n_routed_experts))
        self.weight_DE: Tensor | None = None  # once packed

    def pack(self) -> None:
        """From now on a token's scores do not depend on the other tokens, to the bit."""
        self.weight_DE = self.weight.detach().float().T.contiguous()

    def forward(self, hidden_ND: Tensor) -> tuple[Tensor, Tensor]:
        """Gates [N, K] in float32 and the chosen experts [N, K]."""
        scores_NE = self.scores(hidden_ND)
        chosen_NK = self._choose(scores_NE.detach() + self.e_score_correction_bias.float())
        gates_NK = scores_NE.gather(1, chosen_NK)
        if self.config.norm_topk_prob:
            gates_NK = gates_NK / (gates_NK.sum(dim=-1, keepdim=True) + 1e-20)
        return gates_NK * self.config.routed_scaling_factor, chosen_NK

    def scores(self, hidden_ND: Tensor) -> Tensor:
        """Affinity of each token to each expert, in float32: [N, E]."""
        if self.weight_DE is None:
            return F.linear(hidden_ND.float(), self.weight.float()).sigmoid()
        logits_NE = whole.multiply(hidden_ND.float()[:, None], self.weight_DE[None])[:, 0]
        # In single precision, the last bits depend on a number's place in the tensor.
        return logits_NE.double().sigmoid().float()

    def _choose(self, biased_NE: Tensor) -> Tensor:
        """The K best experts among the best groups; a group is as good as its two best experts."""
        if self.config.n_group > 1:
            groups_NGe = biased_NE.unflatten(1, (self.config.n_group, -1))
            quality_NG = groups_NGe.topk(2, dim=-1).values.sum(dim=-1)
            kept_NG = torch.zeros_like(quality_NG, dtype=torch.bool).scatter_(
                1, quality_NG.topk(self.config.topk_group, dim=-1, sorted=False).indices, True
            )
            biased_NE = groups_NGe.masked_fill(~kept_NG[..., None], float("-inf")).flatten(1)
        return biased_NE.topk(self.config.num_experts_per_tok, dim=-1, sorted=False).indices


class Experts(nn.Module):
    """E small SwiGLU blocks, stored as two stacked tensors."""

    def __init__(self, width: int, config: ExpertsConfig) -> None:
        super().__init__()
        num, inner = config.n_routed_experts, config.moe_intermediate_size
        self.gate_up_proj = nn.Parameter(torch.empty(num, 2 * inner, width))
        self.down_proj = nn.Parameter(torch.empty(num, width, inner))
        nn.init.normal_(self.gate_up_proj, std=0.02)
        nn.init.normal_(self.down_proj, std=0.02)

    def forward(self, hidden_ND: Tensor, gates_NK: Tensor, chosen_NK: Tensor) -> Tensor:
        run = self._strategy(hidden_ND, chosen_NK)
        return run(hidden_ND, gates_NK.to(hidden_ND.dtype), chosen_NK)

    def _strategy(self, hidden_ND: Tensor, chosen_NK: Tensor):
        num_experts = len(self.gate_up_proj)
        if hidden_ND.device.type == "cpu" or torch.is_grad_enabled():
            return self.grouped
        if 2 * chosen_NK.numel() <= num_experts:
            return self.gathered
        # Once most experts are chosen by somebody, reading all of them costs the same bytes, and
        # needs neither a sort nor a kernel that only some GPUs have.
        if num_experts <= 64 and len(hidden_ND) <= 256:
            return self.all_experts
        return self.grouped

    def grouped(self, hidden_ND: Tensor, gates_NK: Tensor, chosen_NK: Tensor) -> Tensor:
        """Sorts the (token, expert) pairs by expert: each expert is one matrix product."""
        expert_P, order_P = chosen_NK.flatten().sort()
        token_P = order_P // chosen_NK.shape[1]
        every_E = torch.arange(len(self.gate_up_proj), device=expert_P.device)
        ends_E = torch.searchsorted(expert_P, every_E, right=True, out_int32=True)
        gate_up_PI = F.grouped_mm(hidden_ND[token_P], self.gate_up_proj.mT, offs=ends_E)
        out_PD = F.grouped_mm(gated(gate_up_PI), self.down_proj.mT, offs=ends_E)
        out_PD = out_PD * gates_NK.flatten()[order_P, None]
        return torch.zeros_like(hidden_ND).index_add_(0, token_P, out_PD)

    def gathered(self, hidden_ND: Tensor, gates_NK: Tensor, chosen_NK: Tensor) -> Tensor:
        """Reads just the chosen experts' weights, once for each pair: for very few tokens."""
        gate_NKI, up_NKI = torch.einsum(
            "ND,NKiD->NKi", hidden_ND, self.gate_up_proj[chosen_NK]
        ).chunk(2, dim=-1)
        out_NKD = torch.einsum(
            "NKi,NKDi->NKD", F.silu(gate_NKI) * up_NKI, self.down_proj[chosen_NK]
        )
        return (out_NKD * gates_NK[..., None]).sum(dim=1)

    def all_experts(self, hidden_ND: Tensor, gates_NK: Tensor, chosen_NK: Tensor) -> Tensor:
        """Runs every expert on every token, with gate 0 where it was not chosen."""
        gates_EN = hidden_ND.new_zeros(len(hidden_ND), len(self.gate_up_proj))
        gates_EN = gates_EN.scatter(1, chosen_NK, gates_NK).mT
        gate_ENI, up_ENI = (hidden_ND @ self.gate_up_proj.mT).chunk(2, dim=-1)
        inner_ENI = F.silu(gate_ENI) * up_ENI * gates_EN[..., None]
        return torch.einsum("ENI,EDI->ND", inner_ENI, self.down_proj)
