"""The simulated brand against a naive event loop, published expectations and its own truth."""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from clv.errors import InputError
from clv.simulate import (
    CDNOW,
    CHANNELS,
    SimulatedChannel,
    SimulatedOffer,
    draw_purchases,
    simulate_brand,
    simulate_customers,
)
from clv.simulate.process import Purchases, discounted_purchases, purchases_while_alive
from clv.simulate.simulated_orders import simulated_orders


def near(sample, expected, errors=4.0):
    """Whether the mean of ``sample`` lies within so many standard errors of ``expected``."""
    sample = np.asarray(sample, dtype=float)
    return abs(sample.mean() - expected) < errors * sample.std() / np.sqrt(len(sample))


def event_loop(rng, rate, dropout, span):
    """BG/NBD as the story is told: wait, buy, toss a coin whether to stay."""
    histories, left = [], []
    for lam, p, end in zip(rate, dropout, span, strict=True):
        times, gone, now = [], False, rng.exponential(1 / lam)
        while now < end and not gone:
            times.append(now)
            gone = rng.random() < p
            now += rng.exponential(1 / lam)
        histories.append(times)
        left.append(gone)
    return histories, np.array(left)


def split(purchases: Purchases):
    return np.split(purchases.time, np.cumsum(purchases.count)[:-1])


@pytest.mark.parametrize(("rate", "dropout"), [(0.5, 0.3), (2.0, 0.05), (0.3, 0.9), (None, None)])
def test_purchases_are_those_of_a_naive_event_loop(rate, dropout):
    rng, n = np.random.default_rng(5), 8000
    rate = rng.gamma(0.6, 1.0, n) + 1e-3 if rate is None else np.full(n, rate)
    dropout = rng.beta(0.8, 2.4, n) if dropout is None else np.full(n, dropout)
    span = rng.uniform(5, 15, n)
    ours = draw_purchases(rng, rate, dropout, span)
    loop, left = event_loop(rng, rate, dropout, span)
    drawn = split(ours)
    counts = np.array([len(times) for times in loop])
    assert stats.ks_2samp(ours.count, counts).pvalue > 0.001
    assert abs(ours.churned.mean() - left.mean()) < 4 * np.sqrt(0.5 / n)
    for which in (0, 1, -1):  # the first, the second and the last purchase; then the gaps
        a = [t[which] for t in drawn if len(t) > abs(which)]
        b = [t[which] for t in loop if len(t) > abs(which)]
        assert stats.ks_2samp(a, b).pvalue > 0.001
    gaps = [np.concatenate([np.diff(t) for t in some]) for some in (drawn, loop)]
    assert stats.ks_2samp(*gaps).pvalue > 0.001
    cut = [[t[-1] for t, g in zip(ts, gone, strict=True) if g and len(t) == 2]
           for ts, gone in ((drawn, ours.churned), (loop, left))]  # fmt: skip
    assert stats.ks_2samp(*cut).pvalue > 0.001  # the time of leaving, where dropout cut short


def test_times_are_sorted_and_inside_the_span():
    rng = np.random.default_rng(1)
    span = rng.uniform(0, 50, 5000)
    drawn = draw_purchases(rng, rng.gamma(0.5, 1, 5000), rng.beta(0.8, 2, 5000), span)
    for times, end in zip(split(drawn), span, strict=True):
        assert (np.diff(times) > 0).all()
        assert ((times > 0) & (times < end)).all()


def test_certain_and_impossible_dropout():
    rng, many = np.random.default_rng(2), np.full(2000, 3.0)
    assert (draw_purchases(rng, many, np.ones(2000), many * 5).count <= 1).all()
    never = draw_purchases(rng, many, np.zeros(2000), many * 5)
    assert near(never.count, 45.0)
    assert not never.churned.any()


@pytest.mark.parametrize(("t", "published"), [(1, 0.0532), (31.8571, 1.0405), (78, 1.8576)])
def test_mean_purchases_agree_with_the_published_expectation(t, published):
    # E[X(t)] of CDNOW: Fader, Hardie & Lee 2005, spreadsheet note
    rng, n = np.random.default_rng(3), 200_000
    rate = rng.gamma(CDNOW["r"], 1 / CDNOW["alpha"], n)
    dropout = rng.beta(CDNOW["a"], CDNOW["b"], n)
    assert near(draw_purchases(rng, rate, dropout, np.full(n, t)).count, published)


@pytest.mark.parametrize(
    ("H", "annual", "expected"),
    [(39, 0.15, 1.143723), (52, 0.10, 1.388848), (156, 0.10, 2.484636), (156, 0.15, 2.373122),
     (39, 0.0, 1.195048), (52, 0.0, 1.444060), (156, 0.0, 2.754948)],
)  # fmt: skip
def test_discounted_purchases_of_a_new_customer(H, annual, expected):
    # reference values by adaptive quadrature and 200 million simulated customers, N = 52
    params = (CDNOW[name] for name in ("r", "alpha", "a", "b"))
    assert discounted_purchases(*params, H, np.log1p(annual) / 52) == pytest.approx(
        expected, abs=1e-6
    )


def test_discounted_purchases_while_alive_agree_with_quadrature():
    def rate_of_purchases(t):
        return 0.7 * np.exp(-0.7 * 0.2 * t - 0.01 * t)

    expected, _ = integrate.quad(rate_of_purchases, 0, 30)
    ours = purchases_while_alive(np.array([0.7]), np.array([0.2]), 30, 0.01)
    assert ours == pytest.approx(expected, rel=1e-12)


def test_customers_have_the_expected_mean_and_whole_days():
    table = simulate_customers(200_000, T=(100, 730), seed=7, unit="week")
    days = table[["recency", "T"]].to_numpy() * 7
    x = table["frequency"].to_numpy()
    assert np.allclose(days, np.round(days), atol=1e-9)
    assert days[:, 1].min() == pytest.approx(100)
    assert days[:, 1].max() == pytest.approx(730)
    assert ((table["recency"] > 0) == (x > 0)).all()
    assert (table["recency"] <= table["T"]).all()
    assert np.allclose(table["days_since_last"], days[:, 1] - days[:, 0])
    ages = np.arange(100, 731) / 7
    at_age = discounted_purchases(CDNOW["r"], CDNOW["alpha"], CDNOW["a"], CDNOW["b"], ages, 0.0)
    assert near(x, at_age.mean())


def test_customers_and_purchase_times_tell_the_same_story():
    n = 100_000
    table = simulate_customers(n, T=(300, 300), seed=1)
    rng = np.random.default_rng(2)
    rate, dropout = rng.gamma(0.2426, 1 / 4.4136, n), rng.beta(0.7929, 2.4259, n)
    drawn = draw_purchases(rng, rate, dropout, np.full(n, 300 / 7))
    assert stats.ks_2samp(table["frequency"], drawn.count).pvalue > 0.001
    for x in (1, 2, 5):
        last = [times[-1] for times in split(drawn) if len(times) == x]
        recency = table.loc[table["frequency"] == x, "recency"] - 0.5 / 7  # rounded up to days
        assert stats.ks_2samp(recency, last).pvalue > 0.001


def test_customers_spend_as_gamma_gamma_expects():
    # E[M | x, zbar] = p (v + x zbar) / (p x + q - 1): Fader & Hardie 2013
    p, q, v = (CDNOW[name] for name in "pqv")
    table = simulate_customers(200_000, seed=4)
    assert near(table["first_amount"], p * v / (q - 1))
    x, zbar = table["frequency"], table["monetary_value"]
    expected = p * (v + x * zbar) / (p * x + q - 1)
    for some in (x == 1, x == 3, (x > 0) & (zbar < 20), (x > 1) & (zbar > 60)):
        assert near((table["first_amount"] - expected)[some], 0.0)
    assert (zbar[x == 0] == 0).all()


def test_a_summary_in_days_is_the_one_in_weeks():
    weeks = simulate_customers(1000, seed=3, unit="week")
    days = simulate_customers(1000, CDNOW | {"alpha": CDNOW["alpha"] * 7}, seed=3, unit="days")
    assert (days["unit"] == "day").all()
    assert np.allclose(days["recency"], weeks["recency"] * 7)
    assert (days["frequency"] == weeks["frequency"]).all()


@pytest.fixture(scope="module")
def brand():
    return simulate_brand(seed=11)


@pytest.fixture(scope="module")
def untreated():
    """Many customers, an offer defined but sent to nobody: exact BG/NBD throughout."""
    return simulate_brand(seed=12, customers=60_000, offer=SimulatedOffer(propensity=0.0))


def test_the_same_seed_gives_the_same_brand(brand):
    again, other = simulate_brand(seed=11), simulate_brand(seed=12)
    pd.testing.assert_frame_equal(brand.orders, again.orders)
    pd.testing.assert_frame_equal(brand.campaign, again.campaign)
    assert not brand.spend["spend"].equals(other.spend["spend"])


def test_the_log_is_a_log(brand):
    orders = brand.orders
    assert orders["order_id"].is_unique
    assert orders["date"].is_monotonic_increasing
    assert orders["date"].max() == brand.as_of
    assert brand.truth.future["date"].min() == brand.as_of + pd.Timedelta(days=1)
    assert orders["amount"].min() >= 0.01
    assert np.allclose(orders["margin"], 0.35 * orders["amount"], atol=0.0051)
    assert (orders.groupby("customer_id")["channel"].nunique() == 1).all()
    assert set(brand.truth.future["customer_id"]) <= set(orders["customer_id"])


def test_the_spend_table_counts_the_customers_of_the_log(brand):
    first = brand.orders.drop_duplicates("customer_id")
    week = (first["date"] - brand.spend["period"].min()).dt.days // 7
    counted = pd.crosstab(week, first["channel"])
    spent = brand.spend.pivot_table("new_customers", "period", "channel")
    assert np.array_equal(counted[spent.columns].to_numpy(), spent.to_numpy())
    assert brand.spend["new_customers"].sum() == pytest.approx(20_000, rel=0.05)


def test_spend_varies_and_customers_respond_by_the_power_law():
    # many weeks: log-linear Poisson deviations average out; NB2 variance mu + mu^2 / phi
    brand = simulate_brand(seed=2, customers=200_000, weeks=400, offer=None, future="1 week")
    for name, truth in brand.truth.channels.iterrows():
        weeks = brand.spend[brand.spend["channel"] == name]
        mu = truth["response_k"] * weeks["spend"] ** truth["response_b"]
        residual = (weeks["new_customers"] - mu) / np.sqrt(mu + mu**2 / truth["phi"])
        assert near(residual, 0.0)
        assert near(residual**2, 1.0)
        if truth["weekly_spend"] > 0:
            assert weeks["spend"].std() / weeks["spend"].mean() == pytest.approx(0.3, abs=0.03)
            assert near(weeks["spend"], truth["weekly_spend"])
            slope, se = np.polyfit(np.log(weeks["spend"]), weeks["new_customers"] / mu, 1, cov=True)
            assert abs(slope[0]) < 4 * np.sqrt(se[0, 0])  # nothing left to explain


def test_a_season_lifts_december():
    brand = simulate_brand(seed=3, customers=200_000, season=0.5, offer=None, future="1 week")
    month = brand.spend.groupby(brand.spend["period"].dt.month)["new_customers"].mean()
    assert month[12] / month[6] == pytest.approx(3.0, rel=0.15)


def test_the_cheapest_channel_is_not_the_one_worth_most(brand):
    spend = brand.spend.groupby("channel")[["spend", "fixed_cost", "new_customers"]].sum()
    cac = (spend["spend"] + spend["fixed_cost"]) / spend["new_customers"]
    value = brand.new_customer_value("3 years")
    assert cac[cac > 0].idxmin() == "social"
    assert value.idxmax() == "influencers"
    assert value["social"] < value["influencers"] / 2


def test_every_channel_buys_as_its_parameters_say(untreated):
    """Repeat purchases until as_of against E[X(T)], and money against p v / (q - 1)."""
    orders, end = untreated.orders, untreated.as_of + pd.Timedelta(days=1)
    people = orders.groupby("customer_id").agg(
        channel=("channel", "first"), first=("date", "min"), orders=("date", "size")
    )
    weeks = ((end - people["first"]).dt.days - 0.5) / 7  # arrivals are spread over the day
    for name, c in untreated.truth.channels.iterrows():
        own = people["channel"] == name
        expected = discounted_purchases(c["r"], c["alpha"], c["a"], c["b"], weeks[own], 0.0)
        assert near((people["orders"] - 1)[own] - expected, 0.0)
        first = orders.drop_duplicates("customer_id")
        assert near(first.loc[first["channel"] == name, "amount"], c["p"] * c["v"] / (c["q"] - 1))


def test_new_customer_value_is_what_new_customers_brought():
    """Margin within a year of the first order, by channel, against the formula without discount."""
    brand = simulate_brand(seed=21, customers=80_000, weeks=4, offer=None, future="1.1 years")
    orders = pd.concat([brand.orders, brand.truth.future])
    first = orders.groupby("customer_id")["date"].transform("min")
    in_year = orders[(orders["date"] - first).dt.days < 365.25]
    realised = in_year.groupby("customer_id").agg(
        margin=("margin", "sum"), channel=("channel", "first")
    )
    for name, value in brand.new_customer_value("1 year", 0.0).items():
        assert near(realised.loc[realised["channel"] == name, "margin"], value)


def test_the_future_is_what_the_latent_state_promises(untreated):
    people = untreated.truth.customers
    value = untreated.future_value("1 year", annual_discount_rate=0.1)
    delta = np.log(1.1) / (365.25 / 7)
    stays = purchases_while_alive(
        people["rate"].to_numpy(), people["dropout"].to_numpy(), 365.25 / 7, delta
    )
    expected = 0.35 * people["mean_spend"] * stays * people["alive"]
    assert near(value.to_numpy() - expected, 0.0)
    assert (value[~people["alive"].to_numpy()] == 0).all()
    total = untreated.truth.future["margin"].sum()
    assert untreated.future_value("3 years", 0.0).sum() == pytest.approx(total, rel=0.01)


def test_a_horizon_beyond_the_simulated_future_is_refused(brand):
    with pytest.raises(InputError, match="simulated for 156"):
        brand.future_value("4 years")


def test_who_left_never_buys_again(brand):
    people = brand.truth.customers.set_index("customer_id")
    every = pd.concat([brand.orders, brand.truth.future])
    last = every.groupby("customer_id")["date"].max()
    left = people["last_active"].notna()
    assert (last[left] == people.loc[left, "last_active"]).all()
    assert (people.loc[left, "last_active"] <= brand.as_of).equals(~people.loc[left, "alive"])
    assert people.loc[~left, "alive"].all()


def test_the_campaign_is_in_the_log(brand):
    campaign = brand.campaign.set_index("customer_id")
    since = brand.orders[brand.orders["date"] >= campaign["date"].iloc[0]]
    margin = since.groupby("customer_id")["margin"].sum().reindex(campaign.index, fill_value=0.0)
    assert np.allclose(margin, campaign["outcome_margin"])
    soon = since[since["date"] < campaign["date"].iloc[0] + pd.Timedelta(weeks=4)]
    bought = campaign.index.isin(soon["customer_id"])
    treated = campaign["treated"] == 1
    assert (campaign["cost"] == np.where(treated, np.where(bought, 3.5, 0.5), 0.0)).all()
    before = brand.orders[brand.orders["date"] < campaign["date"].iloc[0]]
    last = before.groupby("customer_id")["date"].max().loc[campaign.index]
    assert ((campaign["date"].iloc[0] - last).dt.days <= 26 * 7).all()


def test_the_campaign_is_randomised_and_its_effect_is_the_true_one():
    brand = simulate_brand(seed=5, customers=60_000)
    log, truth = brand.campaign, brand.truth.campaign
    treated = (log["treated"] == 1).to_numpy()
    assert near(log["treated"], 0.5)
    for covariate in (truth["alive"], truth["lift_margin"], truth["margin_if_not"]):
        gap = covariate[treated].mean() - covariate[~treated].mean()
        se = covariate.std() * np.sqrt(1 / treated.sum() + 1 / (~treated).sum())
        assert abs(gap) < 4 * se  # balance
    seen = np.where(treated, truth["margin_if_treated"], truth["margin_if_not"])
    assert np.array_equal(seen, log["outcome_margin"])
    channel = brand.truth.customers.set_index("customer_id")["channel"].loc[log["customer_id"]]
    gain = (truth["margin_if_treated"] - truth["margin_if_not"]).to_numpy()
    for name in brand.truth.channels.index:
        own = (channel == name).to_numpy()
        assert near((gain - truth["lift_margin"])[own], 0.0)  # paired, so a sharp test
        assert near((log["cost"] - truth["expected_cost"])[own & treated], 0.0)
    assert (truth["lift_margin"] < 0).any()  # sleeping dogs
    assert truth["lift_margin"].mean() > truth["expected_cost"].mean() / 2


def test_lift_given_the_history_is_the_mean_of_lift_given_the_state(untreated):
    lift = untreated.offer_lift("26 weeks")
    assert near(lift["alive"] - lift["probability_alive"], 0.0)
    groups = [lift["channel"] == name for name in untreated.truth.channels.index]
    groups += [lift["since"] <= 4, lift["since"] > 13, lift["frequency"] > 5]
    for some in [np.full(len(lift), True), *groups]:
        assert near((lift["lift_margin"] - lift["expected_lift"])[some], 0.0)
        assert near((lift["lift_cost"] - lift["expected_cost"])[some], 0.0)


def test_without_an_offer_the_campaign_is_empty():
    brand = simulate_brand(seed=1, customers=500, offer=None)
    assert brand.campaign.empty
    assert brand.truth.campaign.empty
    assert "outcome_margin" in brand.campaign


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"customers": 0}, "make no brand"),
        ({"offer": SimulatedOffer(weeks_before_end=200)}, "200 weeks before the end"),
        ({"channels": CHANNELS[:2]}, "add up to 0.53"),
        ({"channels": (*CHANNELS, CHANNELS[0])}, "share a name"),
        ({"channels": [SimulatedChannel("x", 1, 5, 0, *[2.0] * 7, 0.1)]}, "without a response"),
        ({"future": "soon"}, "not a duration"),
    ],
)
def test_settings_that_make_no_brand_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        simulate_brand(**arguments)


def test_missing_parameters_are_named():
    with pytest.raises(InputError, match="lack a positive alpha, q"):
        simulate_customers(5, CDNOW | {"alpha": 0.0, "q": float("nan")})


def test_orders_alone_are_about_ten_a_customer_and_seeded():
    (orders,) = simulated_orders(20_000, seed=4)
    again, other = (next(simulated_orders(20_000, seed)) for seed in (4, 5))
    assert orders.equals(again)
    assert not orders.equals(other)
    table = orders.to_pandas()
    bought, back = table[table["amount"] > 0], table[table["amount"] < 0]
    assert table["order_id"].is_unique
    assert table["customer_id"].nunique() == 20_000
    assert table["date"].is_monotonic_increasing
    assert str(table["date"].min()) == "2024-01-01"
    assert len(bought) / 20_000 == pytest.approx(9.7, abs=0.8)
    assert len(back) / len(bought) == pytest.approx(0.03, abs=0.004)
    # p v / (q - 1), Fader & Hardie 2013
    assert near(bought.groupby("customer_id")["amount"].mean(), 6.25 * 15.44 / 2.74, errors=5)


def test_parts_of_orders_do_not_depend_on_how_many_there_are(monkeypatch):
    monkeypatch.setattr("clv.simulate.simulated_orders.PART", 300)
    first, second, third = simulated_orders(700, seed=1)
    assert first.equals(next(simulated_orders(1_000, seed=1)))
    assert [part["customer_id"].to_pandas().nunique() for part in (first, second, third)] == [
        300,
        300,
        100,
    ]
    assert second["customer_id"].to_pandas().min() == 301
