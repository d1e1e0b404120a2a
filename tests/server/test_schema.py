"""Whatever a client may think of by the OpenAPI document: no server error, and no hanging.

`pytest -m slow tests/server/test_schema.py` tries more than two thousand requests.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error

from janus.pipeline import Janus
from janus.server.app import create_app
from janus.server.settings import ServerSettings
from tests.server.conftest import run, same_model

LONGEST = 10.0  # seconds of a request
ODD = {"deadline": None, "derandomize": True, "suppress_health_check": list(HealthCheck)}


@pytest.fixture(scope="module")
def schema(tiny: Janus) -> Iterator[Any]:
    """Of a service whose rows are short, so that whatever is asked for is soon done."""
    limits = ServerSettings(max_seconds=LONGEST)
    running = run(create_app(same_model(tiny), limits, slots=8, context=64))
    yield schemathesis.openapi.from_url(f"{running.url}/openapi.json")
    running.stop()


OPERATIONS = [
    ("/v1/chat/completions", "POST"),
    ("/v1/images/generations", "POST"),
    ("/v1/responses", "POST"),
    ("/v1/models", "GET"),
    ("/v1/models/{name}", "GET"),
    ("/health", "GET"),
    ("/ready", "GET"),
    ("/metrics", "GET"),
]


def test_nothing_is_forgotten(schema: Any) -> None:
    found = [result.ok() for result in schema.get_all_operations()]
    assert sorted((each.path, each.method.upper()) for each in found) == sorted(OPERATIONS)


def attempt(schema: Any, path: str, method: str, num: int) -> None:
    @settings(max_examples=num, **ODD)
    @given(case=schema[path][method].as_strategy())
    def check(case: Any) -> None:
        if isinstance(case.body, dict) and isinstance(case.body.get("model"), str):
            case.body["model"] = "tiny"  # else nearly all would end there
        reply = case.call(timeout=LONGEST)
        case.validate_response(reply, checks=[not_a_server_error])
        if reply.status_code >= 400 and path.startswith("/v1/"):
            assert reply.json()["error"]["message"]

    check()


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_some_requests(schema: Any, path: str, method: str) -> None:
    attempt(schema, path, method, 20)


@pytest.mark.slow
@pytest.mark.parametrize(("path", "method"), OPERATIONS[:3])
def test_many_requests(schema: Any, path: str, method: str) -> None:
    attempt(schema, path, method, 700)
