"""A button that copies a link to the studio, which fills in the settings of a picture.

The browser is told the link as soon as there is a picture, because some browsers let nothing be
copied that comes later than the click.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr
from gradio.events import Dependency

from janus.errors import JanusError
from webui.events import PAGE, in_page_language
from webui.settings import link
from webui.texts import text

_SAID = in_page_language(lambda words: words("link.copied"))
_OFFERED = in_page_language(lambda words: words("link.copy"))
# Browsers copy nothing for pages that came over plain HTTP from another machine.
_COPY = f"""async (parameters) => {{
    const link = location.origin + location.pathname + parameters;
    try {{
        await navigator.clipboard.writeText(link);
        return {_SAID};
    }} catch {{
        prompt({_OFFERED}, link);
        return {_OFFERED};
    }}
}}"""
_OFFER_AGAIN = f"() => new Promise((done) => setTimeout(() => done({_OFFERED}), 2500))"


@dataclass(frozen=True, slots=True)
class LinkButton:
    button: gr.Button
    parameters: gr.Textbox  # not seen

    @classmethod
    def lay_out(cls, elem_id: str) -> "LinkButton":
        """Places the components into the current block."""
        button = gr.Button(text("link.copy"), size="sm", min_width=110, elem_id=elem_id)
        return cls(button, gr.Textbox(visible=False))

    def connect(self, path: gr.State, changes: Sequence[Dependency]) -> None:
        """The picture is the one at this path, which these events change."""
        for changed in changes:
            changed.then(_offer, path, [self.parameters, self.button], **PAGE)
        copied = self.button.click(None, self.parameters, self.button, js=_COPY, **PAGE)
        copied.then(None, None, self.button, js=_OFFER_AGAIN, **PAGE)


def _offer(path: str | None) -> tuple[str, gr.Button]:
    try:
        parameters = link(path) if path else ""
    except JanusError:  # of another program, or deleted in the meantime
        parameters = ""
    return parameters, gr.Button(interactive=bool(parameters))
