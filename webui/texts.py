"""Every word of the page, in one place, by key.

In: a key and the values for its gaps. Out: the text in English, the only language so far. Errors of
the model are not here: they arrive as sentences, from `janus.errors`.
"""

from collections.abc import Mapping
from types import MappingProxyType

ENGLISH: Mapping[str, str] = MappingProxyType(
    {
        "page.title": "Janus",
        "page.tagline": "One model that sees and draws.",
        "model.loading": "Loading {name} ...",
        "model.downloading": "Downloading {name}: {done} of {total}",
        "model.failed": "{name} could not be loaded.",
        "model.facts": "{parameters} parameters · {dtype} · {device} · {size} × {size} pixels",
        "model.knows.emoji": "Knows emoji scenes only.",
        "model.larger": "For photos start",
        "model.larger.command": "janus web --model deepseek-ai/Janus-Pro-1B",
        "model.larger.size": "({size}).",
        "models.tab": "Models",
        "models.label": "Use another model",
        "models.info": "It is fetched from Hugging Face once, and then kept on this machine.",
        "models.bundled": "bundled",
        "models.licence": "Licence of the weights:",
        "models.memory": "Needs about {size} of memory.",
        "models.load": "Load",
        "wait.model": "The model is being loaded; your request comes next.",
        "stop": "Stop",
        "stopping": "Stopping ...",
        "draw.tab": "Draw",
        "draw.prompt": "What to draw",
        "draw.prompt.placeholder": "Describe a picture",
        "draw.examples": "Examples",
        "draw.count": "Pictures",
        "draw.seed": "Seed",
        "draw.seed.placeholder": "random",
        "draw.start": "Draw",
        "draw.more": "More",
        "draw.guidance": "Guidance",
        "draw.temperature": "Temperature",
        "draw.stage": "Preview",
        "draw.begin": "Reading the prompt ...",
        "draw.row": "Row {row} of {rows}",
        "draw.left": "{seconds} left",
        "draw.finished": "Finished in {seconds} · {width} × {height} pixels, shown enlarged",
        "draw.stopped": "Stopped; the preview shows how far it came.",
        "draw.gallery": "Your pictures",
        "draw.caption": "seed {seed}",
        "ask.tab": "Ask",
        "ask.pictures": "Pictures to ask about",
        "ask.chat": "Conversation",
        "ask.placeholder": "Add one picture or several, then ask about them.",
        "ask.question": "Question",
        "ask.question.placeholder": "Your question",
        "ask.start": "Ask",
        "ask.describe": "Describe",
        "ask.describe.question": "Describe this picture.",
        "ask.clear": "Clear",
        "ask.no_picture": "There is no picture.",
        "ask.no_picture.hint": "Drop, paste or upload one first.",
        "ask.no_question": "The question is empty.",
        "ask.no_question.hint": "Type one, or press Describe.",
        "api.not_uploaded": "A picture was not uploaded.",
        "api.not_uploaded.hint": "Send it with gradio_client.handle_file(path).",
        "space.banner": "This Space shows janus-emoji, which needs no GPU and knows emoji scenes "
        "only. For photos duplicate it, choose a GPU, and set the variable JANUS_MODEL to "
        "deepseek-ai/Janus-Pro-7B.",
        "seconds": "{seconds:.1f} s",
        "minutes": "{minutes} min {seconds} s",
        "launch.address": "Janus is at {address} - press Ctrl+C to stop.",
        "launch.port": "Port {port} of {host} cannot be used: it is taken or not allowed.",
        "launch.port.hint": "Choose another one with --port.",
    }
)

EXAMPLES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "emoji": (
            "two red hearts",
            "a dog to the left of a car on a blue background",
            "three strawberries on a pink background",
            "a rocket above a tree",
            "a green square below a yellow circle",
        ),
        "other": (
            "a lighthouse on a cliff at dawn, oil painting",
            "a red fox in fresh snow, photo",
            "a bowl of ramen, seen from above",
            "a paper boat on a rainy street, watercolour",
        ),
    }
)


def text(key: str, **values: object) -> str:
    """The text of a key, its gaps filled."""
    return ENGLISH[key].format(**values)


def duration(seconds: float) -> str:
    """Such as `1.2 s` or `3 min 20 s`."""
    if seconds < 60:
        return text("seconds", seconds=seconds)
    minutes, rest = divmod(round(seconds), 60)
    return text("minutes", minutes=minutes, seconds=rest)


def size(num_bytes: int) -> str:
    """Such as `4.2 GB`, never broken over two lines."""
    return f"{num_bytes / 1e9:.1f}\N{NO-BREAK SPACE}GB"
