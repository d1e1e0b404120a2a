"""Steps without waiting: while the same sequences run, a pass begins before the last one is read.

The host reads what a pass chose one step later, and learns so late that an answer has ended: the
pass under way was then one too many for it. Prompts and reference drawings go the plain way.
"""

import logging
from dataclasses import dataclass

import torch
from torch import Tensor

from janus.engine.recording import Recording, Shape
from janus.engine.request import Sequence
from janus.engine.runner import Runner
from janus.model.model import JanusModel

Choices = list[tuple[Sequence, list[int]]]


@dataclass(frozen=True, slots=True, eq=False)
class _Pass:
    """One that was sent to the device."""

    recording: Recording
    sequences: tuple[Sequence, ...]
    choices: Tensor  # on the host, as soon as `read` has happened
    read: torch.cuda.Event | None

    def wait(self) -> Choices:
        """What it chose for each sequence that has not ended since."""
        if self.read is not None:
            self.read.synchronize()
        choices = self.recording.choices_of(self.sequences, self.choices.tolist())
        pairs = zip(self.sequences, choices, strict=True)
        return [(sequence, chosen) for sequence, chosen in pairs if not sequence.finish_reason]


class RecordedRunner(Runner):
    """Where a pass cannot be recorded, all go the plain way, and the log says why."""

    def __init__(
        self,
        model: JanusModel,
        *,
        num_slots: int,
        length: int,
        placeholder_id: int,
        largest_window: int,
    ) -> None:
        # A slot for rows that nobody uses, and room for guesses beyond a picture's end.
        super().__init__(
            model,
            num_slots=num_slots + 1,
            length=length + largest_window,
            placeholder_id=placeholder_id,
        )
        self.largest_window, self.spare_slot = largest_window, num_slots
        self.can_record = True
        with torch.inference_mode():
            every_code = torch.arange(model.config.codebook.num_embeddings, device=self.device)
            self.codes = model.embed_image(every_code)
        self._recordings: dict[Shape, Recording] = {}
        self._under_way: _Pass | None = None
        self._memory = torch.cuda.graph_pool_handle() if self.device.type == "cuda" else None

    @torch.inference_mode()
    def step(self, windows: dict[Sequence, int]) -> Choices:
        """As the plain step, but for the step in which others begin or end: it ends a pass only."""
        last, self._under_way = self._under_way, None
        sequences = tuple(windows)
        shape = Shape.of(sequences, self._window(windows))
        if last is not None and (last.sequences, last.recording.shape) != (sequences, shape):
            return last.wait()
        if any(not s.ids or s.is_reference for s in sequences):
            return super().step(windows)
        if last is None:
            recording = self._recording(shape)
            if recording is None:
                return super().step(windows)
            recording.load(sequences)
            last = self._begin(recording, sequences)
        self._under_way = self._begin(last.recording, sequences)
        return last.wait()

    def _window(self, windows: dict[Sequence, int]) -> int:
        """A power of two: pictures share one."""
        widest = min(max(windows.values()), self.largest_window)
        return 1 << widest.bit_length() - 1

    def _begin(self, recording: Recording, sequences: tuple[Sequence, ...]) -> _Pass:
        recording.run()
        if self._memory is None:
            return _Pass(recording, sequences, recording.choices_C.clone(), None)
        choices = torch.empty(len(recording.choices_C), dtype=torch.long, pin_memory=True)
        choices.copy_(recording.choices_C, non_blocking=True)
        read = torch.cuda.Event()
        read.record()
        return _Pass(recording, sequences, choices, read)

    def _recording(self, shape: Shape) -> Recording | None:
        if self.can_record and shape not in self._recordings:
            recording = Recording(self.model, self.codes, self.cache, self.spare_slot, shape)
            try:
                if self._memory is not None:
                    recording.record(self._memory)
            except RuntimeError:
                logging.getLogger(__name__).warning(
                    "Passes cannot be recorded on this device, which makes them slower.",
                    exc_info=True,
                )
                self.can_record = False
            else:
                self._recordings[shape] = recording
        return self._recordings.get(shape) if self.can_record else None
