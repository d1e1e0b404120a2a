"""How the Library tab looks: its components and where they stand. Nothing happens here."""

from dataclasses import dataclass

import gradio as gr

from webui import markup
from webui.draw_layout import action
from webui.link_button import LinkButton
from webui.texts import text


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryLayout:
    query: gr.Textbox
    only_starred: gr.Checkbox
    note: gr.HTML
    gallery: gr.Gallery
    actions: gr.Row  # for the picture that is open in the gallery
    star: gr.Button
    use_all: gr.Button
    ask_about: gr.Button
    copy_link: LinkButton
    delete: gr.Button
    sure: gr.Button  # asks once more; not a dialog, which browsers keep from pages within a page
    keep: gr.Button
    pack: gr.Button
    archive: gr.DownloadButton  # not seen: holds what `pack` has packed
    dropped: gr.File
    shown: gr.State  # the paths in the gallery
    opened: gr.State  # the path of the picture that is open in it, or None


def lay_out() -> LibraryLayout:
    """Places the components into the current block."""
    with gr.Row(elem_classes="search"):
        query = gr.Textbox(
            label=text("library.search"),
            placeholder=text("library.search.placeholder"),
            max_lines=1,
            scale=4,
            min_width=200,
            elem_id="search",
        )
        only_starred = gr.Checkbox(
            label=text("library.starred"),
            container=False,
            scale=1,
            min_width=130,
            elem_id="starred",
        )
    note = gr.HTML(markup.note(""), padding=False, elem_id="library-note")
    gallery = gr.Gallery(
        label=text("library.tab"),
        show_label=False,
        columns=6,
        object_fit="contain",
        buttons=["download", "fullscreen"],
        interactive=False,
        fit_columns=False,
        visible=False,
        elem_id="library",
    )
    return LibraryLayout(
        query=query,
        only_starred=only_starred,
        note=note,
        gallery=gallery,
        **_actions(),
        **_exchange(),
        shown=gr.State([]),
        opened=gr.State(None),
    )


def _actions() -> dict:
    with gr.Row(visible=False, elem_classes="actions", elem_id="library-actions") as actions:
        return {
            "actions": actions,
            "star": action(text("library.star"), "star"),
            "use_all": action(text("action.all"), "library-use-all"),
            "ask_about": action(text("action.ask"), "library-ask-about"),
            "copy_link": LinkButton.lay_out("library-copy-link"),
            "delete": action(text("library.delete"), "delete", variant="stop"),
            "sure": action(text("library.sure"), "sure", variant="stop", visible=False),
            "keep": action(text("library.keep"), "keep", visible=False),
        }


def _exchange() -> dict:
    """What takes pictures out, and their settings in."""
    pack = gr.Button(text("library.pack"), size="sm", visible=False, elem_id="pack")
    archive = gr.DownloadButton(visible=False)
    # Any type: what carries no settings is explained in the visitor's language.
    dropped = gr.File(label=text("library.drop"), height=150, elem_id="dropped")
    return {"pack": pack, "archive": archive, "dropped": dropped}
