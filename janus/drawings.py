"""Several drawings that are asked for together: prompts and generators in, engine requests out.

Decides which picture gets which seed. Draws nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from janus.engine.request import ImageRequest
from janus.errors import UsageError
from janus.pipeline import Janus

Generators = torch.Generator | Sequence[torch.Generator]


def requests_for(
    janus: Janus,
    prompt: str | Sequence[str],
    generator: Generators | None,
    settings: Mapping[str, Any],
) -> list[ImageRequest]:
    """The requests whose pictures, in their order, are those of each prompt in its order.

    Picture k of all has the initial seed of the generator + k, or of a list its own generator's.
    Settings are those of `Janus.draw`. Raises `UsageError` for what cannot be drawn.
    """
    generators = _generators(generator)
    is_one = isinstance(generator, torch.Generator)
    shared = {"generator": generator} if is_one else {}
    requests = [janus.image_request(each, **settings, **shared) for each in _prompts(prompt)]
    return _numbered(requests) if is_one or generators is None else _each(requests, generators)


def _numbered(requests: Sequence[ImageRequest]) -> list[ImageRequest]:
    """The seeds go on from one request to the next."""
    first, count = requests[0].seed, requests[0].params.count
    return [replace(request, seed=first + i * count) for i, request in enumerate(requests)]


def _each(
    requests: Sequence[ImageRequest], generators: Sequence[torch.Generator]
) -> list[ImageRequest]:
    """A request for each picture, with the seed of its generator."""
    pictures = [request for request in requests for _ in range(request.params.count)]
    if len(generators) != len(pictures):
        raise UsageError(
            f"There are {len(generators)} generators for {len(pictures)} pictures.",
            "Give one generator, or a list with one for each picture.",
        )
    seeds = [generator.initial_seed() for generator in generators]
    return [
        replace(picture, seed=seed, params=replace(picture.params, count=1, seed=seed))
        for picture, seed in zip(pictures, seeds, strict=True)
    ]


def _prompts(prompt: Any) -> list[str]:
    prompts = [prompt] if isinstance(prompt, str) else prompt
    is_list = isinstance(prompts, (list, tuple)) and bool(prompts)
    if not is_list or not all(isinstance(each, str) for each in prompts):
        raise UsageError(f"prompt is {prompt!r}, but must be a text or a list of texts.")
    return list(prompts)


def _generators(generator: Any) -> list[torch.Generator] | None:
    if generator is None:
        return None
    generators = generator if isinstance(generator, (list, tuple)) else [generator]
    if not all(isinstance(each, torch.Generator) for each in generators):
        raise UsageError(
            f"generator is {generator!r}, but must be a torch.Generator or a list of them.",
            "For seed 7 it is torch.Generator().manual_seed(7).",
        )
    return list(generators)
