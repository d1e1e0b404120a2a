"""The models that have a name: where each comes from, what it needs and what it can do.

Enters: a name as somebody typed it. Leaves: its entry, or the names that come closest. Facts
only: nothing is downloaded or opened here.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePath
from typing import Literal

from weights.layout import Layout

Family = Literal["janus", "janus-pro", "janusflow", "emoji"]
Knowledge = Literal["emoji", "other"]

BUNDLED = "janus-emoji"

DEEPSEEK_LICENCE = "DeepSeek Model License"  # of the weights; DeepSeek's code is MIT
DEEPSEEK_LICENCE_URL = "https://github.com/deepseek-ai/Janus/blob/main/LICENSE-MODEL"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEntry:
    """One model. Sizes are rounded."""

    name: str
    hub_id: str | None
    # A branch, not a commit: nobody has compared these weights with the report's figures, so
    # there is no commit to vouch for.
    revision: str = "main"
    layout: Layout
    parameters: int
    bytes: int | None  # to download; None for the bundled model
    memory_bytes: int | None  # in bfloat16, to draw one picture
    licence: str
    licence_url: str
    family: Family
    description: str
    knows: str
    aliases: tuple[str, ...] = ()
    supported: bool = True


# Parameters and bytes: counted from the published architectures. Memory: the weights, the
# key-value cache of one guided picture (0.23 or 0.57 GB) and 1 to 1.5 GB to work in; estimated.
CATALOG: tuple[CatalogEntry, ...] = (
    CatalogEntry(
        name=BUNDLED,
        hub_id=None,
        layout="transformers",
        parameters=21_200_000,
        bytes=None,
        memory_bytes=200_000_000,
        licence="MIT",
        licence_url="https://opensource.org/license/mit",
        family="emoji",
        description="The bundled model: the whole architecture at a size for two CPU cores.",
        knows="Emoji scenes: 207 objects and coloured shapes, 128x128 pixels; nothing else.",
        aliases=("emoji",),
    ),
    CatalogEntry(
        name="janus-1.3b",
        hub_id="deepseek-ai/Janus-1.3B",
        layout="original",
        parameters=2_077_000_000,
        bytes=4_180_000_000,
        memory_bytes=5_500_000_000,
        licence=DEEPSEEK_LICENCE,
        licence_url=DEEPSEEK_LICENCE_URL,
        family="janus",
        description="The first Janus, of October 2024.",
        knows="Describes and discusses pictures; draws them at 384 x 384, less well than Pro.",
        aliases=("janus",),
    ),
    CatalogEntry(
        name="janus-pro-1b",
        hub_id="deepseek-ai/Janus-Pro-1B",
        layout="original",
        parameters=2_077_000_000,
        bytes=4_180_000_000,
        memory_bytes=5_500_000_000,
        licence=DEEPSEEK_LICENCE,
        licence_url=DEEPSEEK_LICENCE_URL,
        family="janus-pro",
        description="Janus-Pro on a 1.3B language model, for cards of 8 GB.",
        knows="Describes and discusses pictures; draws them at 384 x 384; weak at text and faces.",
    ),
    CatalogEntry(
        name="janus-pro-7b",
        hub_id="deepseek-ai/Janus-Pro-7B",
        layout="original",
        parameters=7_408_000_000,
        bytes=14_840_000_000,
        memory_bytes=17_000_000_000,
        licence=DEEPSEEK_LICENCE,
        licence_url=DEEPSEEK_LICENCE_URL,
        family="janus-pro",
        description="Janus-Pro on a 7B language model: the best published Janus.",
        knows="Describes and discusses pictures; draws them at 384 x 384; weak at text and faces.",
        aliases=("janus-pro",),
    ),
    CatalogEntry(
        name="janus-pro-1b-hf",
        hub_id="deepseek-community/Janus-Pro-1B",
        layout="transformers",
        parameters=2_077_000_000,
        bytes=4_150_000_000,
        memory_bytes=5_500_000_000,
        licence=DEEPSEEK_LICENCE,
        licence_url=DEEPSEEK_LICENCE_URL,
        family="janus-pro",
        description="Janus-Pro-1B, converted for transformers.",
        knows="The same as janus-pro-1b.",
    ),
    CatalogEntry(
        name="janus-pro-7b-hf",
        hub_id="deepseek-community/Janus-Pro-7B",
        layout="transformers",
        parameters=7_408_000_000,
        bytes=14_820_000_000,
        memory_bytes=17_000_000_000,
        licence=DEEPSEEK_LICENCE,
        licence_url=DEEPSEEK_LICENCE_URL,
        family="janus-pro",
        description="Janus-Pro-7B, converted for transformers.",
        knows="The same as janus-pro-7b.",
    ),
    CatalogEntry(
        name="janusflow-1.3b",
        hub_id="deepseek-ai/JanusFlow-1.3B",
        layout="original",
        parameters=2_046_000_000,
        bytes=4_090_000_000,
        memory_bytes=None,
        licence=DEEPSEEK_LICENCE,
        licence_url=DEEPSEEK_LICENCE_URL,
        family="janusflow",
        description="The sibling that draws by rectified flow instead of picture tokens.",
        knows="Not supported yet.",
        aliases=("janusflow",),
        supported=False,
    ),
)


def find(name: str) -> CatalogEntry | None:
    """The entry with this name, hub id or alias, in whatever capitals."""
    wanted = name.strip().casefold()
    for entry in CATALOG:
        if wanted in (spelling.casefold() for spelling in _spellings(entry)):
            return entry
    return None


def knowledge(name: str) -> Knowledge:
    """What may be said to a model: words of emoji scenes, or any. A path counts by its end."""
    entry = find(PurePath(name).name)
    return "emoji" if entry and entry.family == "emoji" else "other"


def suggest(name: str) -> list[str]:
    """Names or hub ids that look like `name`, one for each of up to three models, closest first."""
    known = {s.casefold(): (s, entry) for entry in CATALOG for s in _spellings(entry)}
    close = get_close_matches(name.strip().casefold(), known, n=len(known))
    closest: dict[str, str] = {}
    for spelling, entry in (known[key] for key in close):
        closest.setdefault(entry.name, spelling)
    return list(closest.values())[:3]


def bundled_folder() -> Path:
    """Where the bundled checkpoint lies in this installation."""
    return Path(__file__).with_name(BUNDLED)


def _spellings(entry: CatalogEntry) -> tuple[str, ...]:
    return tuple(filter(None, (entry.name, entry.hub_id, *entry.aliases)))
