"""Texts that never change while the page is open: labels, placeholders, captions of buttons.

In: a key. Out: what Gradio replaces in the browser by the text in the visitor's language, before
anything is seen. What has gaps, or is said later, comes from `words`.
"""

import gradio as gr
from gradio.i18n import I18nData

from webui.locale import locales


def text(key: str) -> I18nData:
    """To be given to components; `key` may also be an English sentence of another package."""
    return I18nData(key)


def translations() -> gr.I18n:
    """Everything that `text` may stand for, for `Blocks.launch`."""
    english = {said for locale in locales() for said in locale.sentences if "{}" not in said}
    return gr.I18n(
        **{
            locale.tag: {said: locale.sentences.get(said, said) for said in english}
            | dict(locale.texts)
            | {"common.webcam": locale.texts["ask.camera"]}  # Gradio has no words for it
            for locale in locales()
        }
    )
