"""Drawings that last, for tests of what happens in the middle of one."""

import time
from contextlib import AbstractContextManager

from janus.pipeline import Janus

SECONDS = 0.2  # a preview is skipped when the next is due first: a busy machine has taken 0.5


def unhurried(janus: Janus) -> AbstractContextManager:
    """Each pass takes so much longer, and nothing is finished before a busy machine looks at it."""
    return janus.model.register_forward_pre_hook(lambda *_: time.sleep(SECONDS))
