"""The ids of a drawing -> pictures: finished, half finished, or as coloured squares."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

import torch
from PIL import Image

from janus.devices import beside_others
from janus.engine.request import Sequence as Drawn
from janus.engine.request import Ticket
from janus.generation.results import DrawStep, Picture
from janus.loaded import LoadedModel
from janus.prompts.styles import styled
from vision.mosaic import CodeColours, mosaic
from vision.pixels import to_pictures
from vision.preview import preview
from vision.sheet import contact_sheet


class Painting(LoadedModel):
    """How a loaded model shows what it draws."""

    def draw_step(
        self, prompt: str, ticket: Ticket, before: Mapping[int, Picture] = MappingProxyType({})
    ) -> DrawStep:
        """How far a prepared request of this prompt has come; with the pictures that are finished.

        `before` has those that were finished earlier, by their places: they are not painted again.
        """
        # First: other threads bring it further.
        whole = [sequence for sequence in ticket.sequences if sequence.finish_reason == "stop"]
        new = [sequence for sequence in whole if sequence.index not in before]
        new_pictures = {each.index: self._picture(prompt, ticket, each) for each in new}
        finished, ids = {**before, **new_pictures}, tuple(ticket.pictures)
        num_new = [0 if s.finish_reason else s.num_new for s in ticket.sequences]
        is_done = len(whole) == len(ids)
        return DrawStep(
            index=sum(map(len, ids)),
            total=ticket.total_steps,
            passes=ticket.num_passes,
            ids=ids,
            make_previews=lambda: self._previews(ids, finished),
            make_mosaic=lambda: contact_sheet(self.mosaics(ids, num_new)),
            pictures=tuple(finished[place] for place in range(len(ids))) if is_done else None,
            new_pictures=new_pictures,
            held_back=ticket.held_back,
        )

    def previews(self, pictures: Sequence[Sequence[int]]) -> list[Image.Image]:
        """Pictures of which so many ids are known, in full size."""
        grid, decoder = self.model.config.vision.grid_size, self.model.vqmodel
        with beside_others(self.device):
            return [preview(decoder, list(ids), grid) for ids in pictures]

    def mosaics(
        self, pictures: Sequence[Sequence[int]], num_new: Sequence[int]
    ) -> list[Image.Image]:
        """The ids of each picture as coloured squares; so many of the last are framed as new."""
        grid = self.model.config.vision.grid_size
        with beside_others(self.device):
            return [
                mosaic(self.colours.of(ids), grid, num_new=new)
                for ids, new in zip(pictures, num_new, strict=True)
            ]

    @cached_property
    def colours(self) -> CodeColours:
        """Of its ids."""
        return CodeColours(self.model.vqmodel)

    def _previews(
        self, ids: Sequence[Sequence[int]], finished: Mapping[int, Picture]
    ) -> Iterator[Image.Image]:
        for place, known in enumerate(ids):
            yield finished[place].image if place in finished else self.previews([known])[0]

    @torch.inference_mode()
    def _picture(self, prompt: str, ticket: Ticket, drawn: Drawn) -> Picture:
        # Alone: the decoder's memory is large, and a picture is then the same whoever is beside it.
        with beside_others(self.device):
            ids_1I = torch.tensor([drawn.ids], device=self.device)
            image = to_pictures(self.model.draw_pixels(ids_1I))[0]
        return Picture(
            image=image,
            ids=tuple(drawn.ids),
            seed=drawn.seed,
            settings=self._settings(prompt, ticket.request.params, drawn.index),
        )

    def _settings(self, prompt: str, params: Any, index: int) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "prompt": styled(prompt, params.style, self.name),
            "guidance": params.guidance,
            "temperature": params.temperature,
            "top_k": params.top_k,
            "top_p": params.top_p,
            "model": self.name,
            "dtype": str(self.dtype).removeprefix("torch."),
            "size": f"{self.image_size}x{self.image_size}",
        }
        if self.quantization:
            settings["quantize"] = self.quantization
        if params.style:
            settings |= {"style": params.style, "typed": prompt}
        if params.reference:  # its pictures depend on each other
            settings |= {"reference": True, "count": params.count, "index": index}
        return settings
