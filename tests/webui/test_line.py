"""The line of those who want the model."""

import threading
from contextlib import ExitStack

from webui.line import Line


def test_so_many_are_served_and_the_others_know_their_number():
    line = Line(2)
    with ExitStack() as stack:
        places = [stack.enter_context(line.place()) for _ in range(4)]
        assert [line.before(place) for place in places] == [0, 0, 1, 2]


def test_whoever_leaves_lets_the_next_one_in():
    line, told = Line(1), []
    served = threading.Event()

    def stand() -> None:
        with line.place() as place:
            told.extend(place.waiting())
        served.set()

    with line.place(), line.place() as second:
        thread = threading.Thread(target=stand)
        thread.start()
        while not told:
            line.wait(0.01)
        assert line.before(second) == 1 and told[0] == 2
    assert served.wait(10)
    thread.join()


def test_somebody_who_gives_up_waiting_leaves_the_line():
    line = Line(1)
    with line.place():
        with line.place() as impatient:
            assert next(impatient.waiting()) == 1
        with line.place() as next_one:
            assert line.before(next_one) == 1
