import torch

from janus.generation.guidance import guide


def test_steers_away_from_the_unconditional_in_float32():
    cond, uncond = torch.randn(2, 3, 8).bfloat16()
    weight = torch.tensor([1.0, 5.0, 20.0])
    guided = guide(cond, uncond, weight)
    assert guided.dtype == torch.float32
    exact = uncond.double() + weight[:, None] * (cond.double() - uncond.double())
    torch.testing.assert_close(guided.double(), exact, rtol=1e-6, atol=1e-5)


def test_a_row_that_is_its_own_pair_comes_out_unchanged():
    cond = torch.randn(2, 8)
    assert torch.equal(guide(cond, cond, torch.tensor([1.0, 7.0])), cond)
