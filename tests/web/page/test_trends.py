"""Overview over time: a figure run by run, orders month by month, and figures that are old."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd

from clv.store import publish

from .conftest import page_of

RUNS = [
    {"as_of": day, "model_version": "v1", "value": value, "customers": 9, "orders": 20.0,
     "at_risk": 5.0, "churn": churn}
    for day, value, churn in (("1997-08-31", 900.0, 0.5), ("1997-09-30", 1200.0, 0.4))
]  # fmt: skip
MONTHS = [
    {"month": month, "revenue": revenue, "orders": 30, "customers": 20, "first_orders": 12,
     "repeat_rate": 0.6, "soon": soon, "days_to_second": None if soon is None else 33.0}
    for month, revenue, soon in (("1997-05", 800.0, 0.4), ("1997-06", 950.0, None))
]  # fmt: skip


def test_figures_go_over_runs_and_months(scores: pd.DataFrame, tmp_path: Path, browse: Any) -> None:
    documents = {"run_figures": RUNS, "order_months": MONTHS}
    publish(scores, tmp_path, documents=documents)
    page = type(browse)(page_of(tmp_path))
    said = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page("/").text))
    assert "Value of the base, run by run" in said
    assert "31 August 1997 $900" in said
    assert "30 September 1997 $1,200" in said
    assert "1 May 1997 $800" in said
    assert "1 June 1997 –" in said  # who came back is not known yet
    assert "Days to the second order" in said
    assert re.search(r"These figures are \d+ years old", said)
    churn = page("/?figure=churn").text
    assert "Mean churn risk, run by run" in churn
    assert '<option value="churn" selected>' in churn
    assert page("/?figure=nothing").status_code == 200


def test_a_long_time_line_is_drawn_in_part(
    scores: pd.DataFrame, tmp_path: Path, browse: Any
) -> None:
    months = [
        MONTHS[0] | {"month": f"{1996 + k // 12}-{1 + k % 12:02d}", "revenue": 100.0 + k}
        for k in range(18)
    ]
    publish(scores, tmp_path, documents={"run_figures": RUNS, "order_months": months})
    page = type(browse)(page_of(tmp_path))

    def drawn(address: str) -> list[str]:
        return re.findall(r"\b1 \w+ \d{4}: (\$\d+)", page(address).text)

    assert drawn("/") == [f"${100 + k}" for k in range(18)]
    assert drawn("/?months=recent") == [f"${100 + k}" for k in range(6, 18)]
    assert drawn("/?months=1996") == [f"${100 + k}" for k in range(12)]
    assert drawn("/?months_from=1996-03&months_to=1996-06") == [f"${100 + k}" for k in range(2, 6)]
    assert drawn("/?months_from=1996-06&months_to=1996-03") == [f"${100 + k}" for k in range(2, 6)]
    assert drawn("/?months_from=1996-06&months_to=much") == drawn("/")
    part = page("/?months_from=1996-03&months_to=1996-06").text
    assert '<option value="1996-06" selected>June 1996</option>' in part
    assert 'aria-current="true">All' not in part
    assert drawn("/?months=1492") == drawn("/")
    text = page("/?months=1996&figure=churn").text
    assert 'href="/?months=1997&amp;figure=churn#months"' in text.replace(
        "figure=churn&amp;months=1997", "months=1997&amp;figure=churn"
    )
    assert '<input type="hidden" name="months" value="1996">' in text
    assert "Which runs" not in text  # a short line has no parts
