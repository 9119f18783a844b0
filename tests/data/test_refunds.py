import narwhals as nw
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.data.orders import net_refunds

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
    return net_refunds(nw.from_native(frame), [who], amounts, "time")


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
