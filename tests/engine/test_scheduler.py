from janus.engine.request import Ticket
from janus.engine.scheduler import Scheduler


def running(scheduler):
    return [(s.ticket, s.index) for s in scheduler.running]


def end(sequence):
    sequence.finish_reason = "stop"


def test_slots_are_given_once_and_come_back(ask, draw):
    scheduler = Scheduler(7, 128)
    for request in (ask(2), draw(2, count=2), draw(3, guidance=1)):
        scheduler.add(Ticket(request, 16))
    scheduler.admit()
    slots = [slot for s in scheduler.running for slot in s.slots]
    assert [len(s.slots) for s in scheduler.running] == [1, 2, 2, 1]
    assert len(set(slots)) == 6 and set(slots) <= set(range(7))
    for sequence in scheduler.running:
        end(sequence)
    scheduler.release_finished()
    assert (scheduler.num_free, scheduler.running) == (7, [])


def test_nobody_overtakes(ask, draw):
    scheduler = Scheduler(2, 128)
    first, pair, last = (Ticket(r, 16) for r in (ask(2), draw(2), ask(3)))
    for ticket in (first, pair, last):
        scheduler.add(ticket)
    order = []
    while scheduler.waiting or scheduler.running:
        scheduler.admit()
        order.append([s.ticket for s in scheduler.running])
        end(scheduler.running[0])
        scheduler.release_finished()
    # The last one would fit beside the first, but waits for its turn.
    assert order == [[first], [pair], [last]]


def test_pictures_of_a_request_come_as_slots_allow_but_reference_ones_together(draw):
    scheduler = Scheduler(5, 128)
    loose, whole = Ticket(draw(2, count=3), 16), Ticket(draw(2, count=2, reference=True), 16)
    scheduler.add(loose)
    scheduler.add(whole)
    scheduler.admit()
    assert running(scheduler) == [(loose, 0), (loose, 1)]
    end(scheduler.running[0])
    scheduler.release_finished()
    scheduler.admit()
    assert running(scheduler) == [(loose, 1), (loose, 2)]
    end(scheduler.running[0])
    scheduler.release_finished()
    scheduler.admit()
    assert running(scheduler) == [(loose, 2)]
    end(scheduler.running[0])
    scheduler.release_finished()
    scheduler.admit()
    assert running(scheduler) == [(whole, 0), (whole, 1)]
