"""The team: every piece is done once, in order, whatever happens to one of them."""

import gc
import threading
import time

import pytest

from tinyvae.threads import Team, shares


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("pieces", [0, 1, 3, 100])
def test_results_come_in_the_order_of_the_items(size, pieces):
    team, done = Team(size), []

    def square(i):
        done.append(i)
        return i * i

    for _ in range(20):
        done.clear()
        assert team.map(square, range(pieces)) == [i * i for i in range(pieces)]
        assert sorted(done) == list(range(pieces))


def test_pieces_are_done_side_by_side():
    meeting = threading.Barrier(3, timeout=20)
    assert len(set(Team(3).map(lambda _: (meeting.wait(), threading.get_ident())[1], range(3)))) == 3


def test_an_exception_is_raised_when_all_are_at_rest():
    team, finished = Team(2), []

    def work(i):
        if i == 0:
            raise KeyError("first")
        time.sleep(0.01)
        finished.append(i)

    with pytest.raises(KeyError, match="first"):
        team.map(work, range(4))
    assert sorted(finished) == [1, 2, 3]
    assert team.map(abs, [-1, -2]) == [1, 2]  # the team is as good as new


def test_helpers_are_prepared_and_leave_with_their_team():
    before, prepared = threading.active_count(), []
    team = Team(4, lambda: prepared.append(threading.get_ident()))
    while len(prepared) < 3:
        time.sleep(0.001)
    assert threading.get_ident() not in prepared and threading.active_count() == before + 3
    del team
    gc.collect()
    while threading.active_count() > before:
        time.sleep(0.001)


def test_shares_cut_everything_into_equal_parts():
    for total in (0, 1, 2, 9, 10, 100):
        for parts in (1, 2, 3, 7):
            pieces = shares(total, parts)
            assert [i for piece in pieces for i in range(total)[piece]] == list(range(total))
            sizes = [piece.stop - piece.start for piece in pieces]
            assert len(pieces) == min(total, parts) and (not sizes or max(sizes) - min(sizes) <= 1)
