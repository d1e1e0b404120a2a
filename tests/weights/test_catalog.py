"""The catalogue: every spelling leads to its model, near misses are offered, facts add up."""

from collections.abc import Callable
from math import prod

import pytest

from weights.catalog import CATALOG, CatalogEntry, bundled_folder, find, suggest


@pytest.mark.parametrize("entry", CATALOG, ids=lambda entry: entry.name)
def test_every_spelling_finds_its_entry(entry: CatalogEntry) -> None:
    for name in filter(None, (entry.name, entry.hub_id, *entry.aliases)):
        for spelling in (name, name.upper(), f" {name.casefold()} "):
            assert find(spelling) is entry


def test_spellings_are_unique() -> None:
    spellings = [s for e in CATALOG for s in (e.name, e.hub_id, *e.aliases) if s is not None]
    assert len({spelling.casefold() for spelling in spellings}) == len(spellings)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("janus-emojy", "janus-emoji"),
        ("JanusPro7B", "janus-pro-7b"),
        ("deepseek-ai/Janus-Pro-7", "deepseek-ai/Janus-Pro-7B"),
    ],
)
def test_near_misses_are_offered(typed: str, meant: str) -> None:
    assert find(typed) is None
    assert suggest(typed)[0] == meant


def test_a_model_is_offered_once() -> None:
    entries = [find(name) for name in suggest("janus-pr")]
    assert len(entries) > 1
    assert all(entries.count(entry) == 1 for entry in entries)


def test_nothing_is_offered_for_nonsense() -> None:
    assert suggest("zzzzzz") == []


def test_the_bundled_model_needs_no_hub() -> None:
    (bundled,) = (entry for entry in CATALOG if entry.hub_id is None)
    assert bundled_folder().name == bundled.name


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("janus-pro-1b", {"width": 2048, "feed_forward": 5632, "layers": 24}),
        ("janus-pro-7b", {"width": 4096, "feed_forward": 11008, "layers": 30}),
    ],
)
def test_sizes_are_those_of_the_architecture(
    name: str, sizes: dict[str, int], shapes_of: Callable[..., dict]
) -> None:
    entry = find(name)
    assert entry is not None
    counts = {key: prod(shape) for key, shape in shapes_of(**sizes).items()}
    used = sum(n for key, n in counts.items() if not ("attn_pool" in key or "codebook_" in key))
    assert entry.parameters == pytest.approx(used, rel=1e-3)
    assert entry.bytes == pytest.approx(2 * sum(counts.values()), rel=1e-3)
    assert entry.bytes is not None and entry.memory_bytes is not None
    assert entry.memory_bytes > entry.bytes
