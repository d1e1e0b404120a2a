"""Slices of a feed-forward layer, shared and routed, add up to the layer."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from weights.errors import RecipeError
from weights.recipes import Exact, Isoflop, Plan, Recipe, make_recipe
from weights.upcycle import layer_prefix, upcycle_tensors

# N tokens, D width, I neurons

WIDTH, NEURONS, LAYERS = 16, 48, 3
SHAPES = {
    "gate_proj.weight": (NEURONS, WIDTH),
    "up_proj.weight": (NEURONS, WIDTH),
    "down_proj.weight": (WIDTH, NEURONS),
}
RECIPES = {
    "exact": Exact(),
    "exact, fewer experts than slices": Exact(slices=6, experts=4, experts_per_token=3),
    "exact, one slice": Exact(slices=1),
    "isoflop": Isoflop(),
    "isoflop, one of six shared": Isoflop(slices=6, shared=1, copies=3, experts_per_token=10),
    "isoflop, all but two shared": Isoflop(slices=6, shared=4, first_dense=0),
}


@pytest.fixture(params=RECIPES)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return RECIPES[request.param]


@pytest.fixture(scope="module")
def dense() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    names = {
        layer_prefix(layer) + leaf: shape
        for layer in range(LAYERS)
        for leaf, shape in SHAPES.items()
    }
    names |= {"lm_head.weight": (5, WIDTH), "model.aligner.fc1.weight": (WIDTH, 3)}
    return {name: torch.randn(shape, generator=generator) for name, shape in names.items()}


def upcycled(dense: dict[str, Tensor], plan: Plan) -> dict[str, Tensor]:
    return dict(upcycle_tensors(dense.items(), plan))


def layer_of(tensors: dict[str, Tensor], layer: int) -> dict[str, Tensor]:
    prefix = layer_prefix(layer)
    return {n.removeprefix(prefix): t.double() for n, t in tensors.items() if n.startswith(prefix)}


def swiglu(hidden_ND: Tensor, gate_ID: Tensor, up_ID: Tensor, down_DI: Tensor) -> Tensor:
    return (F.silu(hidden_ND @ gate_ID.mT) * (hidden_ND @ up_ID.mT)) @ down_DI.mT


def layer_output(layer: dict[str, Tensor], hidden_ND: Tensor, prefix: str = "") -> Tensor:
    return swiglu(hidden_ND, *(layer[prefix + leaf] for leaf in SHAPES))


def expert_outputs(layer: dict[str, Tensor], hidden_ND: Tensor) -> Tensor:
    """[E, N, D]"""
    pairs = zip(layer["experts.gate_up_proj"], layer["experts.down_proj"], strict=True)
    return torch.stack([swiglu(hidden_ND, *gate_up.chunk(2), down) for gate_up, down in pairs])


def test_shared_slices_and_each_copy_add_up(dense: dict[str, Tensor], recipe: Recipe) -> None:
    plan = recipe.plan(NEURONS, LAYERS)
    tensors = upcycled(dense, plan)
    hidden_ND = torch.randn(7, WIDTH, generator=torch.Generator().manual_seed(1)).double()
    for layer in range(plan.first_dense, LAYERS):
        found = layer_of(tensors, layer)
        shared_ND = layer_output(found, hidden_ND, "shared_experts.")
        copies = expert_outputs(found, hidden_ND).unflatten(0, (plan.groups, -1)).sum(dim=1)
        expected_ND = layer_output(layer_of(dense, layer), hidden_ND)
        for copy_ND in copies:
            torch.testing.assert_close(shared_ND + copy_ND, expected_ND, rtol=1e-12, atol=1e-12)


def test_exact_keeps_the_layer_and_adds_silent_slices(dense: dict[str, Tensor]) -> None:
    plan = Exact(slices=3, experts=7).plan(NEURONS, LAYERS)
    before, after = (layer_of(tensors, 1) for tensors in (dense, upcycled(dense, plan)))
    assert all(torch.equal(after[f"shared_experts.{leaf}"], before[leaf]) for leaf in SHAPES)
    assert after["experts.down_proj"].shape == (7, WIDTH, 16)
    assert not after["experts.down_proj"].any()
    for expert, gate_up in enumerate(after["experts.gate_up_proj"]):
        rows = slice(16 * (expert % 3), 16 * (expert % 3) + 16)
        expected = torch.cat([before["gate_proj.weight"][rows], before["up_proj.weight"][rows]])
        assert torch.equal(gate_up, expected)


def test_experts_of_a_copy_and_only_those_have_equal_routers(dense: dict[str, Tensor]) -> None:
    plan = Isoflop(slices=6, shared=3, copies=4).plan(NEURONS, LAYERS)
    rows = layer_of(upcycled(dense, plan), 1)["gate.weight"]
    copies = rows.unflatten(0, (4, 3))
    assert torch.equal(copies, copies[:, :1].expand_as(copies))
    assert len(rows.unique(dim=0)) == 4


def test_routers_are_drawn_by_seed_and_layer(dense: dict[str, Tensor]) -> None:
    def routers(seed: int) -> list[Tensor]:
        tensors = upcycled(dense, Exact(seed=seed, first_dense=0).plan(NEURONS, LAYERS))
        return [layer_of(tensors, layer)["gate.weight"] for layer in range(LAYERS)]

    assert all(torch.equal(a, b) for a, b in zip(routers(3), routers(3), strict=True))
    drawn = [*routers(3), *routers(4)]
    assert len({tuple(router.flatten().tolist()) for router in drawn}) == 2 * LAYERS


def test_the_order_of_the_tensors_does_not_matter(dense: dict[str, Tensor], recipe: Recipe) -> None:
    plan = recipe.plan(NEURONS, LAYERS)
    forwards, backwards = upcycled(dense, plan), upcycled(dict(reversed(dense.items())), plan)
    assert forwards.keys() == backwards.keys()
    assert all(torch.equal(forwards[name], backwards[name]) for name in forwards)


def test_everything_else_passes_as_it_is(dense: dict[str, Tensor]) -> None:
    tensors = upcycled(dense, Exact(first_dense=2).plan(NEURONS, LAYERS))
    kept = [name for name in dense if not name.startswith(layer_prefix(2))]
    assert all(tensors[name] is dense[name] for name in kept)
    assert all(name in kept or name.startswith(layer_prefix(2)) for name in tensors)


def test_types_are_kept_but_for_the_bias(dense: dict[str, Tensor], recipe: Recipe) -> None:
    half = {name: tensor.bfloat16() for name, tensor in dense.items()}
    tensors = upcycled(half, recipe.plan(NEURONS, LAYERS))
    floats = [name for name, tensor in tensors.items() if tensor.dtype != torch.bfloat16]
    assert floats and all(name.endswith("gate.e_score_correction_bias") for name in floats)
    assert all(tensors[name].dtype == torch.float32 for name in floats)


def test_parameters_are_counted_as_they_come(dense: dict[str, Tensor], recipe: Recipe) -> None:
    plan = recipe.plan(NEURONS, LAYERS)
    before, after = layer_of(dense, 2), layer_of(upcycled(dense, plan), 2)
    del after["gate.e_score_correction_bias"]
    grown = sum(t.numel() for t in after.values()) - sum(t.numel() for t in before.values())
    assert plan.added_parameters(WIDTH) == grown
    one_expert = after["experts.down_proj"][0].numel() + after["experts.gate_up_proj"][0].numel()
    assert plan.idle_parameters(WIDTH) == one_expert * (len(plan.routed) - plan.experts_per_token)


# Numbers


@pytest.mark.parametrize(
    ("recipe", "neurons", "slices", "shared", "routed", "per_token", "groups", "scale"),
    [
        (Exact(), 5632, 4, 4, 8, 2, (1, 1), 1.0),
        (Exact(), 11008, 8, 8, 8, 2, (1, 1), 1.0),
        (Isoflop(), 5632, 4, 2, 16, 2, (8, 1), 2.0),
        (Isoflop(), 11008, 8, 4, 32, 4, (8, 1), 4.0),
        (Isoflop(experts_per_token=6), 5632, 4, 2, 16, 6, (8, 3), 2.0),
    ],
)
def test_published_sizes(
    recipe: Recipe,
    neurons: int,
    slices: int,
    shared: int,
    routed: int,
    per_token: int,
    groups: tuple[int, int],
    scale: float,
) -> None:
    plan = recipe.plan(neurons, 24)
    assert (plan.slices, plan.slice_width, plan.shared) == (slices, neurons // slices, shared)
    assert (len(plan.routed), plan.experts_per_token) == (routed, per_token)
    assert ((plan.groups, plan.kept_groups), plan.scale) == (groups, scale)


def test_isoflop_costs_a_token_what_it_did() -> None:
    plan = Isoflop().plan(5632, 24)
    router = len(plan.routed) * 2048
    assert plan.added_parameters(2048) - plan.idle_parameters(2048) == router


@pytest.mark.parametrize(
    ("recipe", "message", "hint"),
    [
        (Exact(slices=5), "48 neurons do not make 5 slices", "Choose 1, 2, 3, 6."),
        (Exact(slices=12), "a multiple of 8", "Choose 1, 2, 3, 6."),
        (Isoflop(slices=2), "48 neurons do not make 2 slices", "Choose 3, 6."),
        (Exact(experts_per_token=1), "experts_per_token is 1", "at least 2"),
        (Exact(experts=3, experts_per_token=4), "4 of 3 experts", "at least 2"),
        (Isoflop(slices=6, shared=5), "5 of 6 slices are shared", "Choose 1 to 4"),
        (Isoflop(slices=6, shared=0), "0 of 6 slices are shared", "Choose 1 to 4"),
        (Isoflop(copies=1), "copies is 1", "2 or more"),
        (Isoflop(experts_per_token=3), "whole copies of 2", "a multiple of 2 up to 16"),
        (Isoflop(experts_per_token=18), "whole copies of 2", "a multiple of 2 up to 16"),
        (Exact(first_dense=3), "the model has 3 layers", "Choose 0 to 2"),
    ],
)
def test_numbers_that_do_not_fit_are_told_with_those_that_do(
    recipe: Recipe, message: str, hint: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe.plan(NEURONS, LAYERS)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_neurons_that_cannot_be_cut() -> None:
    with pytest.raises(RecipeError, match="44 neurons, which do not make 1 or more"):
        Exact().plan(44, LAYERS)


@pytest.mark.parametrize(
    ("name", "settings", "reason"),
    [
        ("exakt", {}, "no recipe 'exakt'. Choose exact or isoflop."),
        ("exact", {"copies": 8}, "exact has no setting copies. It has slices, .*experts"),
        ("isoflop", {"experts": 8}, "isoflop has no setting experts. It has .*copies"),
    ],
)
def test_unknown_names_are_told_with_the_known(
    name: str, settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(RecipeError, match=reason):
        make_recipe(name, settings)


def test_a_recipe_by_its_name() -> None:
    assert make_recipe("isoflop", {"copies": 4, "seed": 2}) == Isoflop(copies=4, seed=2)
