"""What one copy of the service among several is made of, and how many copies there are.

Settings in, a model and its application out. Where the copies run is decided elsewhere (`cluster`).
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from fastapi import FastAPI
from pydantic import ConfigDict, TypeAdapter, ValidationError

from janus.errors import UsageError
from janus.pipeline import Janus
from janus.server.app import create_app
from janus.server.settings import ServerSettings

MOST_SLOTS = 32  # that an engine takes when it is not told how many


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSettings(ServerSettings):
    """The model that each replica loads, beside what each decides as a service of its own.

    Files and folders mean those of the machine that a replica runs on.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    model: str  # a name, a hub id or a folder
    device: str = "auto"
    dtype: str = "auto"
    quantize: str | None = None
    offline: bool = False
    slots: int | None = None  # rows at once, of one replica
    context: int | None = None
    name: str | None = None  # what clients call the model
    replicas: str = "1"  # "2", or "1-4": as many of them as the load needs

    def __post_init__(self) -> None:
        self.num_replicas  # noqa: B018

    @property
    def num_replicas(self) -> tuple[int, int]:
        """The fewest and the most."""
        found = re.fullmatch(r"([1-9]\d*)(?:-([1-9]\d*))?", self.replicas)
        fewest, most = (int(n) for n in (found[1], found[2] or found[1])) if found else (1, 0)
        if fewest > most:
            raise UsageError(
                f"There cannot be {self.replicas!r} replicas.", "Say how many: 2, or from 1-4."
            )
        return fewest, most

    @property
    def num_rows(self) -> int:
        """That one replica takes on at most, running and waiting."""
        return (self.slots or MOST_SLOTS) + self.max_waiting

    def at_home(self) -> Self:
        """With whole paths: replicas work in folders of their own."""
        folder = Path(self.model).expanduser()
        return replace(
            self,
            model=str(folder.resolve()) if folder.is_dir() else self.model,
            keys_file=self.keys_file and self.keys_file.resolve(),
        )


def read_settings(arguments: dict[str, Any]) -> ReplicaSettings:
    """From a deployment file. Raises `UsageError` for what is no setting."""
    try:
        return TypeAdapter(ReplicaSettings).validate_python(arguments)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        known = ", ".join(ReplicaSettings.__dataclass_fields__)
        raise UsageError(f"{place}: {first['msg']}.", f"There are: {known}.") from error


def create_replica(settings: ReplicaSettings) -> FastAPI:
    """Loads the model and makes its application."""
    janus = Janus.from_pretrained(
        settings.model,
        device=settings.device,
        dtype=settings.dtype,
        quantize=settings.quantize,
        local_files_only=settings.offline,
    )
    return create_app(
        janus,
        settings,
        slots=settings.slots,
        context=settings.context,
        name=settings.name,
        aliases=(settings.model,),
    )
