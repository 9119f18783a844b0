"""Orders month by month against pandas, and the figures of runs from publish to publish."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from clv.app.contents.over_time import of_months, of_runs
from clv.io.engine import connect
from clv.store import publish

LAST = "2024-06-30"


@pytest.fixture(scope="module")
def orders() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 182, 900), unit="D")
    table = pd.DataFrame({"customer_id": rng.integers(0, 300, 900), "date": days})
    return table.assign(amount=rng.gamma(2, 10, 900).round(2))


def test_months_are_those_of_pandas(orders: pd.DataFrame) -> None:
    connection = connect()
    connection.register("log", pa.Table.from_pandas(orders, preserve_index=False))
    rows = of_months(connection, LAST).documents["order_months"]
    days = orders.groupby(["customer_id", "date"], as_index=False)["amount"].sum()
    days["number"] = days.groupby("customer_id").cumcount()
    days["wait"] = days.groupby("customer_id")["date"].shift(-1) - days["date"]
    days["month"] = days["date"].dt.strftime("%Y-%m")
    first = days[days["number"] == 0]
    assert [row["month"] for row in rows] == sorted(days["month"].unique())
    for row in rows:
        month, new = days[days["month"] == row["month"]], first[first["month"] == row["month"]]
        assert row["revenue"] == pytest.approx(month["amount"].sum())
        assert row["orders"] == len(month)
        assert row["repeat_rate"] == pytest.approx((month["number"] > 0).mean())
        if row["month"] <= "2024-03":
            assert row["soon"] == pytest.approx((new["wait"].dt.days <= 90).mean())
            assert row["days_to_second"] == new["wait"].dt.days.median()
        else:  # their 90 days are not over
            assert (row["soon"], row["days_to_second"]) == (None, None)


def test_each_run_is_kept_and_the_last_of_a_day(tmp_path: Path) -> None:
    def run(day: str, value: float) -> list[tuple[str, float]]:
        scores = pd.DataFrame({"customer_id": ["a", "b"]}).assign(
            days_since_last=1.0, clv=value, expected_purchases=2.0, churn_probability=0.25,
            value_at_stake=8.0, model_version="v1", as_of=day, horizon="1 year", currency="EUR",
        )  # fmt: skip
        parts = of_runs(tmp_path, pa.Table.from_pandas(scores, preserve_index=False))
        publish(scores, tmp_path, documents=parts.documents)
        assert parts.documents["run_figures"][-1]["at_risk"] == 4.0
        return [(each["as_of"], each["value"]) for each in parts.documents["run_figures"]]

    assert run("2024-05-31", 10.0) == [("2024-05-31", 20.0)]
    assert run("2024-06-30", 12.0) == [("2024-05-31", 20.0), ("2024-06-30", 24.0)]
    assert run("2024-06-30", 13.0) == [("2024-05-31", 20.0), ("2024-06-30", 26.0)]
