"""The service as one ASGI application: a model in, HTTP out.

The web studio is mounted by whoever starts the service; this folder does not know it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from janus import __version__
from janus.engine.budget import slots_that_fit
from janus.engine.engine import Engine
from janus.engine.worker import EngineWorker
from janus.pipeline import Janus
from janus.server.chat import chat_routes
from janus.server.errors import add_handlers
from janus.server.exchange import Context
from janus.server.images import image_routes
from janus.server.keys import Keys
from janus.server.metrics import Metrics
from janus.server.middleware import Access, BodyLimit, RequestIds
from janus.server.rates import Rates
from janus.server.responses import response_routes
from janus.server.service import Service
from janus.server.sessions import Sessions, login_routes
from janus.server.settings import ServerSettings
from janus.server.status import status_routes


def create_app(
    janus: Janus,
    settings: ServerSettings | None = None,
    *,
    slots: int | None = None,
    context: int | None = None,
    name: str | None = None,
    aliases: tuple[str, ...] = (),
) -> FastAPI:
    """The application for a model, which from now on is driven by the application's own thread.

    `slots` rows run at once (as many as fit, at most 32), of at most `context` tokens. Answers
    call the model by `name`, or by its own; clients may use any. Raises `ServerError` for keys
    that cannot be read.
    """
    settings = settings or ServerSettings()
    length = min(context or janus.template.context, janus.template.context)
    engine = Engine(
        janus.model,
        num_slots=slots or slots_that_fit(janus.model, length),
        length=length,
        placeholder_id=janus.tokenizer.special.image,
    )
    worker = EngineWorker(engine, max_waiting=settings.max_waiting)
    janus.engine = worker
    service, metrics = Service(janus, worker, settings), Metrics(worker)
    service.on_end = metrics.on_end
    rates = Rates(settings.tokens_per_minute) if settings.tokens_per_minute else None
    shared = Context(service, metrics, rates, (name or janus.name, janus.name, *aliases))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(service.close)

    app = FastAPI(title="Janus", version=__version__, lifespan=lifespan)
    app.state.service, app.state.metrics = service, metrics
    add_handlers(app)
    for routes in (chat_routes, image_routes, response_routes, status_routes):
        app.include_router(routes(shared))
    # The last one that is added is the first to see a request.
    app.add_middleware(
        BodyLimit,
        max_bytes=settings.max_body_bytes,
        applies=lambda path: path.startswith("/v1/"),
    )
    if settings.keys_file is not None:
        keys = Keys(settings.keys_file)
        sessions = Sessions(keys)
        app.include_router(login_routes(sessions))
        app.add_middleware(Access, keys=keys, sessions=sessions)
    app.add_middleware(RequestIds, on_end=metrics.on_request)
    return app
