"""The ids of a drawing -> pictures: finished, half finished, or as coloured squares."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from PIL import Image

from janus.devices import beside_others
from janus.engine.request import Ticket
from janus.generation.results import DrawStep, Picture
from janus.loaded import LoadedModel
from janus.prompts.styles import styled
from vision.mosaic import CodeColours, mosaic
from vision.pixels import to_pictures
from vision.preview import contact_sheet, preview


class Painting(LoadedModel):
    """How a loaded model shows what it draws."""

    def draw_step(self, prompt: str, ticket: Ticket) -> DrawStep:
        """How far a prepared request of this prompt has come; with its pictures at the end."""
        done = ticket.done and ticket.error is None  # first: other threads bring it further
        ids = tuple(ticket.pictures)
        num_new = [0 if s.finish_reason else s.num_new for s in ticket.sequences]
        return DrawStep(
            index=sum(map(len, ids)),
            total=ticket.total_steps,
            passes=ticket.num_passes,
            ids=ids,
            make_preview=lambda: contact_sheet(self.previews(ids)),
            make_mosaic=lambda: contact_sheet(self.mosaics(ids, num_new)),
            pictures=self._pictures(prompt, ticket) if done else None,
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

    @torch.inference_mode()
    def _pictures(self, prompt: str, ticket: Ticket) -> tuple[Picture, ...]:
        # One by one: the decoder's memory is large, and a picture alone is then the same picture.
        with beside_others(self.device):
            images = [
                to_pictures(self.model.draw_pixels(torch.tensor([ids], device=self.device)))[0]
                for ids in ticket.pictures
            ]
        return tuple(
            Picture(
                image=image,
                ids=tuple(sequence.ids),
                seed=sequence.seed,
                settings=self._settings(prompt, ticket.request.params, sequence.index),
            )
            for image, sequence in zip(images, ticket.sequences, strict=True)
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
