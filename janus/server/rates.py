"""How much each key may ask for in a minute, in tokens times rows: the engine's work."""

import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from janus.engine.request import ImageRequest, TextRequest
from janus.server.errors import RateLimitError


class Rates:
    def __init__(self, tokens_per_minute: int) -> None:
        self.limit = RateLimitItemPerMinute(tokens_per_minute)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def take(self, owner: str, cost: int) -> None:
        """Counts work against a key. Raises `RateLimitError` with the time when there is room."""
        if cost > self.limit.amount:
            raise RateLimitError(
                f"The request takes {cost:,} tokens, more than the {self.limit.amount:,} that this "
                "key has in a minute.",
                "Ask for less at once.",
                retry_after=60,
            )
        if not self._limiter.hit(self.limit, owner, cost=cost):
            window = self._limiter.get_window_stats(self.limit, owner)
            raise RateLimitError(
                f"This key has {window.remaining:,} of {self.limit.amount:,} tokens left in this "
                f"minute; the request takes {cost:,}.",
                "Try again a little later.",
                retry_after=window.reset_time - time.time(),
            )


def cost_of(request: TextRequest | ImageRequest, num_image_tokens: int) -> int:
    """Tokens times rows, at most: those of the prompt and of the result."""
    if isinstance(request, TextRequest):
        return len(request.prompt) + request.params.max_tokens
    return request.num_rows * (len(request.prompt) + num_image_tokens)
