"""Everything that `janus bench` measures, in one table of figures."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from janus.evaluation import bench
from janus.model.model import JanusModel

ROUNDS = 3  # ours and theirs take turns, because a machine's speed changes with the minutes

Figures = dict[str, float | int | str | None]
OnPart = Callable[[str], None]


class Peer(Protocol):
    """The same weights in another engine, called `name` in the figures."""

    name: str

    def time_drawing(self, steps: int) -> Iterable[float]:
        """Milliseconds of so many image tokens, one after the other."""
        ...


@runtime_checkable
class SeeingPeer(Peer, Protocol):
    """Has the visual parts, too."""

    def see(self, pixels_B3SS: Tensor) -> object:
        """What the transformer takes in the place of pictures."""
        ...

    def draw_pixels(self, ids_BI: Tensor) -> object:
        """Pictures from their ids."""
        ...


def measure(
    model: JanusModel,
    *,
    steps: int,
    pictures: Sequence[int] = (1,),
    windows: Sequence[int] = (),
    against: Peer | None = None,
    on_part: OnPart = lambda part: None,
) -> Figures:
    """Times of drawing, alone and several at once; of seeing, decoding and the first word.

    How many times as long `against` takes is a ratio: `ratio` of an image token, and of one that
    also sees and decodes `ratio.see` and `ratio.decode`.
    """
    on_part("memory")
    bandwidth = bench.measure_bandwidth(model.device)
    on_part("drawing")
    ours, theirs = _in_turn(model, steps, against)
    step = statistics.median(ours)
    limit = model.config.num_image_tokens
    on_part("seeing and decoding")
    seer = against if isinstance(against, SeeingPeer) else None
    engines = [model] if seer is None else [model, seer]
    pixels = bench.pixels_of_one(model.config).to(model.device)
    ids = bench.ids_of_one(model.config).to(model.device)
    seeing = bench.time_in_turn(*(partial(engine.see, pixels) for engine in engines))
    decoding = bench.time_in_turn(*(partial(engine.draw_pixels, ids) for engine in engines))
    moved = bench.bytes_per_pass(model)
    figures: Figures = {
        "threads": torch.get_num_threads(),
        "ours.ms_per_image_token": step,
        "ours.seconds_per_picture": (step * limit + decoding[0]) / 1e3,
        "ours.first_word_ms": bench.time_first_word(model),
        "ours.see_ms": seeing[0],
        "ours.decode_ms": decoding[0],
        "bandwidth.measured": bandwidth / 1e9,
        "bandwidth.bytes_per_step": moved,
        "bandwidth.share": moved / (step / 1e3) / bandwidth,
    }
    if against is not None:
        figures[f"{against.name}.ms_per_image_token"] = statistics.median(theirs)
        figures["ratio"] = statistics.median(theirs) / step
    if seer is not None:
        figures[f"{seer.name}.see_ms"], figures[f"{seer.name}.decode_ms"] = seeing[1], decoding[1]
        figures["ratio.see"] = seeing[1] / seeing[0]
        figures["ratio.decode"] = decoding[1] / decoding[0]
    for count in pictures:
        on_part(f"{count} pictures at once")
        several = statistics.median(bench.time_drawing(model, steps=steps, pictures=count))
        figures[f"pictures.{count}.ms_per_step"] = several
        seconds = (several * limit + decoding[0] * count) / 1e3
        figures[f"pictures.{count}.per_second"] = count / seconds
    for window in windows:
        on_part(f"windows of {window}")
        wide = statistics.median(bench.time_drawing(model, steps=steps, window=window))
        figures[f"window.{window}.ms_per_pass"] = wide
        figures[f"window.{window}.cost"] = wide / step
    figures["peak_memory_bytes"] = bench.peak_memory()
    if model.device.type == "cuda":
        figures["peak_gpu_memory_bytes"] = torch.cuda.max_memory_allocated(model.device)
    return figures


def _in_turn(
    model: JanusModel, steps: int, against: Peer | None
) -> tuple[list[float], list[float]]:
    a_round = -(-steps // ROUNDS)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours += bench.time_drawing(model, steps=a_round)
        theirs += against.time_drawing(a_round) if against is not None else ()
    return ours, theirs
