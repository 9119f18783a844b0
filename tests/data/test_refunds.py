import narwhals as nw
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.data.orders import as_orders, net_refunds, netted

SIGNED = st.lists(st.integers(-4, 4).filter(bool), min_size=1, max_size=30)


def by_stack(amounts: list[int]) -> list[int]:
    """Last in, first out, with a stack: what is left of each order and of each refund."""
    left, open_orders = list(amounts), []
    for place, amount in enumerate(amounts):
        if amount > 0:
            open_orders.append(place)
            continue
        while left[place] < 0 and open_orders:
            latest = open_orders[-1]
            met = min(left[latest], -left[place])
            left[latest] -= met
            left[place] += met
            if left[latest] == 0:
                open_orders.pop()
    return left


def by_windows(frame, who, amounts):
    return net_refunds(nw.from_native(frame), [who], amounts, ["time"])


@given(SIGNED)
def test_windows_agree_with_a_stack(amounts):
    log = pl.DataFrame({"who": 1, "time": range(len(amounts)), "amount": amounts})
    assert by_windows(log, "who", "amount")["amount"].to_list() == by_stack(amounts)


@given(SIGNED)
def test_money_is_kept(amounts):
    left = by_stack(amounts)
    assert sum(left) == sum(amounts)


@settings(max_examples=20, deadline=None)
@given(first=SIGNED, second=SIGNED)
def test_customers_do_not_meet(first, second):
    who = ["a"] * len(first) + ["b"] * len(second)
    time = [*range(len(first)), *range(len(second))]
    log = pl.DataFrame({"who": who, "time": time, "amount": first + second})
    shuffled = log.sample(fraction=1.0, shuffle=True, seed=1)
    left = by_windows(shuffled, "who", "amount").sort("who", "time")["amount"].to_list()
    assert left == by_stack(first) + by_stack(second)


@pytest.mark.parametrize("name", ["pandas", "pandas-nullable", "pandas-arrow", "polars-lazy"])
def test_kinds_agree(name, records):
    amounts = [40, 25, -30, 10, -10, -50, 5, -1]
    log = pl.DataFrame({"who": "a", "time": range(8), "amount": amounts})
    frames = {
        "pandas": lambda: log.to_pandas(),
        "pandas-nullable": lambda: log.to_pandas().convert_dtypes(),
        "pandas-arrow": lambda: log.to_pandas(use_pyarrow_extension_array=True),
        "polars-lazy": log.lazy,
    }
    netted = records(by_windows(frames[name](), "who", "amount").to_native())
    assert [row["amount"] for row in netted] == by_stack(amounts)


@pytest.mark.parametrize("ties", [1, 3])
def test_rows_that_no_refund_can_reach_need_not_be_put_in_order(ties):
    """The quick way, which leaves most rows where they are, beside all rows in order of time."""
    rng = np.random.default_rng(ties)
    n = 9000
    whose, step = np.divmod(np.arange(n), 9)
    amount = rng.choice([-5, -3, -2, -1, 1, 2, 3, 5, 8, 13], n).astype(float)
    at = np.datetime64("2024-01-01", "us") + (step // ties).astype("timedelta64[D]")
    lines = pl.DataFrame(
        {"_raw_customer_id": whose, "_at": at, "_amount": amount, "_margin": np.arange(n)}
    )
    lines = lines.with_columns(_date=pl.col("_at").cast(pl.Date))
    orders = as_orders(nw.from_native(lines.lazy()), {"margin": "margin"}, single=True)
    quick, slow = (
        netted(orders, {"margin": "margin"}, few=few)
        .select("margin", "amount", "_left", "_outcome")
        .sort("margin")
        .collect()
        for few in (False, True)
    )
    assert quick.rows() == slow.rows()
    assert len(set(quick["_outcome"])) == 5
