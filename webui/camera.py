"""The camera of the Ask tab, as a dialog that `camera.js` opens and closes.

In: the words of the visitor. Out: HTML in which they are escaped. What it takes goes to where the
tab takes files. Gradio's own camera mirrors its pictures, and is silent where it cannot work.
"""

from html import escape

from webui.words import Words


def dialog(words: Words) -> str:
    """It is opened by Gradio's buttons for a camera."""
    troubles = {
        "refused": words("ask.camera.refused"),
        "missing": words("ask.camera.missing"),
        "insecure": words("ask.camera.insecure"),
    }
    said = "".join(f' data-{name}="{escape(trouble)}"' for name, trouble in troubles.items())
    return (
        '<dialog id="camera" aria-labelledby="camera-title">'
        f'<h2 id="camera-title">{escape(words("ask.camera"))}</h2>'
        f'<video autoplay muted playsinline></video><p role="status"{said}></p>'
        f'<form method="dialog"><button>{escape(words("close"))}</button>'
        f'<button type="button" id="take-picture" disabled>{escape(words("ask.camera.take"))}'
        "</button></form></dialog>"
    )
