"""What the service writes down: one line of JSON each, for people and for machines.

Prompts, answers and pictures are not among it unless the service is asked to log them.
"""

import json
import logging
from typing import Any

LOGGER = "janus.server"


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts = getattr(record, "facts", None) or {"message": record.getMessage()}
        line = {"time": self.formatTime(record), "level": record.levelname.lower(), **facts}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def write_logs(level: int = logging.INFO) -> None:
    """To stderr, from now on, and whatever other libraries have to warn of as well."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger(LOGGER).setLevel(level)


def log_line(event: str, **facts: Any) -> None:
    """Facts that are None are left out."""
    shown = {"event": event} | {name: fact for name, fact in facts.items() if fact is not None}
    logging.getLogger(LOGGER).info(event, extra={"facts": shown})
