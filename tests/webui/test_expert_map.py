"""Counts of experts as a figure, by hand; and where there is nothing to show."""

import re
from dataclasses import replace

import numpy as np
import pytest

from tests.dense_model import dense_config
from tests.small_model import small_janus
from webui.expert_events import for_drawing, offered
from webui.expert_map import common_work, figure
from webui.loader import Loading, Ready
from webui.watching import Traces
from webui.words import words_in

TEXT, DRAWN = np.array([[8, 0, 0, 0]]), np.array([[2, 2, 4, 0]])


def test_work_in_common_by_hand():
    assert common_work(TEXT, DRAWN) == pytest.approx(0.25)
    assert common_work(DRAWN, 3 * DRAWN) == pytest.approx(1)
    assert common_work(TEXT, np.array([[0, 1, 1, 1]])) == 0


def test_the_stronger_the_more_work():
    shown = figure({"text": TEXT, "drawn": DRAWN}, [7], words_in("en"))
    strengths = [float(found) for found in re.findall(r'fill-opacity="([\d.]+)"', shown)]
    assert strengths == [1, 0, 0, 0, 0.33, 0.33, 0.67, 0]
    assert "Busiest: layer 7, expert 2: 2.0" in shown
    assert "have 25 % of this work in common" in shown


def test_one_kind_alone_is_compared_with_nothing():
    assert "in common" not in figure({"text": TEXT}, [7], words_in("en"))


def test_dense_models_offer_no_experts():
    assert offered(Ready(small_janus()))["visible"]
    assert not offered(Ready(small_janus(dense_config())))["visible"]
    assert not offered(Loading("small"))["visible"]


def test_a_drawing_is_looked_at_by_the_model_that_made_it(tmp_path):
    janus = small_janus()
    (picture,) = janus.draw("a dog", seed=1)
    path = str(picture.save(tmp_path / "dog.png"))
    traces = Traces()
    traces.keep({path: picture, "another": replace(picture, seed=2)}, {path})
    assert traces.ids == {path: picture.ids}
    assert for_drawing(janus, path, traces)["drawn"].sum() == 2 * len(picture.ids)
    janus.name = "other"
    with pytest.raises(Exception, match="drawn by small, not by other"):
        for_drawing(janus, path, traces)
