"""Buckets: so many at once, so many per second, in bounded memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clv.web.access.limits import Buckets, Rate, SharedBuckets


@given(st.lists(st.floats(0, 5), max_size=60))
def test_no_more_than_burst_and_rate_allow(pauses):
    buckets, now, allowed = Buckets(Rate(per_second=2, burst=5)), 0.0, 0
    for pause in pauses:
        now += pause
        allowed += buckets.wait("ann", now) == 0
    assert allowed <= 5 + 2 * now + 1e-6


def test_who_waits_as_told_is_let_through():
    buckets = Buckets(Rate(per_second=0.25, burst=1))
    assert buckets.wait("ann", 0.0) == 0
    seconds = buckets.wait("ann", 0.0)
    assert seconds == 4
    assert buckets.wait("ann", float(seconds)) == 0


def test_buckets_are_apart_and_few():
    buckets = Buckets(Rate(per_second=1, burst=1), most=100)
    assert all(buckets.wait(f"address {n}", 0.0) == 0 for n in range(1000))
    assert len(buckets._held) == 100
    assert buckets.wait("address 999", 0.0) == 1


@given(calls=st.lists(st.tuples(st.integers(0, 2), st.sampled_from("ab"), st.floats(0, 2))))
def test_several_processes_count_as_one_does(calls, tmp_path_factory):
    rate, now = Rate(per_second=2, burst=3), 100.0
    file = tmp_path_factory.mktemp("limits") / "keys"
    several, one = [SharedBuckets(rate, file) for _ in range(3)], Buckets(rate)
    for process, name, pause in calls:
        now += pause
        assert several[process].wait(name, now) == one.wait(name, now)
    for each in several:
        each.close()
