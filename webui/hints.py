"""What the Draw tab says beforehand: how long the prompt is, and how long a drawing will take.

Both are known once the model is; until then, and where nothing has been measured, nothing is said.
"""

import gradio as gr

from webui import markup
from webui.draw_layout import DrawLayout
from webui.estimates import Estimates
from webui.events import PAGE
from webui.loader import ModelLoader
from webui.words import Words, words_of

SECONDS_BETWEEN_COUNTS = 0.3
# What stands in the box by then, so that one request is enough for all that is typed meanwhile.
_TYPED = f"""async (prompt) => {{
    await new Promise((go) => setTimeout(go, {SECONDS_BETWEEN_COUNTS * 1000:.0f}));
    return document.querySelector('#prompt textarea')?.value ?? prompt;
}}"""


def connect(chip: gr.HTML, page: DrawLayout, loader: ModelLoader, estimates: Estimates) -> None:
    """Keeps the hints true to what is typed and chosen, and to the model that the chip shows."""

    def measure(prompt: str, request: gr.Request) -> str:
        model = loader.current
        if model is None or not prompt.strip():
            return markup.note("")
        return _length(words_of(request), *model.prompt_length(prompt))

    def estimate(count: int, request: gr.Request) -> str:
        known = loader.current and estimates.of(loader.current, count)
        if known is None:
            return markup.note("")
        words = words_of(request)
        seconds = words.duration(known.seconds)
        if known.is_bound:
            return markup.note(words("draw.at.most", seconds=seconds))
        return markup.note(words("draw.about", seconds=seconds))

    gr.on(
        [page.prompt.change, chip.change],
        measure,
        page.prompt,
        page.length,
        js=_TYPED,
        trigger_mode="always_last",
        **PAGE,
    )
    triggers = [page.count.change, page.drawn.change, chip.change]
    gr.on(triggers, estimate, page.count, page.estimate, **PAGE)


def _length(words: Words, tokens: int, limit: int) -> str:
    said = words("draw.length", tokens=tokens, limit=limit)
    if tokens <= limit:
        return markup.note(said)
    return markup.warning(f"{said} · {words('draw.too.long')}")
