"""A training run on disk: a log of figures, and checkpoints to resume from.

folder/log.jsonl     one JSON object for each logged step
folder/STAGE.pt      the newest state of a stage, replaced atomically
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import torch


class Run:
    """One stage of training in one folder; a second run of the same stage resumes the first."""

    def __init__(self, folder: str | os.PathLike[str], stage: str) -> None:
        self.folder, self.stage = Path(folder), stage
        self.folder.mkdir(parents=True, exist_ok=True)
        self.started = time.monotonic()

    @property
    def state_path(self) -> Path:
        return self.folder / f"{self.stage}.pt"

    @property
    def next_step(self) -> int:
        """The step at which the stage goes on: 0 for a fresh start."""
        state = self.load()
        return 0 if state is None else state["step"]

    @staticmethod
    def is_due(step: int, every: int, last: int) -> bool:
        return step % every == 0 or step == last

    def load(self) -> dict[str, Any] | None:
        """The newest saved state, or None for a fresh start."""
        if not self.state_path.exists():
            return None
        return torch.load(self.state_path, weights_only=True, map_location="cpu")

    def save(self, state: dict[str, Any]) -> None:
        partial = self.state_path.with_suffix(".partial")
        torch.save(state, partial)
        os.replace(partial, self.state_path)

    def log(self, step: int, **figures: float | dict[str, float] | list[float]) -> None:
        record = {
            "stage": self.stage,
            "step": step,
            "seconds": round(time.monotonic() - self.started, 1),
            **figures,
        }
        with open(self.folder / "log.jsonl", "a", encoding="utf-8") as log:
            log.write(json.dumps(record) + "\n")


def read_log(folder: str | os.PathLike[str], stage: str) -> list[dict[str, Any]]:
    """The records of one stage, by step; of a step that was done again, the last one."""
    path = Path(folder) / "log.jsonl"
    if not path.exists():
        return []
    records = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    by_step = {record["step"]: record for record in records if record["stage"] == stage}
    return [by_step[step] for step in sorted(by_step)]
