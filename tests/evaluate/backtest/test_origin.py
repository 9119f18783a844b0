"""Origins: where to cut, what is known, what happened, and that the one never sees the other."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools

import numpy as np
import pandas as pd
import pytest

from clv.errors import InputError
from clv.evaluate.backtest import Calibration, Origin, origins, spaced_cutoffs
from clv.evaluate.backtest.rolling import forecasts
from clv.periods import Duration

FIRST, LAST = dt.date(2020, 1, 1), dt.date(2020, 12, 31)


@pytest.mark.parametrize(
    ("count", "length"), [(1, 122), (3, 60), (3, 73), (3, 100), (5, 30), (6, 60), (4, None)]
)
def test_cutoffs_are_even_and_the_last_holdout_ends_with_the_log(
    count: int, length: int | None
) -> None:
    asked = Duration(length, "day") if length else None
    found, days = spaced_cutoffs(FIRST, LAST, count, asked)
    assert len(found) == count
    assert days == (length or days)
    assert found[-1] + dt.timedelta(days) == LAST
    assert (found[0] - FIRST).days + 1 >= 2 * days  # a time to learn from, a time to see
    gaps = {(later - sooner).days for sooner, later in itertools.pairwise(found)}
    assert len(gaps) <= 1
    assert all(days / 4 <= gap <= days for gap in gaps)


def test_unasked_the_holdouts_are_as_long_as_they_can_be_without_overlap() -> None:
    found, days = spaced_cutoffs(FIRST, LAST, 3)
    assert days == 366 // 5
    assert (found[1] - found[0]).days == days
    longer, more = spaced_cutoffs(FIRST, LAST, 3, Duration(days + 1, "day"))
    assert (longer[1] - longer[0]).days < more


@pytest.mark.parametrize(("count", "length"), [(1, 123), (3, 115), (20, 60), (2, 400)])
def test_a_log_that_is_too_short_is_said_so(count: int, length: int) -> None:
    with pytest.raises(InputError, match=f"{count} cutoffs with {length} days after each do not"):
        spaced_cutoffs(FIRST, LAST, count, Duration(length, "day"))


def test_an_origin_holds_what_was_known_and_what_happened(
    three: tuple[Origin, ...], cdnow: pd.DataFrame
) -> None:
    """Against counting by hand."""
    for origin in three:
        cutoff, end = pd.Timestamp(origin.calibration.cutoff), pd.Timestamp(origin.end)
        before, then = cdnow["date"] <= cutoff, cdnow["date"].between(cutoff, end, "right")
        by_hand = cdnow[then].groupby("customer_id")["amount"].agg(["size", "sum"])
        by_hand = by_hand.reindex(origin.calibration.summary["customer_id"]).fillna(0)
        np.testing.assert_array_equal(origin.purchases, by_hand["size"])
        np.testing.assert_allclose(origin.money, by_hand["sum"])
        assert len(origin.calibration.log) == before.sum()
        assert origin.calibration.summary["frequency"].sum() == before.sum() - len(by_hand)
    assert three[-1].end == dt.date(1998, 6, 30)


def test_what_is_learned_earlier_ended_by_the_cutoff(three: tuple[Origin, ...]) -> None:
    known = three[0].calibration
    assert known.earlier is not None
    assert known.earlier.end == known.cutoff
    assert known.earlier.calibration.log["date"].max() <= pd.Timestamp(
        known.earlier.calibration.cutoff
    )
    assert known.earlier.after["date"].max() <= pd.Timestamp(known.cutoff)
    first = Origin.from_log(known.log, dt.date(1997, 3, 1), 91).calibration
    assert first.earlier is None  # ninety-one days before, nobody was a customer


def test_a_log_that_goes_on_is_no_knowledge(three: tuple[Origin, ...], cdnow: pd.DataFrame) -> None:
    known = three[0].calibration
    with pytest.raises(InputError, match="what lies after 1997-09-30 would reach a forecast"):
        dataclasses.replace(known, log=cdnow)
    with pytest.raises(InputError, match="would reach a forecast"):
        dataclasses.replace(known, summary=known.summary.assign(holdout_value=three[0].money))


@pytest.mark.parametrize(("cutoff", "days"), [(dt.date(1998, 4, 1), 91), (dt.date(1996, 1, 1), 91)])
def test_a_holdout_outside_the_log_is_refused(
    cutoff: dt.date, days: int, cdnow: pd.DataFrame
) -> None:
    with pytest.raises(InputError, match="is not within the log, 1997-01-01 to 1998-06-30"):
        origins(cdnow, [cutoff], days)


def poisoned(cdnow: pd.DataFrame, cutoff: dt.date, seed: int) -> pd.DataFrame:
    """Another future: orders moved, dearer, twice, by newcomers and by old customers."""
    rng = np.random.default_rng(seed)
    late = cdnow[cdnow["date"] > pd.Timestamp(cutoff)]
    other = pd.concat([late, late.sample(frac=0.5, random_state=seed)])
    ids = rng.choice(np.append(cdnow["customer_id"].unique(), [10**6, 10**6 + 1]), len(other))
    days = pd.to_timedelta(rng.integers(1, 90, len(other)), unit="D")
    other = other.assign(
        customer_id=ids, date=pd.Timestamp(cutoff) + days, amount=1000 * other["amount"]
    )
    last = cdnow.tail(1).assign(date=cdnow["date"].max())
    return pd.concat([cdnow[cdnow["date"] <= pd.Timestamp(cutoff)], other, last])


@pytest.mark.slow
def test_the_holdout_never_reaches_a_forecaster(
    three: tuple[Origin, ...], cdnow: pd.DataFrame
) -> None:
    """Whatever happens after a cutoff, every forecaster says the same, to the last bit.

    The pool, which takes seconds to learn, at the first of them alone.
    """
    amounts = np.array([5.0, 50.0])
    for seed, origin in enumerate(three):
        known = origin.calibration
        assert known.log["date"].max() <= pd.Timestamp(known.cutoff)
        other = Origin.from_log(poisoned(cdnow, known.cutoff, seed), known.cutoff, known.days)
        assert other.money.sum() != origin.money.sum()
        pd.testing.assert_frame_equal(other.calibration.summary, known.summary)
        both = (forecasts(each, with_pool=seed == 0) for each in (known, other.calibration))
        for one, two in zip(*both, strict=True):
            assert one.name == two.name
            np.testing.assert_array_equal(one.purchases, two.purchases)
            np.testing.assert_array_equal(one.money, two.money)
            assert one.chances is not None
            assert two.chances is not None
            k = np.arange(4.0)
            np.testing.assert_array_equal(one.chances(k), two.chances(k))
            if one.money_within is not None and two.money_within is not None:
                spent = np.resize(amounts, len(one.money))
                np.testing.assert_array_equal(one.money_within(spent), two.money_within(spent))


def test_a_forecaster_is_given_no_more_than_what_is_known() -> None:
    """The record that forecasters take has no field for the holdout."""
    assert {field.name for field in dataclasses.fields(Calibration)} == {
        "cutoff",
        "days",
        "unit",
        "log",
        "summary",
        "calendar",  # of the firm, as known at the cutoff
    }
