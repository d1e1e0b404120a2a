"""Choices are counted by router and kind, from outside, and only when asked to."""

import threading

import torch

from janus.config import ExpertsConfig
from janus.model.expert_load import ExpertLoad
from janus.model.moe import Router

# Four experts, each of which likes one of four features; every token takes two of them.
TOKENS = torch.tensor([[3.0, 2, 0, 0], [0, 0, 2, 3], [3, 0, 2, 0], [0, 3, 2, 0]])
TEXT, SEEN = torch.tensor([True, True, False, False]), torch.tensor([False, False, True, False])


def router() -> Router:
    config = ExpertsConfig(n_routed_experts=4, num_experts_per_tok=2, moe_intermediate_size=8)
    router = Router(4, config)
    torch.nn.init.eye_(router.weight)
    return router.requires_grad_(False)


def test_counts_by_hand():
    model = torch.nn.Sequential(router())
    load = ExpertLoad(model)
    with load.tokens(text=TEXT, seen=SEEN):
        model(TOKENS)
    assert load.counts["0"]["text"].tolist() == [1, 1, 1, 1]
    assert load.counts["0"]["seen"].tolist() == [1, 0, 1, 0]
    with load.tokens(seen=~TEXT):
        model(TOKENS)
    assert load.counts["0"]["seen"].tolist() == [2, 1, 3, 0]


def test_nothing_is_counted_outside_or_changed_inside():
    model = torch.nn.Sequential(router())
    load = ExpertLoad(model)
    gates, chosen = model(TOKENS)
    assert not load.counts
    with load.tokens(text=TEXT):
        watched_gates, watched_chosen = model(TOKENS)
    assert torch.equal(gates, watched_gates)
    assert torch.equal(chosen, watched_chosen)


def test_passes_of_other_threads_are_not_counted():
    model = torch.nn.Sequential(router())
    load = ExpertLoad(model)
    with load.tokens(text=TEXT):
        other = threading.Thread(target=model, args=(TOKENS[:1],))
        other.start()
        other.join()
    assert not load.counts
