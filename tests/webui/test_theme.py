"""Colours that everybody can read."""

import pytest

from webui.theme import DARK, LIGHT, ROLES, Palette, make

READABLE = 4.5  # contrast of small text, WCAG 2.2, success criterion 1.4.3
PAIRS = [
    *(
        (ink, ground)
        for ink in ("text", "muted", "accent")
        for ground in ("page", "panel", "field")
    ),
    ("text", "soft"),
    ("on_accent", "accent"),
    ("on_accent", "accent_strong"),
    ("danger", "panel"),
    ("danger", "field"),
]


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), PAIRS)
def test_text_stands_out(palette: Palette, ink: str, ground: str):
    lighter, darker = sorted(
        (luminance(getattr(palette, ink)), luminance(getattr(palette, ground))), reverse=True
    )
    assert (lighter + 0.05) / (darker + 0.05) >= READABLE


def test_every_role_has_a_colour_in_both_surroundings():
    theme = make()
    for name, role in ROLES.items():
        assert getattr(theme, name) == getattr(LIGHT, role)
        assert getattr(theme, f"{name}_dark") == getattr(DARK, role)


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
