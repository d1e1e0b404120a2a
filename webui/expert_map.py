"""How much each expert worked, as a figure: a map of layers and experts for each kind of token.

In: how often each was chosen. Out: HTML in the colours of the page. Runs no model.
"""

# L layers with experts, E experts of each

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from webui.words import Words

MOST = 3.0  # times the fair share, from which on a square is as strong as it can be
CELL, GAP = 24, 2


def figure(counts: Mapping[str, np.ndarray], layers: Sequence[int], words: Words) -> str:
    """`counts` by kind, [L, E] each; `layers` are the numbers of the rows."""
    maps = [_map(kind, chosen_LE, layers, words) for kind, chosen_LE in counts.items()]
    said = [words("experts.note")]
    if len(counts) == 2:
        share = round(100 * common_work(*counts.values()))
        if "drawn" in counts:
            said.append(words("experts.common.drawn", share=share))
        else:
            said.append(words("experts.common.seen", share=share))
    notes = "".join(f'<p class="note">{escape(line)}</p>' for line in said)
    return f'<div class="maps">{"".join(maps)}</div>{notes}'


def loads(chosen_LE: np.ndarray) -> np.ndarray:
    """Of each expert, in multiples of the fair share of its layer."""
    return chosen_LE / chosen_LE.mean(axis=1, keepdims=True)


def common_work(first_LE: np.ndarray, second_LE: np.ndarray) -> float:
    """The share of the work that goes to the same experts, 0 to 1, on average over layers."""
    return float(np.minimum(loads(first_LE), loads(second_LE)).mean())


def _names(words: Words) -> dict[str, str]:
    return {
        "text": words("experts.text"),
        "seen": words("experts.seen"),
        "drawn": words("experts.drawn"),
    }


def _map(kind: str, chosen_LE: np.ndarray, layers: Sequence[int], words: Words) -> str:
    loads_LE = loads(chosen_LE)
    row, expert = (int(place) for place in np.unravel_index(loads_LE.argmax(), loads_LE.shape))
    name = _names(words)[kind]
    busiest = words("experts.busiest", square=_told(loads_LE, row, expert, layers, words))
    squares = "".join(
        _square(float(load), i, j, _told(loads_LE, i, j, layers, words))
        for (i, j), load in np.ndenumerate(loads_LE)
    )
    height, width = (CELL * length - GAP for length in loads_LE.shape)
    return (
        f"<figure><b>{escape(name)}</b>"
        f'<svg viewBox="0 0 {width} {height}" style="max-width: {width}px" role="img" '
        f'aria-label="{escape(name)}. {escape(busiest)}">{squares}</svg>'
        f'<figcaption class="note">{escape(busiest)}</figcaption></figure>'
    )


def _square(load: float, row: int, expert: int, told: str) -> str:
    side, strength = CELL - GAP, min(load / MOST, 1)
    return (
        f'<rect x="{expert * CELL}" y="{row * CELL}" width="{side}" height="{side}" '
        f'fill-opacity="{strength:.2f}"><title>{escape(told)}</title></rect>'
    )


def _told(loads_LE: np.ndarray, row: int, expert: int, layers: Sequence[int], words: Words) -> str:
    times = words.number(float(loads_LE[row, expert]))
    return words("experts.square", layer=layers[row], expert=expert, times=times)
