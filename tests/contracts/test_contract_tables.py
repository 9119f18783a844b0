"""Tables of contracts: recognised by vendor, ages and censoring right, bad rows named."""

import datetime as dt
import os
import random

import numpy as np
import pandas as pd
import polars as pl
import pytest

from clv.contracts.billing_tables import Interval, parse_interval, recognise_contracts
from clv.contracts.contract_tables import cohort_cells, read_contract_table
from clv.contracts.regular_charges import regular_charges
from clv.errors import ClvError, InputError, RowError
from clv.probability.shifted_beta_geometric import ShiftedBetaGeometric

BAD_TABLES = int(os.environ.get("CLV_BAD_TABLES", "24"))  # 200 for the whole claim
MONTH = Interval("month", 1)
VENDORS = {
    "Stripe Billing": (
        "id,Customer ID,Customer Email,Plan,Product,Quantity,Interval,Amount,Status,Created (UTC),"
        "Start (UTC),Current Period Start (UTC),Current Period End (UTC),Trial Start (UTC),"
        "Trial End (UTC),Canceled At (UTC),Ended At (UTC)",
        {"start": "Start (UTC)", "end": "Ended At (UTC)", "cancelled_at": "Canceled At (UTC)"},
    ),
    "Chargebee": (
        "subscriptions.id,customers.id,subscriptions.plan_id,subscriptions.plan_quantity,"
        "subscriptions.plan_amount,subscriptions.billing_period,"
        "subscriptions.billing_period_unit,subscriptions.currency_code,subscriptions.status,"
        "subscriptions.activated_at,subscriptions.cancelled_at,subscriptions.trial_end",
        {
            "interval": "subscriptions.billing_period_unit",
            "interval_count": "subscriptions.billing_period",
            "total": "subscriptions.plan_amount",
            "end": "subscriptions.cancelled_at",
        },
    ),
    "Recurly": (
        "subscription_uuid,account_code,plan_code,plan_name,state,quantity,unit_amount,currency,"
        "activated_at,canceled_at,expires_at,trial_ends_at,plan_interval_length,plan_interval_unit",
        {"customer_id": "account_code", "end": "expires_at", "interval": "plan_interval_unit"},
    ),
    "Paddle": (
        "subscription_id,customer_id,status,currency_code,started_at,canceled_at,price_id,"
        "unit_price,quantity,billing_cycle_interval,billing_cycle_frequency",
        {"interval_count": "billing_cycle_frequency", "end": "canceled_at", "amount": "unit_price"},
    ),
    "Zuora": (
        "Account: Account Number,Account: Currency,Subscription: Name,Subscription: Status,"
        "Rate Plan: Name,Rate Plan Charge: Billing Period,Rate Plan Charge: MRR,"
        "Rate Plan Charge: Effective Start Date,Rate Plan Charge: Effective End Date",
        {
            "customer_id": "Account: Account Number",
            "monthly": "Rate Plan Charge: MRR",
            "start": "Rate Plan Charge: Effective Start Date",
            "end": "Rate Plan Charge: Effective End Date",
        },
    ),
    "WooCommerce Subscriptions": (
        "subscription_id,subscription_status,customer_id,start_date,trial_end_date,"
        "next_payment_date,cancelled_date,end_date,billing_period,billing_interval,order_total,"
        "order_currency",
        {"end": "end_date", "total": "order_total", "currency": "order_currency"},
    ),
    "Recharge": (
        "id,customer_id,product_title,price,quantity,order_interval_unit,"
        "order_interval_frequency,status,created_at,cancelled_at",
        {"interval": "order_interval_unit", "interval_count": "order_interval_frequency"},
    ),
}


@pytest.mark.parametrize("vendor", VENDORS)
def test_exports_are_recognised_by_their_columns(vendor):
    names, expected = VENDORS[vendor]
    recipe = recognise_contracts(names.split(","))
    assert recipe.kind == "subscriptions"
    assert {role: recipe.columns[role] for role in expected} == expected


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        ("invoice_id,customer_id,line_item_amount,line_item_period_start,line_item_period_end",)
        * 2,
        ("line_items.date_from,line_items.date_to,line_items.amount,invoices.customer_id",) * 2,
        ("Invoice ID,Customer ID,Period Start (UTC),Period End (UTC),Amount,Proration",) * 2,
        ("cohort,period,active", "cohort_counts"),
        ("order_id,customer_id,date,amount,product", None),
        ("Name,Email,Created at,Total,Lineitem name,Cancelled at,Financial Status", None),
        ("InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice,CustomerID,Country", None),
        ("customer_id,created_at,status,amount,product_name,ended_at", None),
    ],
)
def test_orders_are_not_taken_for_contracts(names, kind):
    recipe = recognise_contracts(names.split(","))
    assert (recipe and recipe.kind) == (
        kind if kind in (None, "cohort_counts") else "invoice_lines"
    )


def test_billing_periods_are_read_in_words():
    words = [
        "monthly",
        "Jährlich",
        "every 3 months",
        "quarterly",
        "2 weeks",
        "annual",
        "semi-annual",
    ]
    assert [str(parse_interval(word)) for word in words] == [
        *("month", "year", "3 months", "3 months", "14 days", "year", "6 months"),
    ]
    nothing = {"end": ["2023-04-30", "0", "0000-00-00 00:00:00"], "trial_end": ["0", "0", "0"]}
    assert cells(subscriptions(**nothing))[-1] == [0, 4, False, 1]  # no day, as shops write it
    either = {"interval": ["1", "month", "1"], "interval_count": ["month", "1", "month"]}
    assert list(read_contract_table(subscriptions(**either), as_of="2023-06-15").cells) == [MONTH]
    assert parse_interval("month", "6") == Interval("month", 6)
    assert [parse_interval(word) for word in ("fortnightly?", "", None, "0 months")] == [None] * 4


def subscriptions(**columns) -> pd.DataFrame:
    rows = {
        "customer_id": ["a", "b", "c"],
        "subscription_id": ["1", "2", "3"],
        "interval": ["month"] * 3,
        "amount": [10.0, 10.0, 10.0],
        "currency": ["EUR"] * 3,
        "start": ["2023-01-31", "2023-02-10", "2023-03-01"],
        "end": ["2023-04-30", None, "2023-03-20"],
    }
    return pd.DataFrame(rows | columns)


def cells(table, **stated):
    rows = read_contract_table(table, as_of="2023-06-15", **stated).cells[MONTH]
    return rows[["entered", "periods", "churned", "customers"]].values.tolist()


def test_ages_count_payments_and_the_end_of_a_month_is_an_anniversary():
    # a paid at 0, 1 and 2 and not on April 30; c left within its first month; b paid on June 10
    assert cells(subscriptions()) == [[0, 1, True, 1], [0, 3, True, 1], [0, 4, False, 1]]


def test_who_cancels_within_a_period_that_is_paid_for_is_not_yet_at_risk():
    late = subscriptions(end=["2023-06-10", None, None])  # a's next payment is due on June 30
    assert cells(late) == [[0, 3, False, 1], [0, 4, False, 2]]


def test_a_few_days_late_are_no_further_period():
    dunning = subscriptions(end=["2023-05-05", None, "2023-04-07"])  # after failed payments
    assert cells(dunning)[:2] == [[0, 1, True, 1], [0, 3, True, 1]]
    assert cells(dunning, grace_days=0)[::2] == [[0, 2, True, 1], [0, 4, True, 1]]


def test_a_table_older_than_its_last_day_is_told():
    (note,) = read_contract_table(subscriptions(), as_of="2023-06-15").notes
    assert note.text.startswith("nothing begins or ends between 30 April 2023 and 15 June 2023")
    assert not read_contract_table(subscriptions(), as_of="2023-05-15").notes


def test_annual_customers_are_at_risk_at_renewal_only():
    table = subscriptions(interval=["year"] * 3, end=["2023-04-30", None, None])
    rows = read_contract_table(table, as_of="2024-02-05").cells[Interval("month", 12)]
    # a cancelled in April and had paid until 2024-01-31
    assert rows[["periods", "churned", "customers"]].values.tolist() == [
        [0, False, 2],
        [1, True, 1],
    ]


def test_plan_moves_gaps_and_changes_of_interval():
    table = pd.DataFrame(
        {
            "customer_id": ["a", "a", "b", "b"],
            "plan": ["basic", "plus", "basic", "basic yearly"],
            "interval": ["month", "month", "month", "year"],
            "amount": [10, 20, 10, 100],
            "start": ["2023-01-05", "2023-04-09", "2023-01-05", "2023-03-05"],
            "end": ["2023-04-05", None, "2023-03-05", None],
        }
    )
    read = read_contract_table(table, as_of="2023-06-15")
    assert read.cells[MONTH][["plan", "periods", "churned"]].values.tolist() == [
        ["basic", 1, False],  # b moved to another interval: still there at its last renewal
        ["basic", 5, False],  # by its first plan: who moved up had to stay for it
    ]
    assert any("1 gap of 7 days at most" in note.text for note in read.notes)
    assert any(
        "1 contract went on under another billing period" in note.text for note in read.notes
    )


def test_free_trials_and_what_has_not_begun_are_left_out_by_name():
    table = subscriptions(
        amount=[0.0, 10, 10],
        trial_end=[None, "2023-07-01", None],
        start=["2023-01-31", "2023-06-10", "2023-03-01"],
    )
    read = read_contract_table(table, as_of="2023-06-15")
    assert {part.reason for part in read.left_out} == {
        "price is zero",
        "trial that was never paid",
    }


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"end": ["2022-04-30", None, None]}, "ends before it starts, in 1 row such as row 1"),
        ({"amount": [10, -5, 10]}, "amount is negative or too large, in 1 row such as row 2"),
        ({"amount": ["ten", "10.0", "10.0"]}, "amount is missing or not a number, in 1 row"),
        ({"start": [None, "2023-02-10", "2023-03-01"]}, "start is missing"),
        ({"start": ["soon", "2023-02-10", "2023-03-01"]}, "start cannot be read"),
        ({"end": ["later", None, None]}, "end cannot be read"),
        ({"interval": ["month", "fortnight?", "month"]}, "billing period cannot be read"),
        ({"customer_id": [None, "b", "c"]}, "customer is missing, in 1 row such as row 1"),
        (
            {"subscription_id": ["1", "1", "3"], "customer_id": ["a", "a", "c"]},
            "overlaps an earlier period of the same subscription, in 1 row such as row 2",
        ),
        ({"status": ["canceled"] * 3, "end": [None] * 3}, "is over by its status, and no day"),
        ({"amount": [0, 0, 0]}, "no row is left: price is zero, in 3 rows"),
    ],
)
def test_bad_rows_are_counted_and_named(columns, message):
    with pytest.raises(RowError, match=message):
        read_contract_table(subscriptions(**columns), as_of="2023-06-15")


def test_what_can_be_read_in_two_ways_is_asked():
    with pytest.raises(InputError, match="day or the month first"):
        read_contract_table(subscriptions(start=["01/02/2023"] * 3, end=[None] * 3))
    with pytest.raises(InputError, match="decimal mark"):
        read_contract_table(subscriptions(amount=["1.234"] * 3))
    with pytest.raises(InputError, match="no table of contracts"):
        read_contract_table(pd.DataFrame({"customer": [1], "date": [2]}))


def test_columns_may_be_named_and_frames_of_any_kind_are_read():
    foreign = subscriptions().rename(columns={"start": "Beginn!", "customer_id": "wer"})
    stated = {"columns": {"start": "Beginn!", "customer_id": "wer"}}
    assert cells(pl.from_pandas(foreign), **stated) == cells(subscriptions())


def test_a_misspelt_name_of_a_column_does_not_hide_the_column():
    """Contracts would have no price where ``amount`` is recognised but given to another name."""
    with pytest.raises(InputError, match=r"columns has 'amuont' \(did you mean 'amount'\?\)"):
        read_contract_table(subscriptions(), columns={"amuont": "amount"})


def test_histories_that_begin_in_mid_life_are_seen_and_corrected():
    rng = np.random.default_rng(7)
    n = 40_000
    begun = np.datetime64("2015-01") + rng.integers(0, 84, n)
    leaves = np.minimum(rng.geometric(rng.beta(0.704, 1.182, n)), 900)
    fifteenth = np.timedelta64(14, "D")
    start, end = ((m.astype("M8[D]") + fifteenth).astype("M8[ns]") for m in (begun, begun + leaves))
    rows = pd.DataFrame({"customer_id": range(n), "interval": "month", "amount": 5, "start": start})
    rows["end"] = pd.Series(end).where(end <= np.datetime64("2022-06-30"))
    observed = rows[~(end < np.datetime64("2020-01-01"))]
    read = read_contract_table(observed, as_of="2022-06-30")
    assert read.contracts.observed_from >= dt.date(2020, 1, 1)
    assert any("no contract ends before" in note.text for note in read.notes)
    model = ShiftedBetaGeometric().fit(read.cells[MONTH])
    truth = ShiftedBetaGeometric.from_params(alpha=0.704, beta=1.182)
    assert model.survival(12) == pytest.approx(truth.survival(12), rel=0.04)
    ignored = read.cells[MONTH].assign(entered=0)
    assert ShiftedBetaGeometric().fit(ignored).survival(12) > 1.15 * truth.survival(12)
    whole = read_contract_table(rows, as_of="2022-06-30")
    assert whole.contracts.observed_from is None


def test_counts_of_cohorts_are_cells():
    counts = pd.DataFrame({"cohort": "2011", "period": range(4), "active": [1000, 631, 468, 382]})
    read = read_contract_table(counts, interval="year")
    (rows,) = read.cells.values()
    assert rows["churned"].tolist() == [369, 163, 86]
    assert rows["customers"].tolist() == [369, 163, 468]
    with pytest.raises(RowError, match="more are active than the period before in 1 row"):
        read_contract_table(counts.assign(active=[10, 9, 11, 8]))
    with pytest.raises(RowError, match="leave out a period"):
        cohort_cells([0, 1, 3], [10, 8, 7])


def test_regular_charges_are_told_from_orders():
    rng = np.random.default_rng(2)
    days = pd.date_range("2023-01-01", "2023-12-31")
    members = [
        {"customer_id": f"m{k}", "date": pd.Timestamp("2023-01-03") + pd.DateOffset(months=m)}
        for k in range(30)
        for m in range(8)
    ]
    members = pd.DataFrame(members).assign(amount=9.99)
    bought = {"customer_id": rng.integers(0, 30, 300).astype(str), "date": rng.choice(days, 300)}
    orders = pd.DataFrame(bought | {"amount": rng.gamma(3, 10, 300).round(2)})
    told = regular_charges(members)
    assert (told.contractual, told.regular, told.interval) == (True, 1.0, MONTH)
    assert not regular_charges(orders).contractual
    mixed = pd.concat([members[members["customer_id"] < "m2"], orders])
    assert not regular_charges(mixed).contractual


def spoiled(rng: random.Random) -> pd.DataFrame:
    """A table of one of the three kinds with a few things wrong in it."""
    lines = pd.DataFrame(
        {
            "customer_id": ["a", "a", "b"],
            "amount": [10.0, 10.0, 20.0],
            "period_start": ["2023-01-01", "2023-02-01", "2023-01-15"],
            "period_end": ["2023-02-01", "2023-03-01", "2023-02-15"],
            "type": ["subscription"] * 3,
        }
    )
    counts = pd.DataFrame({"cohort": ["x"] * 3, "period": [0, 1, 2], "active": [9, 5, 3]})
    table = rng.choice([subscriptions(), lines, counts]).astype(object)
    junk = [None, "", "x", -1, 0, 1e300, float("nan"), float("inf"), "2023-02-30", "0000-00-00"]
    junk += ["9999-12-31", "1,5", "'; DROP TABLE x", "\u0000", "ü" * 500, True, "1e999", "13/13/13"]
    junk += [dt.date(1, 1, 1), 10**30, "99999-01-01"]
    for _ in range(rng.randint(1, 4)):
        act, column = rng.randrange(6), rng.choice(list(table.columns))
        table = table.astype(object)
        if act <= 2:
            table.loc[rng.randrange(len(table)), column] = rng.choice(junk)
        elif act == 3:
            table[column] = rng.choice(junk)
        elif act == 4 and len(table.columns) > 1:
            table = table.drop(columns=column)
        else:
            table = pd.concat([table, table], ignore_index=True)
    return table.iloc[: rng.choice([0, 2, 9])] if rng.random() < 0.1 else table


@pytest.mark.parametrize("seed", range(BAD_TABLES))
def test_bad_tables_end_in_words(seed, tmp_path):
    table = spoiled(random.Random(seed))
    file = tmp_path / "table.csv"
    table.to_csv(file, index=False)
    message = "read"
    try:
        read = read_contract_table(str(file), currency=None)
        if read.contracts is not None:
            read.book()
    except ClvError as error:
        message = error.message
    assert 0 < len(message) < 3000
