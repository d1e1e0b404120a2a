"""Which model is here, whether it is well, and how busy it is."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from janus.server.exchange import Context


def status_routes(context: Context) -> APIRouter:
    router = APIRouter(tags=["status"])
    service = context.service

    def described(name: str) -> dict[str, Any]:
        return {
            "id": name,
            "object": "model",
            "created": context.started,
            "owned_by": "janus",
        }

    @router.get("/v1/models")
    async def list_models() -> dict[str, Any]:
        """The model that is served."""
        return {"object": "list", "data": [described(context.model)]}

    @router.get("/v1/models/{name:path}")
    async def retrieve_model(name: str) -> dict[str, Any]:
        """One model, by its name."""
        context.check_model(name)
        return described(name)

    @router.get("/health", response_model=None)
    async def health() -> JSONResponse:
        """Whether the server lives: 503 where its engine does not, so that it is started again."""
        is_alive = service.worker.is_alive
        status = {"status": "ok" if is_alive else "the engine has stopped"}
        return JSONResponse(status, status_code=200 if is_alive else 503)

    @router.get("/ready", response_model=None)
    async def ready() -> JSONResponse:
        """Whether a request would be worked on at once: 503 while it would have to queue."""
        load = service.worker.load()
        is_ready = service.worker.is_open and load.waiting == 0 and load.free_slots >= 2
        status = {"ready": is_ready, "waiting": load.waiting, "free_slots": load.free_slots}
        return JSONResponse(status, status_code=200 if is_ready else 503)

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Counts and times, for Prometheus."""
        return Response(await context.metrics.page(), media_type=CONTENT_TYPE_LATEST)

    return router
