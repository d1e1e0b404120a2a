"""How fast a model is on this machine: a model in; times, rates and shares of the limits out.

Everything is timed in the engine that serves people, from outside, and given as medians. What a
step has to read is counted; how fast this machine reads is measured in the same run.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from janus.config import JanusConfig
from janus.engine.engine import Engine
from janus.engine.request import ImageRequest, TextRequest, Ticket
from janus.engine.windows import Windows
from janus.errors import UsageError
from janus.generation.params import DrawParams, TextParams
from janus.model.cache import LayerCache
from janus.model.model import JanusModel
from janus.model.quantized import PackedLinear
from janus.prompts.batch import Prompt

POSITION = 300  # where a step is timed: halfway through a picture
WORDS = 16  # of a question about a picture
REPEATS = 3  # of what takes seconds
BANDWIDTH_BYTES = 1 << 29
# Any ids will do: times depend on their number only.
BOS, PAD, WORD = 0, 1, 2


def time_drawing(
    model: JanusModel, *, steps: int, pictures: int = 1, window: int = 1
) -> Iterator[float]:
    """Milliseconds of one pass after another, around `POSITION`, of so many guided pictures.

    Each picture brings `window` ids to a pass, right or wrong; where one is nearly done, another is
    begun. Raises `UsageError` for a window that no picture has room for.
    """
    limit, prompt = model.config.num_image_tokens, prompt_for(steps * window)
    if window > limit - 2:
        raise UsageError(f"A picture of {limit} ids has no room for windows of {window}.")
    num_timed = 0
    while num_timed < steps:
        engine, ticket = _begin(model, prompt, DrawParams(count=pictures), window)
        engine.step()  # the prompt
        engine.step()  # the first of its kind
        while num_timed < steps and max(map(len, ticket.pictures)) + window <= limit:
            yield _milliseconds(engine.step)
            num_timed += 1


def likeliest(model: JanusModel, num: int) -> list[int]:
    """The likeliest ids of a picture, one after the other."""
    engine, ticket = _begin(model, prompt_for(num), DrawParams(temperature=0))
    while len(ticket.ids) < num:
        engine.step()
    return list(ticket.ids)


def prompt_for(num_ids: int) -> Prompt:
    """So long that as many ids lie around `POSITION`."""
    return Prompt((BOS, *[WORD] * (POSITION - 2 - num_ids // 2), BOS))


def _begin(
    model: JanusModel, prompt: Prompt, params: DrawParams, window: int = 1
) -> tuple[Engine, Ticket]:
    limit = model.config.num_image_tokens
    engine = Engine(
        model,
        num_slots=2 * params.count,
        length=len(prompt) + limit,
        placeholder_id=model.config.image_token_id,
        windows=Windows(largest=window, num_tokens=1 << 30, reach=float(limit)),
    )
    request = ImageRequest(prompt=prompt, params=params, seed=0, pad_id=PAD)
    return engine, engine.submit(request)


def time_first_word(model: JanusModel) -> float:
    """Milliseconds from a question about one picture to the first word of the answer."""
    image = [model.config.image_token_id] * model.config.num_image_tokens
    prompt = Prompt((BOS, *image, *[WORD] * WORDS), pixels_of_one(model.config))
    engine = Engine(
        model, num_slots=1, length=len(prompt) + 1, placeholder_id=model.config.image_token_id
    )

    def answer() -> Ticket:
        params = TextParams(max_tokens=1)
        ticket = engine.submit(
            TextRequest(prompt=prompt, params=params, seed=0, eos_ids=frozenset())
        )
        engine.step()
        return ticket

    return time_in_turn(answer)[0]


@torch.inference_mode()
def time_in_turn(*runs: Callable[[], object]) -> list[float]:
    """Median milliseconds of each, which take turns, since a machine's speed changes.

    The first round only warms up.
    """
    rounds = [[_milliseconds(run) for run in runs] for _ in range(1 + REPEATS)]
    return [statistics.median(times) for times in zip(*rounds[1:], strict=True)]


def pixels_of_one(config: JanusConfig) -> Tensor:
    """Pixels of a picture to see."""
    return torch.zeros(1, 3, config.vision.image_size, config.vision.image_size)


def ids_of_one(config: JanusConfig) -> Tensor:
    """Ids of a whole picture to decode."""
    return torch.arange(config.num_image_tokens)[None] % config.codebook.num_embeddings


def measure_bandwidth() -> float:
    """Bytes that all threads together read from memory in a second."""
    numbers = torch.ones(BANDWIDTH_BYTES // 8, dtype=torch.int64)
    return BANDWIDTH_BYTES / (statistics.median(_milliseconds(numbers.sum) for _ in range(8)) / 1e3)


def bytes_per_pass(model: JanusModel, *, pictures: int = 1) -> int:
    """What a drawing pass reads at least: all matrices once, and what is kept of each token.

    Counts every expert: the tokens of a batch choose many of them, a single picture fewer.
    """
    parts = (model.language_model.layers, model.generation_head)
    weights = sum(_num_bytes(module) for part in parts for module in part.modules())
    cache = model.language_model.new_cache(1, 1)
    return weights + 2 * pictures * POSITION * sum(_bytes_a_token(layer) for layer in cache.layers)


def _num_bytes(module: nn.Module) -> int:
    if isinstance(module, PackedLinear):
        return module.num_bytes
    return sum(p.numel() * p.element_size() for p in module.parameters(recurse=False))


def _bytes_a_token(layer: LayerCache) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in layer.tensors)


def peak_memory() -> int | None:
    """Bytes that this process had at most; None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _milliseconds(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return (time.perf_counter() - begun) * 1e3
