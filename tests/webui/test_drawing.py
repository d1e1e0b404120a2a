"""A drawing as it is shown."""

from janus.pipeline import Janus
from webui.drawing import frames
from webui.stopping import StopSign


def test_frames_end_in_the_pictures_that_the_model_draws(tiny: Janus):
    shown = list(frames(tiny, "a dog", StopSign(), seed=3, count=2))
    *earlier, last = shown
    assert all(frame.pictures is None for frame in earlier)
    assert last.pictures and last.preview
    drawn = tiny.draw("a dog", seed=3, count=2)
    assert [p.ids for p in last.pictures] == [p.ids for p in drawn]


def test_frames_go_forward(tiny: Janus):
    shown = list(frames(tiny, "a dog", StopSign(), seed=3))
    assert [frame.fraction for frame in shown] == sorted(frame.fraction for frame in shown)
    assert all(1 <= frame.row <= frame.rows == 4 for frame in shown)
    assert shown[0].preview and shown[-1].fraction == 1


def test_giving_up_frees_the_engine(tiny: Janus):
    shown = frames(tiny, "a dog", StopSign(), seed=3)
    next(shown)
    shown.close()
    assert tiny.engine.engine and not tiny.engine.engine.has_work
