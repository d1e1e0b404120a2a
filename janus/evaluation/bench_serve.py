"""A running service under load: an address in; latencies, refusals and faults out.

Clients chat, streamed, and draw. Each asks one of a few things whose reply was fetched before the
load, so that a reply that belongs to somebody else is found out. Runs in a process of its own, so
that it takes no time from the service's event loop.
"""

import asyncio
import hashlib
import json
import random
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import httpx
import numpy as np

Figures = dict[str, float | int | None]

PROMPTS = ("a dog", "two red hearts", "a blue square", "a cat and a tree")
QUESTIONS = ("What can you do?", "Is there a dog?", "How many are there?", "Describe it.")
MAX_TOKENS = 24
LONGEST_WAIT = 5.0  # seconds that a client waits before it comes again, whatever it was told
TIMEOUT = 120.0


@dataclass(frozen=True, slots=True)
class Job:
    """One of the things that clients ask; the same each time."""

    draws: bool
    index: int

    @property
    def path(self) -> str:
        return "/v1/images/generations" if self.draws else "/v1/chat/completions"

    def body(self, model: str) -> dict[str, object]:
        if self.draws:
            return {"prompt": PROMPTS[self.index], "seed": self.index}
        message = {"role": "user", "content": QUESTIONS[self.index]}
        return {"model": model, "messages": [message], "max_tokens": MAX_TOKENS, "stream": True}


JOBS = {draws: tuple(Job(draws, index) for index in range(len(PROMPTS))) for draws in (False, True)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back. `status` is None where nothing whole did."""

    job: Job
    status: int | None
    seconds: float
    first_word: float | None = None
    digest: str = ""
    retry_after: float = 0.0


class Load:
    """Clients of one service."""

    def __init__(self, url: str, *, model: str, key: str | None) -> None:
        self.url = url.removesuffix("/").removesuffix("/v1")
        self.headers = {"authorization": f"Bearer {key}"} if key else {}
        self.tls = httpx.create_ssl_context()
        self.model = model
        self.replies: list[Reply] = []

    def connection(self) -> httpx.AsyncClient:
        # Each client has its own: what httpx does for a request grows with its connections.
        return httpx.AsyncClient(
            base_url=self.url, headers=self.headers, timeout=TIMEOUT, verify=self.tls
        )

    async def ask(self, http: httpx.AsyncClient, job: Job) -> Reply:
        begun = time.perf_counter()
        try:
            if job.draws:
                return await self._draw(http, job, begun)
            return await self._chat(http, job, begun)
        except (httpx.HTTPError, ValueError, KeyError):
            return Reply(job=job, status=None, seconds=time.perf_counter() - begun)

    async def _draw(self, http: httpx.AsyncClient, job: Job, begun: float) -> Reply:
        answer = await http.post(job.path, json=job.body(self.model))
        seconds = time.perf_counter() - begun
        if answer.status_code != 200:
            return _refusal(job, answer, seconds)
        data = answer.json()["data"][0]["b64_json"]
        return Reply(job=job, status=200, seconds=seconds, digest=_digest(data))

    async def _chat(self, http: httpx.AsyncClient, job: Job, begun: float) -> Reply:
        first, text, is_whole = None, "", False
        async with http.stream("POST", job.path, json=job.body(self.model)) as answer:
            if answer.status_code != 200:
                await answer.aread()
                return _refusal(job, answer, time.perf_counter() - begun)
            async for line in answer.aiter_lines():
                if line == "data: [DONE]":
                    is_whole = True
                elif line.startswith("data: "):
                    choices = json.loads(line.removeprefix("data: "))["choices"]
                    text += choices[0]["delta"].get("content", "")
                    first = first or (text and time.perf_counter() - begun) or None
        seconds = time.perf_counter() - begun
        status = 200 if is_whole else None
        return Reply(
            job=job, status=status, seconds=seconds, first_word=first, digest=_digest(text)
        )

    async def client(self, number: int, end: float, draw_share: float) -> None:
        """Asks one thing after the other; comes again when it is told to."""
        chance = random.Random(number)
        async with self.connection() as http:
            while time.perf_counter() < end:
                job = chance.choice(JOBS[chance.random() < draw_share])
                reply = await self.ask(http, job)
                self.replies.append(reply)
                wait = min(reply.retry_after, LONGEST_WAIT)
                await asyncio.sleep(wait * chance.uniform(1, 2))  # as clients do: not all at once

    async def arrivals(self, rate: float, seconds: float, draw_share: float) -> None:
        """New requests at random moments, so many a second, whether or not others are done."""
        chance, tasks = random.Random(0), []

        async def once(job: Job) -> None:
            async with self.connection() as http:
                self.replies.append(await self.ask(http, job))

        async for _ in _moments(rate, seconds, chance):
            job = chance.choice(JOBS[chance.random() < draw_share])
            tasks.append(asyncio.create_task(once(job)))
        await asyncio.gather(*tasks)


async def measure(
    url: str,
    *,
    clients: int,
    seconds: float,
    rate: float | None = None,
    draw_share: float = 0.3,
    key: str | None = None,
    model: str | None = None,
) -> Figures:
    """Everything, with `clients` that each wait for their reply, or with `rate` new ones a second.

    Raises `httpx.HTTPError` where the service does not answer before the load.
    """
    load = Load(url, model=model or "", key=key)
    async with load.connection() as http:
        if model is None:
            listed = await http.get("/v1/models")
            load.model = listed.raise_for_status().json()["data"][0]["id"]
        every = [job for jobs in JOBS.values() for job in jobs for _ in range(2)]
        alone = [await load.ask(http, job) for job in every]
    refused = next((reply for reply in alone if reply.status != 200), None)
    if refused is not None:
        raise httpx.HTTPError(f"the service answers {refused.status} before the load")
    begun = time.perf_counter()
    if rate is None:
        end = begun + seconds
        await asyncio.gather(*(load.client(i, end, draw_share) for i in range(clients)))
    else:
        await load.arrivals(rate, seconds, draw_share)
    return report(alone, load.replies, time.perf_counter() - begun)


def report(alone: Sequence[Reply], replies: Sequence[Reply], seconds: float) -> Figures:
    """From the replies without load and those with it."""
    wanted = {reply.job: reply.digest for reply in alone}
    good = [reply for reply in replies if reply.status == 200]
    refused = [reply for reply in replies if reply.status == 429]
    figures: Figures = {
        "seconds": seconds,
        "replies": len(replies),
        "good": len(good),
        "refused": len(refused),
        "errors": sum(r.status is not None and r.status not in (200, 429) for r in replies),
        "lost": sum(reply.status is None for reply in replies),
        "mixed_up": sum(reply.digest != wanted[reply.job] for reply in good),
        "pictures_per_second": sum(reply.job.draws for reply in good) / seconds,
        "answers_per_second": sum(not reply.job.draws for reply in good) / seconds,
    }
    words_alone = [reply.first_word for reply in alone if reply.first_word is not None]
    words = [reply.first_word for reply in good if reply.first_word is not None]
    figures["first_word.alone"] = statistics.median(words_alone) if words_alone else None
    times = {
        "first_word": words,
        "answer": [reply.seconds for reply in good if not reply.job.draws],
        "picture": [reply.seconds for reply in good if reply.job.draws],
        "refusal": [reply.seconds for reply in refused],
    }
    for name, values in times.items():
        for percent in (50, 95, 99):
            found = float(np.percentile(values, percent, method="higher")) if values else None
            figures[f"{name}.p{percent}"] = found
    return figures


async def _moments(rate: float, seconds: float, chance: random.Random) -> AsyncIterator[None]:
    """A Poisson process."""
    begun, at = time.perf_counter(), 0.0
    while (at := at + chance.expovariate(rate)) < seconds:
        await asyncio.sleep(max(0.0, begun + at - time.perf_counter()))
        yield


def _refusal(job: Job, answer: httpx.Response, seconds: float) -> Reply:
    wait = answer.headers.get("retry-after", "0")
    return Reply(
        job=job,
        status=answer.status_code,
        seconds=seconds,
        retry_after=float(wait) if wait.isdigit() else 0.0,
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
