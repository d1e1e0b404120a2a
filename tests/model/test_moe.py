"""Mixture of experts: transformers' choices, and three ways to the same sum."""

from dataclasses import asdict, replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.models.deepseek_v3.configuration_deepseek_v3 import DeepseekV3Config
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3TopkRouter

from janus.config import ExpertsConfig, TransformerConfig
from janus.model.moe import MixtureOfExperts
from tests.oracle import randomize, relative_error

# N tokens, D width, E experts, K experts of a token, G groups

WIDTH = 32
PLAIN = ExpertsConfig(n_routed_experts=8, num_experts_per_tok=3, moe_intermediate_size=16)
GROUPED = replace(PLAIN, n_routed_experts=16, n_group=4, topk_group=2, routed_scaling_factor=2.5)
CONFIGS = {
    "plain": PLAIN,
    "one expert a token": replace(PLAIN, num_experts_per_tok=1),
    "all experts": replace(PLAIN, num_experts_per_tok=8),
    "groups": GROUPED,
    "one group kept": replace(GROUPED, topk_group=1),
    "all of the kept groups": replace(GROUPED, num_experts_per_tok=8),
    "gates as they are": replace(GROUPED, norm_topk_prob=False),
    "three shared": replace(PLAIN, n_shared_experts=3),
}
STRATEGIES = ("grouped", "gathered", "all_experts")


@pytest.fixture(params=CONFIGS)
def experts(request: pytest.FixtureRequest) -> ExpertsConfig:
    return CONFIGS[request.param]


def build(experts: ExpertsConfig) -> MixtureOfExperts:
    block = MixtureOfExperts(TransformerConfig(hidden_size=WIDTH, experts=experts))
    randomize(block)
    return block


def tokens(count: int = 40) -> Tensor:
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(1))


def swiglu(x: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    gate, up = gate_up.chunk(2)
    return down @ (F.silu(gate @ x) * (up @ x))


def one_by_one(
    block: MixtureOfExperts, hidden_ND: Tensor, gates_NK: Tensor, chosen_NK: Tensor
) -> Tensor:
    """The routed experts' sum by its definition, token by token, in float64."""
    gate_up, down = block.experts.gate_up_proj.double(), block.experts.down_proj.double()
    sums = []
    for x, gates, chosen in zip(hidden_ND.double(), gates_NK.double(), chosen_NK, strict=True):
        outputs = [swiglu(x, gate_up[expert], down[expert]) for expert in chosen.tolist()]
        sums.append(gates @ torch.stack(outputs))
    return torch.stack(sums)


@pytest.mark.parametrize("strategy", STRATEGIES)
@torch.no_grad()
def test_strategies_give_the_sum_by_definition(experts: ExpertsConfig, strategy: str) -> None:
    block = build(experts)
    for hidden_ND in (tokens(1), tokens(7), tokens(40)):
        gates_NK, chosen_NK = block.gate(hidden_ND)
        found = getattr(block.experts, strategy)(hidden_ND, gates_NK, chosen_NK)
        expected = one_by_one(block, hidden_ND, gates_NK, chosen_NK)
        assert relative_error(found, expected) <= 1e-5


@torch.no_grad()
def test_shared_experts_are_added_for_every_token(experts: ExpertsConfig) -> None:
    block, hidden_ND = build(experts), tokens()
    parts = block.shared_experts
    gate_up = torch.cat([parts.gate_proj.weight, parts.up_proj.weight]).double()
    assert len(gate_up) == 2 * experts.n_shared_experts * experts.moe_intermediate_size
    down = parts.down_proj.weight.double()
    shared = torch.stack([swiglu(x, gate_up, down) for x in hidden_ND.double()])
    expected = shared + one_by_one(block, hidden_ND, *block.gate(hidden_ND))
    assert relative_error(block(hidden_ND), expected) <= 1e-5


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_gradients_by_definition(strategy: str) -> None:
    block, hidden_ND = build(GROUPED), tokens(12)
    weights = [block.gate.weight, block.experts.gate_up_proj, block.experts.down_proj]

    def gradients(run: Any) -> tuple[Tensor, ...]:
        out = run(hidden_ND, *block.gate(hidden_ND))
        return torch.autograd.grad(out.double().square().sum(), weights)

    found = gradients(getattr(block.experts, strategy))
    expected = gradients(lambda *routed: one_by_one(block, *routed))
    assert all(relative_error(a, b) <= 1e-5 for a, b in zip(found, expected, strict=True))


def their_router(block: MixtureOfExperts, experts: ExpertsConfig) -> DeepseekV3TopkRouter:
    router = DeepseekV3TopkRouter(DeepseekV3Config(hidden_size=WIDTH, **asdict(experts)))
    router.load_state_dict(block.gate.state_dict())
    return router


def by_expert(gates_NK: Tensor, chosen_NK: Tensor, num_experts: int) -> Tensor:
    """Each expert's gate, 0 where it was not chosen: the order of the choice does not matter."""
    return torch.zeros(len(gates_NK), num_experts).scatter(1, chosen_NK, gates_NK)


@torch.no_grad()
def test_router_chooses_and_weighs_like_transformers(experts: ExpertsConfig) -> None:
    block, hidden_ND = build(experts), tokens(200)
    gates_NK, chosen_NK = block.gate(hidden_ND)
    _, their_gates_NK, their_chosen_NK = their_router(block, experts)(hidden_ND)
    assert torch.equal(chosen_NK.sort().values, their_chosen_NK.sort().values)
    num = experts.n_routed_experts
    expected = by_expert(their_gates_NK, their_chosen_NK, num)
    assert relative_error(by_expert(gates_NK, chosen_NK, num), expected) <= 1e-6


@torch.no_grad()
def test_only_the_best_groups_are_chosen_from() -> None:
    block, hidden_ND = build(GROUPED), tokens(200)
    biased_NE = block.gate.scores(hidden_ND) + block.gate.e_score_correction_bias
    _, chosen_NK = block.gate(hidden_ND)
    limited = 0
    for scores_Ge, chosen in zip(biased_NE.unflatten(1, (4, 4)), chosen_NK.tolist(), strict=True):
        quality = [sum(sorted(group)[-2:]) for group in scores_Ge.tolist()]
        best = sorted(range(4), key=quality.__getitem__)[-2:]
        assert {expert // 4 for expert in chosen} <= set(best)
        limited += set(chosen) != set(scores_Ge.flatten().topk(3).indices.tolist())
    assert limited > 20  # the groups did change the choice


@torch.no_grad()
def test_correction_bias_chooses_but_does_not_weigh() -> None:
    block, hidden_ND = build(replace(PLAIN, norm_topk_prob=False)), tokens()
    block.gate.e_score_correction_bias.copy_(10.0 * (torch.arange(8) >= 5))
    gates_NK, chosen_NK = block.gate(hidden_ND)
    assert {tuple(sorted(chosen)) for chosen in chosen_NK.tolist()} == {(5, 6, 7)}
    expected = torch.sigmoid(hidden_ND @ block.gate.weight.mT).gather(1, chosen_NK)
    assert relative_error(gates_NK, expected) <= 1e-6


@torch.no_grad()
def test_ties_still_choose_distinct_experts_of_few_groups(experts: ExpertsConfig) -> None:
    """A router of zeros, as after upcycling: every expert is as good as every other."""
    block, hidden_ND = build(experts), tokens()
    block.gate.weight.zero_()
    block.gate.e_score_correction_bias.zero_()
    gates_NK, chosen_NK = block.gate(hidden_ND)
    k, in_group = experts.num_experts_per_tok, experts.n_routed_experts // experts.n_group
    for chosen in chosen_NK.tolist():
        assert len(set(chosen)) == k
        assert len({expert // in_group for expert in chosen}) <= experts.topk_group
    gate = experts.routed_scaling_factor / (k if experts.norm_topk_prob else 2)
    torch.testing.assert_close(gates_NK, torch.full_like(gates_NK, gate))


@pytest.mark.parametrize(
    "change,reason",
    [
        ({"n_routed_experts": 10, "n_group": 4}, "10 experts do not make 4 groups"),
        ({"n_routed_experts": 4, "n_group": 4}, "4 experts do not make 4 groups of two"),
        ({"num_experts_per_tok": 9, "topk_group": 2}, "9 experts a token.*hold only 8"),
        ({"topk_group": 5}, "5 groups to keep of only 4"),
    ],
)
def test_impossible_numbers_are_refused(change: dict[str, int], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        replace(GROUPED, **change)
