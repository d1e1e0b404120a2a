"""How long a drawing will take."""

import pytest

from janus.pipeline import Janus
from webui.drawing import frames
from webui.estimates import KEPT, Estimate, Estimates
from webui.stopping import StopSign


def test_nothing_is_known_before_something_was_drawn(tiny: Janus):
    assert Estimates().of(tiny, 1) is None


def test_as_many_pictures_take_what_they_took(tiny: Janus):
    estimates = Estimates()
    for seconds in (9.0, 4.0, 5.0):
        estimates.add(tiny, 2, seconds)
    assert estimates.of(tiny, 2) == Estimate(5.0, is_bound=False)
    for _ in range(KEPT):
        estimates.add(tiny, 2, 1.0)
    assert estimates.of(tiny, 2) == Estimate(1.0, is_bound=False)


@pytest.mark.parametrize(("count", "seconds"), [(1, 6.0), (2, 6.0), (8, 12.0)])
def test_other_numbers_have_a_bound(tiny: Janus, count: int, seconds: float):
    estimates = Estimates()
    estimates.add(tiny, 4, 6.0)
    assert estimates.of(tiny, count) == Estimate(seconds, is_bound=True)


def test_the_closest_bound_counts(tiny: Janus):
    estimates = Estimates()
    estimates.add(tiny, 1, 2.0)
    estimates.add(tiny, 4, 3.0)
    assert estimates.of(tiny, 8) == Estimate(6.0, is_bound=True)
    assert estimates.of(tiny, 2) == Estimate(3.0, is_bound=True)


def test_a_drawing_measures_itself(tiny: Janus):
    *_, last = frames(tiny, "a dog", StopSign(), seed=3, count=2)
    assert last.seconds_at_work and last.seconds_at_work > 0
