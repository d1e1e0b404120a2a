"""A drawing as it is shown."""

from typing import Any

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


def test_a_sign_stops_it_at_the_next_step_without_painting_more(tiny: Janus):
    sign = StopSign()
    shown = frames(tiny, "a dog", sign, seed=3, count=2)
    first = next(shown)
    ticket = tiny.engine.engine.scheduler.running[0].ticket  # pyright: ignore[reportOptionalMemberAccess]
    passes = ticket.num_passes
    sign.is_up = True
    assert first.pictures is None and not list(shown)
    assert ticket.num_passes <= passes + 2  # one of each picture
    assert not tiny.engine.engine.has_work  # pyright: ignore[reportOptionalMemberAccess]


def test_the_sign_is_seen_while_others_have_all_the_room(tiny: Janus):
    others = tiny.draw_stream("a dog", count=16)
    next(others)
    sign = StopSign()
    sign.is_up = True
    assert not list(frames(tiny, "a cat", sign))
    assert next(others).pictures is None
    others.close()  # pyright: ignore[reportAttributeAccessIssue]


def test_each_picture_is_there_as_soon_as_it_is_finished(tiny: Janus):
    def refuse(_: Any, arguments: tuple[Any, ...]) -> None:
        if len(arguments[1].counts) > 2:
            raise MemoryError

    with tiny.model.register_forward_pre_hook(refuse):
        shown = list(frames(tiny, "a dog", StopSign(), seed=3, count=3))
    new = [frame.new_pictures for frame in shown if frame.new_pictures]
    assert [list(each) for each in new] == [[0], [1], [2]]
    assert shown[-1].pictures == tuple(each[place] for place, each in enumerate(new))
