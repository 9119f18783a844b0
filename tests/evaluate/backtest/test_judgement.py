"""A rolling origin in rows and in a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from clv.app.training.cutoffs import write_rows
from clv.evaluate import gini
from clv.evaluate.backtest import RollingOrigin
from clv.evaluate.backtest.judgement import advice, comparison, judged_rows
from clv.evaluate.backtest.regularity import regularity
from clv.evaluate.backtest.rolling import SHIPPED


@pytest.fixture(scope="module")
def rows(rolling: RollingOrigin) -> pd.DataFrame:
    return pd.DataFrame(judged_rows(rolling))


def test_there_is_a_row_for_everybody_and_one_ships(
    rows: pd.DataFrame, rolling: RollingOrigin
) -> None:
    assert len(rows) == 2 * 3 * len(rolling.names)
    assert (rows.groupby(["cutoff", "of"])["shipped"].sum() == 1).all()
    assert len(rolling.of_forecaster(SHIPPED)) == 3


def test_the_figures_of_a_row_are_those_of_its_forecast(
    rows: pd.DataFrame, rolling: RollingOrigin
) -> None:
    origin, judged = rolling.of_forecaster("pooled forecast")[2]
    row = rows.query("cutoff == '1998-03-31' and forecast == 'pooled forecast' and of == 'money'")
    money = judged.forecast.money
    assert row["gini"].item() == gini(origin.money, money)
    assert row["bias"].item() == pytest.approx(money.sum() / origin.money.sum() - 1)
    assert row["mae"].item() == pytest.approx(np.abs(money - origin.money).mean())
    assert row["total_actual"].item() == pytest.approx(origin.money.sum())
    assert row["total_low"].item() < row["total"].item() < row["total_high"].item()


def test_intervals_of_customers_hold_about_as_many_as_they_say(rows: pd.DataFrame) -> None:
    pooled = rows.query("forecast == 'pooled forecast'")
    assert pooled["covered_90"].between(0.86, 0.94).all()
    assert rows[rows["forecast"] == "own past rate"]["total_low"].isna().all()


def test_the_file_is_json_without_nan(rolling: RollingOrigin, tmp_path: Path) -> None:
    write_rows(rolling, tmp_path / "rows.json")
    text = (tmp_path / "rows.json").read_text(encoding="utf-8")
    assert "NaN" not in text
    written = json.loads(text)
    assert written["verdict"] == advice(rolling)
    assert {"cutoff", "forecast", "of", "log_score", "covered_90"} <= set(written["rows"][0])


def test_what_differs_by_chance_alone_is_level(rolling: RollingOrigin) -> None:
    sentences = comparison(rolling)
    assert any("is level with what ships" in sentence for sentence in sentences)
    assert any("population mean is behind what ships by" in sentence for sentence in sentences)
    assert not any("0.0000" in sentence for sentence in sentences)
    assert advice(rolling).startswith("Use it for ")


@pytest.mark.parametrize("k", [1.0, 4.0])
def test_regularity_is_that_of_the_gaps(k: float) -> None:
    rng = np.random.default_rng(0)
    gaps = rng.gamma(k, 400.0 / k, (4_000, 2)).cumsum(axis=1)
    days = np.column_stack([np.zeros(4_000), gaps]).round()
    log = pd.DataFrame(
        {
            "customer_id": np.repeat(np.arange(4_000), 3),
            "date": pd.Timestamp("2020-01-01") + pd.to_timedelta(days.ravel(), unit="D"),
        }
    )
    assert regularity(log) == pytest.approx(k, rel=0.08)
