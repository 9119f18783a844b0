"""The difference between two runs adds up, and each step is what rescoring by hand gives."""

import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from clv.data.summary import summarize
from clv.errors import InputError
from clv.monitoring.change_report import STEP_NAMES, step_name
from clv.monitoring.value_changes import STEPS, ValuedBase, explain_change, scored
from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD
from clv.scorer import CustomerScorer
from clv.value.value import Terms

START = pd.Timestamp("2023-01-02")
PAIRS = int(os.environ.get("CLV_PAIRS", "20"))  # of runs; 200 take a minute and a half
TERMS = Terms(0.3, 0.1, Duration(156, "week"), "EUR")


@pytest.fixture(scope="module")
def scorer(published_scorer) -> CustomerScorer:
    return published_scorer(TERMS, "2024-01-01")


def retrained(scorer: CustomerScorer, rng: np.random.Generator) -> CustomerScorer:
    """Another model of the same kind."""
    fitted = scorer.purchases.params_
    moved = {name: value * rng.uniform(0.8, 1.25) for name, value in fitted.items()}
    return replace(scorer, purchases=BetaGeoNBD.from_params(moved, unit="week"))


def orders(scorer: CustomerScorer, customers: int, rng: np.random.Generator) -> pd.DataFrame:
    """What customers of the scorer's own model buy within 80 weeks, won evenly over them."""
    r, alpha, a, b = (scorer.purchases.params_[name] for name in ("r", "alpha", "a", "b"))
    p, q, v = (scorer.spend.params_[name] for name in ("p", "q", "v"))
    first = rng.uniform(0, 80 * 7, customers)
    rate, leaves = rng.gamma(r, 1 / alpha, customers) / 7, rng.beta(a, b, customers)
    nu, rows = rng.gamma(q, 1 / v, customers), []
    for i in range(customers):
        t = first[i]
        rows.append((f"c{i}", t))
        while (t := t + rng.exponential(1 / max(rate[i], 1e-9))) < 80 * 7:
            rows.append((f"c{i}", t))
            if rng.random() < leaves[i]:
                break
    log = pd.DataFrame(rows, columns=["customer_id", "day"])
    scale = nu[log["customer_id"].str[1:].astype(int)]
    log["amount"] = np.maximum(rng.gamma(p, size=len(log)) / scale, 0.01).round(2)
    log["date"] = START + pd.to_timedelta(log.pop("day").astype(int), unit="D")
    return log


def history(log: pd.DataFrame, day: object) -> pd.DataFrame:
    """The summary as textbooks define it, in weeks."""
    days = log.groupby(["customer_id", "date"], as_index=False)["amount"].sum()
    of = days.sort_values("date").groupby("customer_id")
    first, last, n = of["date"].min(), of["date"].max(), of.size()
    repeat = (of["amount"].sum() - of["amount"].first()) / (n - 1).where(n > 1)
    return pd.DataFrame(
        {
            "frequency": n - 1,
            "recency": (last - first).dt.days / 7,
            "T": (pd.Timestamp(day) - first).dt.days / 7,
            "monetary_value": repeat.fillna(0.0),
            "unit": "week",
        }
    ).reset_index()


def worth(scorer: CustomerScorer, log: pd.DataFrame, day: object) -> pd.Series:
    """Values by the models' own public verbs: margin, times spend, times discounted purchases."""
    summary, terms = history(log, day), scorer.terms
    det = scorer.purchases.discounted_expected_purchases(156, terms.delta("week"), summary)
    clv = terms.margin_rate * scorer.spend.expected_spend(summary) * det
    return pd.Series(clv, index=summary["customer_id"])


def base(scorer: CustomerScorer, log: pd.DataFrame, day: pd.Timestamp) -> ValuedBase:
    log = log[log["date"] <= day]
    return ValuedBase(worth(scorer, log, day), str(day)[:10], scorer, log)


def corrected(log: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The log after refunds: one order in thirty is gone, one in thirty is smaller."""
    chance = rng.random(len(log))
    smaller = log["amount"].where(chance > 1 / 15, (log["amount"] / 2).round(2))
    return log.assign(amount=smaller)[chance > 1 / 30]


def runs(scorer: CustomerScorer, seed: int) -> tuple[ValuedBase, ValuedBase]:
    """Two runs of a small shop, drawn: days, orders, refunds, and often another model or terms."""
    rng = np.random.default_rng(seed)
    log = orders(scorer, 60, rng)
    then = START + pd.Timedelta(weeks=int(rng.integers(20, 60)))
    now = then + pd.Timedelta(days=int(rng.integers(0, 100)))
    later = retrained(scorer, rng) if seed % 3 else scorer
    if seed % 4 == 0:
        later = replace(later, terms=replace(TERMS, margin_rate=0.35))
    return base(scorer, log, then), base(later, corrected(log, rng), now)


def by_hand(before: ValuedBase, after: ValuedBase) -> dict[str, float]:
    """The value of all customers after each step, on logs put together here, row by row."""
    scorer, then, now = before.scorer, before.log, after.log
    ours, day = set(then["customer_id"]), pd.Timestamp(before.as_of)

    def total(log: pd.DataFrame, by: CustomerScorer = scorer) -> float:
        return float(worth(by, log, after.as_of).sum())

    past = history(then, day)
    usual = dict(zip(past["customer_id"], scorer.spend.expected_spend(past), strict=True))
    since = now[(now["date"] > day) & now["customer_id"].isin(ours)]
    days = since.groupby(["customer_id", "date"], as_index=False)["amount"].sum()
    priced = [(row.customer_id, row.date, usual[row.customer_id]) for row in days.itertuples()]
    priced = pd.DataFrame(priced, columns=["customer_id", "date", "amount"])
    return {
        "orders": total(pd.concat([then, priced.astype(then.dtypes)])),
        "spend": total(pd.concat([then, since])),
        "refunds": total(now[now["customer_id"].isin(ours)]),
        "new": total(now),
        "terms": total(now, replace(scorer, terms=after.scorer.terms)),
        "model": total(now, after.scorer),
    }


@pytest.mark.parametrize("seeds", [range(2), pytest.param(range(2, PAIRS), marks=pytest.mark.slow)])
def test_sums_to_the_cent_and_each_step_is_what_rescoring_gives(scorer, seeds):
    for seed in seeds:
        before, after = runs(scorer, seed)
        change = explain_change(before, after)
        total = round(after.values.sum(), 2) - round(before.values.sum(), 2)
        assert round(sum(change.amounts.values()), 2) == round(total, 2)
        customers = change.customers
        split = customers[list(STEPS)].sum(axis=1) - (customers["after"] - customers["before"])
        assert split.abs().max() < 1e-9
        assert not customers["other"].any()
        assert change.levels["before"] == round(before.values.sum(), 2)
        for name, level in by_hand(before, after).items():
            assert change.levels[name] == pytest.approx(level, abs=0.02), (seed, name)


def test_nothing_but_time_where_nothing_else_came(scorer):
    before, _ = runs(scorer, 1)
    again = explain_change(before, before)
    assert not any(again.amounts.values())
    assert again.expected_orders == 0


def test_customers_who_do_as_the_model_says_move_nothing_but_time(scorer):
    """A true model's forecast of its own later values is right on average (law of total
    expectation): over all customers, orders against silence and spend cancel, within chance.
    """
    log = orders(scorer, 12_000, np.random.default_rng(7))
    log = log[log["customer_id"].isin(log.loc[log["date"] < "2023-10-01", "customer_id"])]
    then, now = pd.Timestamp("2023-10-01"), pd.Timestamp("2024-03-01")
    change = explain_change(base(scorer, log, then), base(scorer, log, now))
    for steps in (["silence", "orders"], ["spend"]):
        surprise = change.customers[steps].sum(axis=1)
        z = surprise.sum() / (surprise.std() * len(surprise) ** 0.5)
        assert abs(z) < 3
        assert surprise.abs().sum() > 50 * abs(surprise.sum()) or abs(z) < 2
    assert change.amounts["time"] < -0.01 * change.levels["before"]
    assert change.orders == pytest.approx(change.expected_orders, rel=0.05)
    assert change.amounts["new"] == change.amounts["refunds"] == change.amounts["model"] == 0


def test_scores_are_those_of_predict_with_a_pooled_forecast_too(cdnow_scorer, cdnow_clean):
    log = cdnow_clean.assign(date=pd.to_datetime(cdnow_clean["date"]))
    summary = summarize(log, as_of="1998-03-31", unit="week")
    wide = cdnow_scorer.churn.attach(summary, log, "1998-03-31", "week")
    expected = cdnow_scorer.predict(wide).set_index("customer_id")
    found = scored(cdnow_scorer, log, "1998-03-31")
    for name in ("clv", "expected_spend"):
        np.testing.assert_array_equal(found[name], expected[name])


def test_what_cannot_be_rescored_is_said_to_be_other(scorer):
    before, after = runs(scorer, 2)
    bare = explain_change(replace(before, log=None), after)
    moved = {name for name, amount in bare.amounts.items() if amount}
    assert moved == {"new", "other"}
    subscriber = pd.Series({"sub": 50.0})
    both = explain_change(
        replace(before, values=pd.concat([before.values, subscriber])),
        replace(after, values=pd.concat([after.values, subscriber * 1.2])),
    )
    assert both.amounts["other"] == pytest.approx(10.0)
    assert both.amounts["orders"] == explain_change(before, after).amounts["orders"]


def test_a_run_of_an_earlier_day_is_refused(scorer):
    before, after = runs(scorer, 5)
    assert before.as_of < after.as_of
    with pytest.raises(InputError, match=f"the run before is of {after.as_of}"):
        explain_change(after, before)


def test_each_step_has_a_name():
    assert tuple(STEP_NAMES) == STEPS
    assert len({step_name(step) for step in STEPS}) == len(STEPS)
