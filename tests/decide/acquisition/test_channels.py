"""CAC tables against counts by hand, on every kind of frame."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from clv.decide.acquisition.channels import cac_interval, channel_costs, dispersion
from clv.decide.acquisition.segments import segment_costs
from clv.errors import ColumnError, InputError, RowError

MONTHS = [date(2024, 1, 1), date(2024, 2, 1), date(2024, 3, 1)]
SPEND = pd.DataFrame(
    {
        "channel": ["search"] * 3 + ["social"] * 3,
        "period": MONTHS * 2,
        "spend": [900.0, 1200, 1500, 400, 500, 600],
        "fixed_cost": [100.0, 100, 100, 0, 0, 50],
    }
)


def make_log(n=400, seed=0):
    """Orders of n customers; the first one between mid December and mid April."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        first = date(2023, 12, 15) + timedelta(days=int(rng.integers(120)))
        channel = rng.choice(["search", "social", "organic", None], p=[0.5, 0.2, 0.2, 0.1])
        rows += [
            (f"c{i}", first + timedelta(days=int(d)), channel if d == 0 else "email")
            for d in [0, *rng.integers(1, 60, size=rng.integers(3))]
        ]
    return pd.DataFrame(rows, columns=["customer_id", "date", "channel"]).drop_duplicates(
        ["customer_id", "date"]
    )


LOG = make_log()


def first_purchases():
    first = LOG.sort_values("date").drop_duplicates("customer_id").set_index("customer_id")
    first["month"] = [day.replace(day=1) for day in first["date"]]
    return first


def test_first_purchases_are_counted_from_a_log(kind, to_pandas):
    costs = channel_costs(kind(SPEND), kind(LOG))
    assert type(costs.by_channel) is type(kind(SPEND))
    by_channel, by_period = to_pandas(costs.by_channel), to_pandas(costs.by_period)
    first = first_purchases()
    for row in by_channel.itertuples():
        month = pd.Timestamp(row.period).date()
        expected = ((first["channel"] == row.channel) & (first["month"] == month)).sum()
        loaded = row.spend + row.fixed_cost
        assert (row.new_customers, row.loaded_spend) == (expected, loaded)
        assert row.cac == pytest.approx(loaded / expected)
    for row in by_period.itertuples():
        inside = first["month"] == pd.Timestamp(row.period).date()
        paid = inside & first["channel"].isin(["search", "social"])
        assert (row.paid_customers, row.all_customers) == (paid.sum(), inside.sum())
        assert row.paid_cac == pytest.approx(row.loaded_spend / paid.sum())
        assert row.blended_cac < row.paid_cac
    outside = len(first) - by_period["all_customers"].sum()
    assert f"{outside:,.0f} new customers came outside the periods" in str(costs.notes[0])
    assert str(costs.notes[1]).startswith("organic and unknown brought customers without spend")


def test_a_summary_tells_the_same_first_purchases(kind):
    """T is the time since the first purchase, in the summary's unit."""
    first, as_of = first_purchases(), date(2024, 6, 30)
    summary = pd.DataFrame(
        {
            "customer_id": first.index,
            "channel": first["channel"].to_numpy(),
            "T": [(as_of - day).days / 7 for day in first["date"]],
            "unit": "week",
            "as_of": as_of,
        }
    )
    log, short = (channel_costs(SPEND, kind(table)) for table in (LOG, summary))
    pd.testing.assert_frame_equal(log.by_channel, short.by_channel)
    pd.testing.assert_frame_equal(log.by_period, short.by_period)
    assert log.notes == short.notes


def test_counts_given_beside_or_inside_the_spend_table_mean_the_same():
    counts = SPEND[["channel", "period"]].assign(new_customers=[50, 60, 70, 20, 0, 30])
    inside = channel_costs(SPEND.merge(counts))
    beside = channel_costs(SPEND, counts.assign(period=["2024-01", "2024-02", "2024-03"] * 2))
    pd.testing.assert_frame_equal(inside.by_channel, beside.by_channel)
    pd.testing.assert_frame_equal(inside.by_period, beside.by_period)
    assert inside.by_channel["cac"].tolist()[:4] == [20, 1300 / 60, 1600 / 70, 20]


def test_no_customers_and_no_spend_have_no_cac_but_a_reason():
    spend = pd.DataFrame(
        {
            "channel": ["a", "b", "c"],
            "period": "2024-01",
            "spend": [10.0, 0, 0],
            "new_customers": [0, 5, 0],
        }
    )
    table = channel_costs(spend).by_channel
    assert table["cac"].isna().all()
    assert table["cac_missing_because"].tolist() == ["no new customers", "no spend", "no spend"]


def test_rows_of_one_channel_and_period_are_added_up():
    """Two campaigns of a channel cost what one of their sum costs."""
    counts = SPEND[["channel", "period"]].assign(new_customers=10)
    money = SPEND[["spend", "fixed_cost"]]
    campaigns = pd.concat([SPEND.assign(**(share * money)) for share in (0.25, 0.75)])
    whole, parts = (channel_costs(s, counts).by_channel for s in (SPEND, campaigns))
    pd.testing.assert_frame_equal(whole, parts)


def test_a_channel_with_fixed_cost_only_is_paid_and_one_without_any_is_not():
    spend = SPEND.assign(spend=0.0, new_customers=5)
    paid = channel_costs(spend).by_period  # social costs something in March
    assert paid["paid_customers"].tolist() == paid["all_customers"].tolist() == [10, 10, 10]
    unpaid = channel_costs(spend.assign(fixed_cost=[100.0] * 3 + [0] * 3)).by_period
    assert unpaid["paid_customers"].tolist() == [5, 5, 5]
    assert unpaid["paid_cac"].tolist() == [20, 20, 20]
    assert unpaid["blended_cac"].tolist() == [10, 10, 10]


def test_cohorts_are_maturing_until_the_wait_is_over():
    counts = SPEND[["channel", "period"]].assign(new_customers=10)
    costs = channel_costs(SPEND, counts, as_of=date(2024, 5, 31), matures_after="13 weeks")
    # January ended on 1 February and 91 days have passed on 2 May; February's on 31 May
    assert costs.by_period["maturing"].tolist() == [False, False, True]
    assert costs.by_channel["maturing"].tolist() == [False, False, True] * 2
    early = channel_costs(SPEND, counts, as_of="2024-05-30").by_period
    assert early["maturing"].tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("starts", "length", "day", "found"),
    [
        (["2024-01-01", "2024-01-08"], None, "2024-01-14", 1),
        (["2024-01-01", "2024-01-08"], None, "2024-01-15", None),
        (["2024-01", "2024-02", "2024-04"], None, "2024-03-15", None),  # March is missing
        (["2024-01", "2024-04"], None, "2024-06-30", 1),  # quarters
        (["2024-02"], "1 month", "2024-02-29", 0),
        (["2024-02"], "1 month", "2024-03-01", None),
        (["2024-02-05"], "2 weeks", "2024-02-18", 0),
        (["2024-02-05"], "2 weeks", "2024-02-19", None),
    ],
)
def test_which_period_a_first_purchase_falls_into(starts, length, day, found):
    spend = pd.DataFrame({"channel": "a", "period": starts, "spend": 1.0})
    log = pd.DataFrame({"customer_id": [1], "date": [date.fromisoformat(day)], "channel": ["a"]})
    table = channel_costs(spend, log, period_length=length).by_channel
    assert table["new_customers"].tolist() == [float(k == found) for k in range(len(starts))]


def test_labels_are_periods_too():
    spend = pd.DataFrame(
        {"channel": ["a", "a"], "period": ["Q1", "Q2"], "spend": 10.0, "new_customers": [2, 5]}
    )
    assert channel_costs(spend).by_period["paid_cac"].tolist() == [5, 2]
    with pytest.raises(InputError, match="counting first purchases needs to know when"):
        channel_costs(spend.drop(columns="new_customers"), LOG)
    with pytest.raises(InputError, match="telling maturing cohorts needs to know when"):
        channel_costs(spend, as_of=date(2024, 5, 1))


def test_incrementality_raises_cac_and_its_absence_is_named():
    counts = SPEND[["channel", "period"]].assign(new_customers=10)
    costs = channel_costs(SPEND, counts, incrementality={"search": 0.5})
    table = costs.by_channel.set_index("channel")
    assert (table.loc["search", "incremental_cac"] == 2 * table.loc["search", "cac"]).all()
    assert (table.loc["social", "incremental_cac"] == table.loc["social", "cac"]).all()
    assert "New customers of social are attributed, not incremental." in map(str, costs.notes)


def test_customers_who_find_no_row_are_told():
    counts = SPEND[["channel", "period"]].assign(new_customers=10)
    costs = channel_costs(SPEND.iloc[:5], counts)  # no row for social in March
    assert "10 customers of paid channels came in periods without a row for them." in map(
        str, costs.notes
    )
    elsewhere = counts.assign(period=[date(2025, 1, 1), *counts["period"][1:]])
    assert str(channel_costs(SPEND, elsewhere).notes[0]).startswith("10 new customers came outside")


COUNTS = SPEND[["channel", "period"]].assign(new_customers=10)


@pytest.mark.parametrize(
    ("spend", "customers", "error", "words"),
    [
        (SPEND.drop(columns="spend"), COUNTS, ColumnError, "no column spend"),
        (SPEND.assign(spend=-1), COUNTS, RowError, "spend is missing, infinite or negative in 6"),
        (SPEND.assign(fixed_cost=np.nan), COUNTS, RowError, "fixed_cost is missing"),
        (SPEND.assign(spend="much"), COUNTS, ColumnError, "not numbers"),
        (SPEND.assign(channel=None), COUNTS, RowError, "channel is missing"),
        (SPEND.assign(new_customers=-1), None, RowError, "new_customers is missing"),
        (SPEND.iloc[:0], COUNTS, InputError, "is empty"),
        (SPEND, None, ColumnError, "no column new_customers"),
        (SPEND.assign(new_customers=1), COUNTS, InputError, "counted twice"),
        (SPEND, COUNTS.assign(new_customers=-1), ColumnError, "missing or negative"),
        (SPEND, LOG.drop(columns="channel"), ColumnError, "no column channel"),
        (SPEND, LOG.assign(date="soon"), ColumnError, "'soon' is not a date"),
        (SPEND, 3, InputError, "not a dataframe"),
    ],
)
def test_bad_tables_are_named(spend, customers, error, words):
    with pytest.raises(error, match=words):
        channel_costs(spend, customers)


@pytest.mark.parametrize(
    "incrementality", [0, 1.5, {"search": -1}, {"serach": 0.5}, float("nan")], ids=repr
)
def test_bad_incrementality_is_named(incrementality):
    with pytest.raises(InputError, match="incrementality"):
        channel_costs(SPEND, COUNTS, incrementality=incrementality)


def test_a_period_written_in_two_ways_is_refused():
    spend = pd.DataFrame(
        {
            "channel": ["a", "a"],
            "period": ["2024-01", "2024-01-01"],
            "spend": 1.0,
            "new_customers": [1, 1],
        }
    )
    with pytest.raises(InputError, match="two ways"):
        channel_costs(spend)


def test_the_interval_of_a_cac_is_poissons_scaled_by_the_dispersion():
    """Garwood's interval for 50 is 38.97 to 63.29 (90%); a count of 0 is at most 3.00."""
    low, high = cac_interval(np.array([1e3, 1e3, 0.0]), np.array([50.0, 0.0, 5.0]), 1.0)
    assert low[:2] == pytest.approx([1e3 / 63.287, 1e3 / 2.99573], rel=1e-4)
    assert high[0] == pytest.approx(1e3 / 38.965, rel=1e-4)
    assert np.isnan([high[1], low[2], high[2]]).all()


def test_intervals_of_cac_cover_the_truth_where_counts_are_overdispersed():
    """Negative binomial counts with variance 3 times the mean, 12 months, 4 channels."""
    rng, covered, poisson, phis = np.random.default_rng(0), [], [], []
    channels, means = np.repeat(list("abcd"), 12), np.repeat([30.0, 60.0, 120.0, 200.0], 12)
    for _ in range(150):
        counts = rng.negative_binomial(means / 2, 1 / 3).astype(float)
        phi = dispersion(channels.tolist(), np.full(48, 1e3), counts)
        total = counts.reshape(4, 12).sum(axis=1)
        truth = 12e3 / (12 * means[::12])
        for found, scale in ((covered, phi), (poisson, 1.0)):
            low, high = cac_interval(np.full(4, 12e3), total, scale)
            found.extend((low <= truth) & (truth <= high))
        phis.append(phi)
    assert np.mean(phis) == pytest.approx(3, rel=0.05)
    assert 0.85 < np.mean(covered) < 0.95
    assert np.mean(poisson) < 0.75


def test_one_period_tells_no_dispersion_and_the_notes_say_so():
    one = SPEND.head(1).assign(new_customers=40)
    costs = channel_costs(one)
    assert costs.dispersion is None
    assert any("one period per channel" in str(note) for note in costs.notes)
    several = channel_costs(SPEND.assign(new_customers=[40, 50, 90, 10, 9, 40]))
    assert several.dispersion > 1
    assert any(f"{several.dispersion:.3g} times the mean" in str(n) for n in several.notes)
    assert set(several.by_channel["new_customers_are"]) == {"attributed, not incremental"}


def test_segments_cost_what_their_channels_cost(kind, to_pandas):
    log = make_log().assign(country=lambda t: np.where(t["customer_id"].str[-1] < "4", "DE", "UK"))
    table = segment_costs(kind(SPEND), kind(log), "country")
    found = to_pandas(table.table).set_index("segment")
    costs = to_pandas(channel_costs(SPEND, log).by_channel)
    cac = {(r.channel, r.period.month): r.cac for r in costs.itertuples()}
    first = log.sort_values("date").drop_duplicates("customer_id")
    inside = [date(2024, 1, 1) <= d < date(2024, 4, 1) for d in first["date"]]
    first = first[inside].assign(
        cost=lambda t: [
            cac.get((c, d.month), np.nan) for c, d in zip(t["channel"], t["date"], strict=True)
        ]
    )
    assert found["loaded_spend"].sum() == pytest.approx(costs["loaded_spend"].sum())
    for name, rows in first.groupby("country"):
        assert found.loc[name, "new_customers"] == len(rows)
        assert found.loc[name, "paid_customers"] == rows["cost"].notna().sum()
        assert found.loc[name, "paid_cac"] == pytest.approx(rows["cost"].mean())
        assert found.loc[name, "blended_cac"] == pytest.approx(rows["cost"].sum() / len(rows))
        assert found.loc[name, "paid_cac_low"] < rows["cost"].mean()
    assert any("cost the same" in str(note) for note in table.notes)
    with pytest.raises(ColumnError, match="has no column region"):
        segment_costs(SPEND, log, "region")
