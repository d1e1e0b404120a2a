"""Drawings that last, for tests of what happens in the middle of one."""

import time
from contextlib import AbstractContextManager

from janus.pipeline import Janus


def unhurried(janus: Janus, seconds: float = 0.15) -> AbstractContextManager:
    """Each pass takes so much longer, and nothing is finished before a busy machine looks at it."""
    return janus.model.register_forward_pre_hook(lambda *_: time.sleep(seconds))
