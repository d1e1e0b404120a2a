"""The About tab: what the model is and cannot do, and what `janus doctor` says of this machine."""

import gradio as gr

from janus.checkup import as_text, environment, machine, packages
from webui.about import about
from webui.events import PAGE
from webui.loader import ModelLoader
from webui.texts import text
from webui.words import words_of


def about_tab(page: gr.Blocks, tab: gr.Tab, loader: ModelLoader, *, is_private: bool) -> None:
    """Places the components into the current block and connects them.

    What is said of the machine is for its owner only.
    """

    def tell(request: gr.Request) -> str:
        return about(loader.state, words_of(request))

    def examine() -> str:
        return as_text([*packages(), *machine(), *environment()])

    told = gr.HTML(padding=False, elem_id="about-text")
    gr.on([page.load, tab.select], tell, outputs=told, **PAGE)
    if is_private:
        found = gr.Code(
            label=text("about.doctor"),
            interactive=False,
            wrap_lines=True,
            show_line_numbers=False,
            elem_id="doctor",
        )
        tab.select(examine, outputs=found, **PAGE)
