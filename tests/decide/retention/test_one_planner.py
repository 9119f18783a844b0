"""One planner: every way to a list gives what a walk down the ranking, written out here, does."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from clv.decide.retention.offer import BetaRate, Offer
from clv.decide.retention.plan import gain_curve, plan_campaign, retention_targets
from clv.decide.scores import draw_by_id

SETTINGS = range(60)


def random_setting(seed):
    """Scores of whoever may be contacted, an offer, a budget and a control group."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 1500))
    stake = rng.choice([0.0, 5.0, 40.0, 300.0], n) if seed % 3 else rng.gamma(1, 60, n)
    scores = pd.DataFrame(
        {
            "customer_id": rng.permutation(10 * n)[:n],
            "churn_probability": rng.choice([0.2, 0.5, 1.0], n) if seed % 5 else rng.random(n),
            "value_at_stake": stake,
            "eligible": rng.random(n) < 0.8,
            "as_of": dt.date(2024, 9, 30),
        }
    )
    rates = (BetaRate(), 0.25, (0.1, 0.4), BetaRate(40, 60))
    redemption = None if seed % 4 else float(rng.random())
    offer = Offer(rng.integers(0, 4), rng.integers(0, 3), rates[seed % 4], redemption=redemption)
    budget = None if seed % 6 == 0 else float(rng.choice([6, 50, 400, 5000]))
    share = float(rng.choice([0, 0.1, 0.5]))
    return scores[scores["eligible"]], offer, budget, {"control_share": share, "seed": seed}


def walk(scores, offer, budget, *, control_share, seed):
    """Down the ranking, customer by customer, until the next one no longer fits."""
    q, stake = scores["churn_probability"].to_numpy(), scores["value_at_stake"].to_numpy()
    rate = offer.mean_save_rate
    redeem = 1 - q + rate * q if offer.redemption is None else offer.redemption
    rows = scores.assign(gain=rate * q * stake, cost=offer.contact_cost + offer.incentive * redeem)
    rows = rows[rows["gain"] > rows["cost"]]
    with np.errstate(divide="ignore"):
        ratio = rows["gain"].to_numpy() / rows["cost"].to_numpy()
    draw = draw_by_id(rows["customer_id"].tolist(), seed)
    listed, spent = [], 0.0
    for at in np.lexsort((draw, -ratio)):
        held, row = draw[at] < control_share, rows.iloc[at]
        if not held and budget is not None and spent + row["cost"] > budget * (1 + 1e-12):
            break
        spent += 0.0 if held else row["cost"]
        listed.append((row["customer_id"], "control" if held else "treat"))
    return listed if any(group == "treat" for _, group in listed) else []


@pytest.mark.parametrize("seed", SETTINGS)
def test_every_short_way_gives_the_same_list(seed):
    scores, offer, budget, drawn = random_setting(seed)
    expected = walk(scores, offer, budget, **drawn)
    for plan in (retention_targets, plan_campaign):
        table = plan(scores, offer, budget, **drawn).table
        assert list(zip(table["customer_id"], table["group"], strict=True)) == expected
    curve = gain_curve(scores, offer, **drawn)
    everybody = plan_campaign(scores, offer, **drawn).summary
    assert len(curve) == everybody.audience
    assert curve.gain_at(everybody.cost) == pytest.approx(everybody.expected_gain)
