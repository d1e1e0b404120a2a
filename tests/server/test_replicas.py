"""What replicas are made of and how their counts are joined; `test_ray` runs some."""

from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

import janus.server
from janus.errors import UsageError
from janus.server.metrics import merged_page
from janus.server.replicas import read_settings
from tests.server.conftest import Running

FOLDER = Path(janus.server.__file__).parent / "deploy"


def test_the_deployment_file_has_settings_that_there_are() -> None:
    (application,) = yaml.safe_load((FOLDER / "ray.yaml").read_text())["applications"]
    settings = read_settings(application["args"])
    assert settings.num_replicas == (1, 4)
    assert application["import_path"] == "janus.server.cluster:application"


def test_settings_are_read_from_plain_values() -> None:
    settings = read_settings({"model": "m", "keys_file": "/keys.txt", "fetch_from": ["a.org"]})
    assert (settings.keys_file, settings.fetch_from) == (Path("/keys.txt"), ("a.org",))
    assert settings.num_replicas == (1, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"model": "m", "replica": 2},
        {"model": "m", "slots": "x"},
        {"model": "m", "replicas": "0"},
    ],
)
def test_what_is_no_setting(arguments: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        read_settings(arguments)


def test_each_count_says_whose_it_is(running: Running) -> None:
    page = running.app.state.metrics.own_page()
    one = list(text_string_to_metric_families(page.decode()))
    both = list(text_string_to_metric_families(merged_page({"a": page, "b": page}).decode()))
    assert [(f.name, f.type) for f in both] == [(f.name, f.type) for f in one]
    for alone, joined in zip(one, both, strict=True):
        for replica in "ab":
            of_replica = [s for s in joined.samples if s.labels["replica"] == replica]
            assert [s.value for s in of_replica] == [s.value for s in alone.samples]
