"""The rolling origin as a recipe: on what could be known then, printed, logged, chosen by."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from clv.app.training.backtest import backtest
from clv.app.training.config import Config
from clv.app.training.cutoffs import choice_of, cutoffs_of, rolling_origin, tracked
from clv.app.training.evidence import rolling_metrics, rolling_reports
from clv.app.training.steps import read_training_log, with_rolling_origin
from clv.cli.screen import Screen
from clv.cli.training_tables import show_rolling
from clv.errors import InputError
from clv.evaluate.backtest import RollingOrigin, choose
from training import cdnow as cdnow_recipe

QUARTERS = {"cutoff": dt.date(1997, 9, 30), "length": "13 weeks"}


def config_of(path: Path, model: str = "bg_nbd", **holdout: Any) -> Config:
    plain = {
        "data": {"files": [str(path)]},
        "model": {"purchase_model": model},
        "holdout": QUARTERS | holdout,
    }
    return Config.from_values(plain, Path("run.toml"))


@pytest.fixture(scope="module")
def orders(cdnow_clean: pd.DataFrame) -> pd.DataFrame:
    """Every third customer: the tests here are of the recipe, not of the figures."""
    rows = cdnow_clean[["customer_id", "date", "amount"]]
    latest = rows.loc[rows["date"] == rows["date"].max(), "customer_id"]
    kept = (rows["customer_id"] % 3 == 0) | rows["customer_id"].isin(latest)
    return rows[kept].reset_index(drop=True)


def read(orders: pd.DataFrame, path: Path, config: Config) -> tuple[Any, Any]:
    orders.to_parquet(path)
    data = read_training_log(config)
    return data.raw, data.clean


@pytest.fixture(scope="module")
def rolling(orders: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> RollingOrigin:
    path = tmp_path_factory.mktemp("rolling") / "log.parquet"
    config = config_of(path)
    found = rolling_origin(*read(orders, path, config), config)
    assert found is not None
    return found


def test_every_cutoff_sees_the_log_as_it_could_be_known_then(
    rolling: RollingOrigin, orders: pd.DataFrame, tmp_path: Path
) -> None:
    """Orders of 1997 are undone in May 1998: no forecast changes, though the clean log does."""
    day = pd.to_datetime(orders["date"])
    undone = orders[day.between("1997-06-01", "1997-12-31")]
    refunds = undone.assign(amount=-undone["amount"], date=pd.Timestamp("1998-05-01"))
    config = config_of(tmp_path / "log.parquet")
    raw, log = read(pd.concat([orders, refunds]), tmp_path / "log.parquet", config)
    assert log.num_rows < len(orders)
    other = rolling_origin(raw, log, config)
    assert other is not None
    for origin, again in zip(rolling.origins, other.origins, strict=True):
        pd.testing.assert_frame_equal(origin.calibration.summary, again.calibration.summary)
    for all_of_it, again_all in zip(rolling.judged, other.judged, strict=True):
        for one, two in zip(all_of_it, again_all, strict=True):
            np.testing.assert_array_equal(one.forecast.purchases, two.forecast.purchases)


@pytest.mark.parametrize(
    ("holdout", "cutoffs", "days"),
    [
        ({}, ["1997-09-30", "1997-12-30", "1998-03-31"], 91),
        (
            {"cutoffs": [dt.date(1997, 9, 30), dt.date(1998, 1, 31)]},
            ["1997-09-30", "1998-01-31"],
            91,
        ),
        ({"cutoffs": [dt.date(1997, 12, 31)], "length": None}, ["1997-12-31"], 181),
    ],
)
def test_the_config_says_where_to_cut(
    holdout: dict[str, Any], cutoffs: list[str], days: int, orders: pd.DataFrame, tmp_path: Path
) -> None:
    config = config_of(tmp_path / "log.parquet", **holdout)
    found, length = cutoffs_of(orders, config)
    assert [str(day) for day in found] == cutoffs
    assert length == days


def test_cutoffs_outside_the_log_are_an_error_and_too_short_a_log_a_warning(
    orders: pd.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / "log.parquet"
    wrong = config_of(path, cutoffs=[dt.date(1998, 6, 1)])
    orders.to_parquet(path)
    data = read_training_log(wrong)
    judged = backtest(data.raw, data.clean, wrong)
    with pytest.raises(InputError, match="the cutoff 1998-06-01 with a holdout to 1998-08-31"):
        with_rolling_origin(judged, data, wrong)
    same, obstacle = with_rolling_origin(judged, data, config_of(path, length="1 year"))
    assert same.rolling is None
    assert "no rolling origin: 3 cutoffs with 365 days after each do not fit" in str(obstacle)
    assert with_rolling_origin(judged, data, config_of(path, origins=0)) == (judged, None)


def test_what_is_said_and_kept_is_the_table(
    rolling: RollingOrigin, capsys: pytest.CaptureFixture[str]
) -> None:
    show_rolling(Screen(), rolling)
    said = " ".join(capsys.readouterr().out.split())
    assert "Rolling origin, purchases: 91 days after 1997-09-30, 1997-12-30, 1998-03-31" in said
    assert all(" ".join(str(reason).split()) in said for reason in choose(rolling).reasons)
    metrics, means = rolling_metrics(rolling), rolling.means().set_index(["what", "forecast"])
    assert metrics["rolling/money/gini/BG_NBD"] == means.loc[("money", "BG/NBD"), "gini"]
    files = rolling_reports(rolling)
    assert files["rolling/table.csv"].count("\n") == len(rolling.table) + 1
    charts = tracked(rolling, "BG/NBD")
    assert [(cutoff, chart.title) for cutoff, chart in charts.items()] == [
        (cutoff, f"As of {cutoff}: repeat purchases over time, actual and expected")
        for cutoff in ("1997-09-30", "1997-12-30", "1998-03-31")
    ]


def test_the_choice_is_the_configs_or_the_rolling_origins(rolling: RollingOrigin) -> None:
    path = Path("log.parquet")
    assert choice_of(rolling, config_of(path, "mbg_nbd")) is None
    assert choice_of(rolling, config_of(path, "auto")) == choose(rolling)
    without = choice_of(None, config_of(path, "auto"))
    assert without is not None
    assert without.name == "bg_nbd"
    assert "no cutoffs to judge it at" in str(without)


@pytest.mark.slow
def test_a_model_that_is_chosen_is_chosen_on_what_was_known(
    orders: pd.DataFrame, tmp_path: Path
) -> None:
    """At the cutoff of promotion the choice is made anew: another future changes nothing."""
    path = tmp_path / "log.parquet"
    config = config_of(path, "auto", cutoff=dt.date(1998, 1, 31), length="6 weeks")
    judged = backtest(*read(orders, path, config), config)
    assert judged.choice is not None
    late = pd.to_datetime(orders["date"]) > pd.Timestamp("1998-01-31")
    other = pd.concat([orders[~late], orders[late].assign(amount=1.0).drop_duplicates("date")])
    again = backtest(*read(other, path, config), config)
    assert again.choice == judged.choice
    assert again.purchases.params_ == judged.purchases.params_
    assert judged.to_dict("BG/NBD")["model"] == judged.choice.title
    assert json.dumps(judged.to_dict("BG/NBD"), allow_nan=False)


@pytest.mark.slow
def test_on_cdnow_the_chosen_model_beats_every_naive_forecast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the command does it, on every tenth customer of the master file."""
    config = tmp_path / "training" / "cdnow.toml"
    config.parent.mkdir()
    config.write_text(cdnow_recipe.CONFIG.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(cdnow_recipe, "CONFIG", config)
    every = cdnow_recipe.cdnow_log
    monkeypatch.setattr(
        cdnow_recipe, "cdnow_log", lambda: every().query("customer_id % 10 == 0", engine="python")
    )
    found = cdnow_recipe.cdnow(Screen(quiet=True))
    assert found is not None
    assert str(found.origins[0].calibration.cutoff) == "1997-09-30"
    title, means = choose(found).title, found.means().set_index(["what", "forecast"])
    for measure, sign in (("log_score", -1), ("gini", 1)):
        rows = sign * means.loc["purchases", measure]
        assert rows[title] > rows[means.loc["purchases", "naive"]].max()
    coverage = found.coverage().query("forecast == @title and nominal == 0.9")
    np.testing.assert_allclose(coverage["randomized"], 0.9, atol=0.03)


def test_rows_come_from_the_command_line(run: Any, orders: pd.DataFrame, tmp_path: Path) -> None:
    orders.to_parquet(tmp_path / "log.parquet")
    (tmp_path / "shop.toml").write_text(
        '[data]\nfiles = "log.parquet"\n[holdout]\ncutoff = 1997-09-30\n', encoding="utf-8"
    )
    rows = tmp_path / "rows.json"
    wanted = ("--origins", "1", "--length", "91", "--json", str(rows))
    shown = run("backtest", "--config", str(tmp_path / "shop.toml"), *wanted)
    assert shown.code == 0
    assert "Use it for " in shown.said
    written = pd.DataFrame(json.loads(rows.read_text(encoding="utf-8"))["rows"])
    assert written["cutoff"].unique().tolist() == ["1998-03-31"]
    assert set(written["of"]) == {"purchases", "money"}
    assert written["shipped"].sum() == 2
    assert "lifetimes BG/NBD" in set(written["forecast"])
