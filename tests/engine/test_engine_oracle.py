"""The same ids as transformers' `generate`, on models with the same random weights."""

from typing import Any

import pytest
import torch
from transformers import GenerationConfig, JanusForConditionalGeneration
from transformers import JanusConfig as OracleConfig

from janus.config import read_config
from janus.generation.review import attention_to_pictures, embed
from janus.model.model import JanusModel
from janus.prompts.batch import Prompt

IMAGE = 4  # stands where a picture would be


@pytest.fixture(scope="module", params=["llama", "deepseek_v3"])
def pair(request, config_json) -> tuple[Any, JanusModel]:
    """transformers' model and ours, with the same weights."""
    config = config_json(request.param)
    settings = {name: value for name, value in config.items() if name != "model_type"}
    torch.manual_seed(0)
    oracle = JanusForConditionalGeneration(OracleConfig(**settings)).eval()
    for name, tensor in oracle.state_dict().items():
        if tensor.ndim > 1:
            torch.nn.init.normal_(tensor, std=0.2)  # logits far apart
        elif name.endswith("e_score_correction_bias"):
            torch.nn.init.normal_(tensor, std=0.1)
    oracle.generation_config = GenerationConfig(
        bos_token_id=0, eos_token_id=1, pad_token_id=2, generation_kwargs={"boi_token_id": 3}
    )
    ours = JanusModel(read_config(config)).eval()
    state = oracle.state_dict()
    ours.load_state_dict({name.removeprefix("model."): state[name] for name in state})
    return oracle, ours


def oracle_text(oracle, request) -> list[int]:
    ids, pixels = torch.tensor([request.prompt.ids]), request.prompt.pixels
    out = oracle.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=request.params.max_tokens,
        **({} if pixels is None else {"pixel_values": pixels}),
    )
    return [token for token in out[0, ids.shape[1] :].tolist() if token != 1]


def oracle_pictures(oracle, request, **settings) -> list[tuple[int, ...]]:
    ids = torch.tensor([request.prompt.ids])
    torch.manual_seed(request.seed)
    out = oracle.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        generation_mode="image",
        guidance_scale=request.params.guidance,
        num_return_sequences=request.params.count,
        **settings,
    )
    return [tuple(picture) for picture in out.tolist()]


@pytest.mark.parametrize("pictures", [0, 1, 2])
def test_greedy_text(pair, new_engine, ask, finish, pictures):
    oracle, ours = pair
    engine = new_engine(ours, num_slots=2, length=128)
    for words in (3, 9):
        request = ask(words, pictures=pictures, max_tokens=20)
        [[ids]] = finish(engine, engine.submit(request))
        assert list(ids) == oracle_text(oracle, request)


@pytest.mark.parametrize("words", [0, 1, 7])
def test_greedy_guided_pictures(pair, new_engine, draw, finish, words):
    oracle, ours = pair
    request = draw(words, guidance=5, temperature=0)
    engine = new_engine(ours, num_slots=2)
    [pictures] = finish(engine, engine.submit(request))
    assert pictures == oracle_pictures(oracle, request, do_sample=False)


@pytest.mark.parametrize(("count", "seed"), [(1, 0), (3, 42)])
def test_reference_drawing_equals_sampling(pair, new_engine, draw, finish, count, seed):
    oracle, ours = pair
    request = draw(6, guidance=5, count=count, seed=seed, reference=True)
    engine = new_engine(ours, num_slots=2 * count)
    [pictures] = finish(engine, engine.submit(request))
    wanted = oracle_pictures(oracle, request, do_sample=True, top_k=0, temperature=1.0)
    assert pictures == wanted
    assert len(set(pictures)) == count


def test_reference_drawing_is_the_same_in_company(pair, new_engine, ask, draw, finish):
    oracle, ours = pair
    request = draw(6, guidance=3, count=2, seed=5, reference=True, temperature=0.8)
    engine = new_engine(ours, num_slots=9, length=128)
    others = [ask(5, pictures=1, temperature=1.0), draw(3, seed=1), draw(4, reference=True)]
    for other in others[:2]:
        engine.submit(other)
    engine.step()
    ticket = engine.submit(request)
    engine.submit(others[2])
    [pictures] = finish(engine, ticket)
    settings = {"do_sample": True, "top_k": 0, "temperature": 0.8}
    assert pictures == oracle_pictures(oracle, request, **settings)


@torch.inference_mode()
def test_attention_is_that_of_transformers(pair):
    oracle, ours = pair
    words = (0, *range(5, 12))
    prompt = Prompt((*words[:3], *[IMAGE] * ours.config.num_image_tokens, *words[3:]), None)
    hidden_ND = embed(ours, prompt, (), placeholder_id=-1)
    language_model = oracle.model.language_model
    language_model.set_attn_implementation("eager")
    wanted = language_model(inputs_embeds=hidden_ND[None], output_attentions=True).attentions
    after = 3 + ours.config.num_image_tokens
    found = attention_to_pictures(ours, prompt, (), IMAGE, after)
    for ours_HQP, theirs_1HNN in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours_HQP, theirs_1HNN[0, :, after:, 3:after])
