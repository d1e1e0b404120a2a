"""Colours and type of the page, for light and dark surroundings.

One palette for each; `ROLES` says which of Gradio's variables takes which colour. Fonts are those
of the visitor's system, so that nothing is fetched from elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gradio.themes import Base


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    page: str
    panel: str
    field: str
    line: str
    text: str
    muted: str
    accent: str
    accent_strong: str
    on_accent: str
    soft: str
    danger: str


LIGHT = Palette(
    page="#f6f5f1",
    panel="#ffffff",
    field="#fbfaf8",
    line="#ddd9d1",
    text="#25221e",
    muted="#655f57",
    accent="#176a63",
    accent_strong="#0f524d",
    on_accent="#ffffff",
    soft="#e3efec",
    danger="#a3341f",
)
DARK = Palette(
    page="#141618",
    panel="#1c1f22",
    field="#16181b",
    line="#34393e",
    text="#ebe8e3",
    muted="#a9a59e",
    accent="#74c7bb",
    accent_strong="#92d8ce",
    on_accent="#0c1f1d",
    soft="#1f3331",
    danger="#f0967f",
)

ROLES: Mapping[str, str] = MappingProxyType(
    {
        "body_background_fill": "page",
        "body_text_color": "text",
        "body_text_color_subdued": "muted",
        "background_fill_primary": "panel",
        "background_fill_secondary": "field",
        "border_color_primary": "line",
        "border_color_accent": "accent",
        "border_color_accent_subdued": "line",
        "color_accent_soft": "soft",
        "link_text_color": "accent",
        "link_text_color_hover": "accent_strong",
        "link_text_color_visited": "accent",
        "link_text_color_active": "accent_strong",
        "code_background_fill": "soft",
        "block_background_fill": "panel",
        "block_border_color": "line",
        "block_info_text_color": "muted",
        "block_label_background_fill": "panel",
        "block_label_border_color": "line",
        "block_label_text_color": "muted",
        "block_title_text_color": "text",
        "panel_background_fill": "panel",
        "panel_border_color": "line",
        "accordion_text_color": "text",
        "input_background_fill": "field",
        "input_background_fill_focus": "field",
        "input_background_fill_hover": "field",
        "input_border_color": "line",
        "input_border_color_hover": "muted",
        "input_border_color_focus": "accent",
        "input_placeholder_color": "muted",
        "checkbox_background_color": "field",
        "checkbox_background_color_selected": "accent",
        "checkbox_border_color": "muted",
        "checkbox_border_color_focus": "accent",
        "checkbox_border_color_selected": "accent",
        "checkbox_label_background_fill": "field",
        "checkbox_label_background_fill_hover": "soft",
        "checkbox_label_background_fill_selected": "soft",
        "checkbox_label_border_color": "line",
        "checkbox_label_border_color_hover": "muted",
        "checkbox_label_border_color_selected": "accent",
        "checkbox_label_text_color": "text",
        "checkbox_label_text_color_selected": "text",
        "slider_color": "accent",
        "loader_color": "accent",
        "button_primary_background_fill": "accent",
        "button_primary_background_fill_hover": "accent_strong",
        "button_primary_border_color": "accent",
        "button_primary_border_color_hover": "accent_strong",
        "button_primary_text_color": "on_accent",
        "button_primary_text_color_hover": "on_accent",
        "button_secondary_background_fill": "panel",
        "button_secondary_background_fill_hover": "soft",
        "button_secondary_border_color": "line",
        "button_secondary_border_color_hover": "accent",
        "button_secondary_text_color": "text",
        "button_secondary_text_color_hover": "text",
        "button_cancel_background_fill": "panel",
        "button_cancel_background_fill_hover": "field",
        "button_cancel_border_color": "danger",
        "button_cancel_border_color_hover": "danger",
        "button_cancel_text_color": "danger",
        "button_cancel_text_color_hover": "danger",
        "table_text_color": "text",
        "table_even_background_fill": "panel",
        "table_odd_background_fill": "field",
        "table_border_color": "line",
        "error_background_fill": "panel",
        "error_border_color": "danger",
        "error_text_color": "danger",
        "error_icon_color": "danger",
    }
)


def make() -> Base:
    """The theme, as Gradio wants it."""
    theme = Base(
        primary_hue="teal",
        neutral_hue="stone",
        radius_size="md",
        font=("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"),
        font_mono=("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"),
    )
    light = {name: getattr(LIGHT, role) for name, role in ROLES.items()}
    dark = {f"{name}_dark": getattr(DARK, role) for name, role in ROLES.items()}
    return theme.set(
        **light,
        **dark,
        color_accent="*slider_color",
        block_border_width="1px",
        block_border_width_dark="1px",
        block_radius="*radius_lg",
        container_radius="*radius_lg",
        block_shadow="none",
        block_title_text_weight="600",
        button_border_width="1px",
        button_large_text_weight="600",
        input_border_width="1px",
        checkbox_label_border_width="1px",
        checkbox_label_shadow="none",
        checkbox_shadow="none",
        shadow_drop="none",
        layout_gap="16px",
    )
