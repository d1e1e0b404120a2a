"""Everything that whoever runs the service decides, with safe defaults."""

from dataclasses import dataclass
from pathlib import Path

MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How much the service takes on, from whom, and for how long it waits."""

    keys_file: Path | None = None  # names and hashes of API keys; None lets everybody in
    max_waiting: int = 64  # rows that queue for a slot; a guided picture takes two
    max_seconds: float = 300.0  # of a request
    drain_seconds: float = 30.0  # that running requests have when the server stops
    max_body_bytes: int = 32 * MEGABYTE
    max_pictures: int = 8  # in one conversation
    max_picture_bytes: int = 20 * MEGABYTE
    max_pixels: int = 20_000_000  # of a picture
    fetch_from: tuple[str, ...] = ()  # hosts whose pictures may be fetched; none without
    fetch_seconds: float = 10.0
    tokens_per_minute: int | None = None  # of a key: tokens times rows
    log_contents: bool = False  # prompts and answers
