import pytest

from janus.engine.budget import bytes_a_token, prompt_tokens_of, slots_that_fit
from janus.model.model import JanusModel


def test_what_a_token_takes(any_model: JanusModel) -> None:
    cache = any_model.language_model.new_cache(3, 64)
    assert bytes_a_token(any_model) * 3 * 64 == cache.num_bytes


def test_slots_of_a_cpu_take_memory_as_they_fill(model: JanusModel) -> None:
    assert slots_that_fit(model, 10**9) == 32


def test_prompts_of_four_bits_are_read_in_smaller_pieces(
    model: JanusModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert prompt_tokens_of(model) == 128
    monkeypatch.setattr(model, "quantization", "int4")
    assert prompt_tokens_of(model) == 64


@pytest.mark.parametrize(("free", "wanted"), [(0, 2), (10, 6), (1000, 32)])
def test_slots_of_a_gpu(
    model: JanusModel, monkeypatch: pytest.MonkeyPatch, free: int, wanted: int
) -> None:
    """Six tenths of so many slots' memory."""
    slot = 100 * bytes_a_token(model)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda _: (free * slot + 1, 10**12))
    monkeypatch.setattr(JanusModel, "device", property(lambda _: Cuda))
    assert slots_that_fit(model, 100) == wanted


class Cuda:
    type = "cuda"
