"""How fast a model is on this machine: a model in; times, rates and shares of the limits out.

Everything is timed in the engine that serves people, from outside, and given as medians. What a
step has to read is counted; how fast this machine reads is measured in the same run.
"""

import operator
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from janus.config import JanusConfig
from janus.engine.budget import bytes_a_token
from janus.engine.engine import Engine
from janus.engine.request import ImageRequest, TextRequest, Ticket
from janus.engine.windows import Windows
from janus.errors import UsageError
from janus.generation.params import DrawParams, TextParams
from janus.model.memory import in_large_pages
from janus.model.model import JanusModel
from janus.model.packed import PackedLinear
from janus.prompts.batch import Prompt

POSITION = 300  # where a step is timed: halfway through a picture
WORDS = 16  # of a question about a picture
REPEATS = 3  # of what takes seconds
COMPANY = 16  # drawings and answers at once
BANDWIDTH_BYTES = 1 << 29
# Any ids will do: times depend on their number only.
BOS, PAD, WORD = 0, 1, 2


def time_drawing(
    model: JanusModel,
    *,
    steps: int,
    pictures: int = 1,
    window: int = 1,
    recorded: bool | None = None,
) -> Iterator[float]:
    """Milliseconds of one pass after another, around `POSITION`, of so many guided pictures.

    Each picture brings `window` ids to a pass, right or wrong; where one is nearly done, another is
    begun. `recorded` is as `Engine` has it. Raises `UsageError` for a window that no picture has
    room for.
    """
    limit, prompt = model.config.num_image_tokens, prompt_for(steps * window)
    if window > limit - 2:
        raise UsageError(f"A picture of {limit} ids has no room for windows of {window}.")
    num_timed = 0
    while num_timed < steps:
        engine, ticket = _begin(model, prompt, DrawParams(count=pictures), window, recorded)
        engine.step()  # the prompt
        engine.step()  # the first of its kind
        while num_timed < steps and max(map(len, ticket.pictures)) + window <= limit:
            yield _milliseconds(engine.step)
            num_timed += 1


def time_pictures(model: JanusModel, count: int, *, window: int = 1) -> float:
    """Seconds of so many guided pictures of one short prompt, drawn together, pixels included.

    The second time: what has to be made once for their number is made before.
    """
    params, limit = DrawParams(count=count), model.config.num_image_tokens
    prompt = Prompt((BOS, *[WORD] * WORDS, BOS))
    engine = _engine(model, params, len(prompt) + limit, window)

    def draw() -> None:
        ticket = engine.submit(ImageRequest(prompt=prompt, params=params, seed=0, pad_id=PAD))
        _exhaust(engine.run(ticket))
        for ids in ticket.pictures:
            model.draw_pixels(torch.tensor([ids], device=model.device))

    with torch.inference_mode():
        return [_milliseconds(draw, wait=True) for _ in range(2)][-1] / 1e3


def drawn_ids(
    model: JanusModel, seed: int, *, window: int = 1, recorded: bool | None = None
) -> list[int]:
    """A picture's ids, sampled."""
    prompt = prompt_for(model.config.num_image_tokens)
    engine, ticket = _begin(model, prompt, DrawParams(), window, recorded, seed)
    _exhaust(engine.run(ticket))
    return list(ticket.ids)


def time_guessing(model: JanusModel, requests: Sequence[ImageRequest]) -> dict[str, float | bool]:
    """What it gains to check several ids of a picture in one pass, on drawings that mean something.

    Each is drawn both ways in turn, ids only; medians of the seconds.
    """
    ways = {"one": Windows(largest=1), "several": Windows.for_model(model)}
    times: dict[str, list[float]] = {way: [] for way in ways}
    num_passes, num_ids, is_same = 0, 0, True
    for number, request in enumerate([requests[0], *requests]):
        drawn = {}
        for way, windows in ways.items():
            engine = Engine(
                model,
                num_slots=2 * request.params.count,
                length=len(request.prompt) + model.config.num_image_tokens,
                placeholder_id=model.config.image_token_id,
                windows=windows,
            )
            ticket = drawn[way] = engine.submit(request)
            seconds = _milliseconds(partial(_exhaust, engine.run(ticket)), wait=True) / 1e3
            if number:  # the first only warms up
                times[way].append(seconds)
        is_same = is_same and drawn["one"].pictures == drawn["several"].pictures
        num_passes += drawn["several"].num_passes
        num_ids += drawn["several"].num_steps
    one, several = (statistics.median(times[way]) for way in ways)
    return {
        "guessing.ids_per_pass": num_ids / num_passes,
        "guessing.seconds_per_picture": several,
        "guessing.seconds_without": one,
        "guessing.ratio": one / several,
        "guessing.same_ids": is_same,
    }


def same_in_company(
    model: JanusModel, drawings: Sequence[ImageRequest], answers: Sequence[TextRequest]
) -> float:
    """The share of drawings that have the same ids alone and in mixed batches of `COMPANY`.

    The answers are given beside each batch.
    """
    num_drawings = COMPANY - len(answers)
    length = max(len(request.prompt) for request in (*drawings, *answers))
    length += max(model.config.num_image_tokens, *(a.params.max_tokens for a in answers))

    def draw(*requests: ImageRequest | TextRequest) -> list[list[tuple[int, ...]]]:
        engine = Engine(
            model,
            num_slots=2 * COMPANY,
            length=length,
            placeholder_id=model.config.image_token_id,
        )
        tickets = engine.submit_all(requests)
        _exhaust(engine.run_all(tickets))
        return [ticket.pictures for ticket in tickets]

    alone = [drawn for drawing in drawings for drawn in draw(drawing)]
    together = []
    for start in range(0, len(drawings), num_drawings):
        some = drawings[start : start + num_drawings]
        together += draw(*some, *answers)[: len(some)]
    return sum(map(operator.eq, alone, together)) / len(alone)


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
    model: JanusModel,
    prompt: Prompt,
    params: DrawParams,
    window: int = 1,
    recorded: bool | None = None,
    seed: int = 0,
) -> tuple[Engine, Ticket]:
    length = len(prompt) + model.config.num_image_tokens
    engine = _engine(model, params, length, window, recorded)
    request = ImageRequest(prompt=prompt, params=params, seed=seed, pad_id=PAD)
    return engine, engine.submit(request)


def _engine(
    model: JanusModel, params: DrawParams, length: int, window: int, recorded: bool | None = None
) -> Engine:
    return Engine(
        model,
        num_slots=2 * params.count,
        length=length,
        placeholder_id=model.config.image_token_id,
        windows=Windows(largest=window, num_tokens=1 << 30, reach=float(length)),
        prompt_tokens=1 << 30,  # all pictures begin in the first step
        recorded=recorded,
    )


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
        _exhaust(engine.run(ticket))
        return ticket

    return time_in_turn(answer)[0]


@torch.inference_mode()
def time_in_turn(*runs: Callable[[], object]) -> list[float]:
    """Median milliseconds of each, which take turns, since a machine's speed changes.

    The first round only warms up.
    """
    rounds = [[_milliseconds(run, wait=True) for run in runs] for _ in range(1 + REPEATS)]
    return [statistics.median(times) for times in zip(*rounds[1:], strict=True)]


def pixels_of_one(config: JanusConfig) -> Tensor:
    """Pixels of a picture to see."""
    return torch.zeros(1, 3, config.vision.image_size, config.vision.image_size)


def ids_of_one(config: JanusConfig) -> Tensor:
    """Ids of a whole picture to decode."""
    return torch.arange(config.num_image_tokens)[None] % config.codebook.num_embeddings


def measure_bandwidth(device: torch.device | str = "cpu") -> float:
    """Bytes that the device, or all threads together, read in a second from where weights lie."""
    numbers = torch.ones(BANDWIDTH_BYTES // 8, dtype=torch.int64, device=device)
    if numbers.is_cpu:
        numbers = in_large_pages(numbers)
    times = [_milliseconds(numbers.sum, wait=True) for _ in range(8)]
    return BANDWIDTH_BYTES / (statistics.median(times) / 1e3)


def bytes_per_pass(model: JanusModel, *, pictures: int = 1) -> int:
    """What a drawing pass reads at least: all matrices once, and what is kept of each token.

    Counts every expert: the tokens of a batch choose many of them, a single picture fewer.
    """
    parts = (model.language_model.layers, model.generation_head, model.generation_aligner)
    weights = sum(_num_bytes(module) for part in parts for module in part.modules())
    return weights + 2 * pictures * POSITION * bytes_a_token(model)


def _num_bytes(module: nn.Module) -> int:
    if isinstance(module, PackedLinear):
        return module.num_bytes
    return sum(p.numel() * p.element_size() for p in module.parameters(recurse=False))


def peak_memory() -> int | None:
    """Bytes that this process had at most; None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _exhaust(steps: Iterable[object]) -> None:
    for _ in steps:
        pass


def _milliseconds(run: Callable[[], object], *, wait: bool = False) -> float:
    """Of a call; with `wait`, until a GPU has done all that it was told to."""
    begun = time.perf_counter()
    run()
    if wait and torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return (time.perf_counter() - begun) * 1e3
