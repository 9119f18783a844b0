"""``clv report`` as its user meets it: a page that says what scores, record and list say."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from clv.app.training.backtest import backtest
from clv.app.training.config import Config
from clv.app.training.steps import read_training_log
from clv.data.summary import summarize
from clv.scorer import CustomerScorer

CONFIG = """
[data]
files = "orders.parquet"
[terms]
margin_rate = 0.3
currency = "USD"
[holdout]
cutoff = 1997-09-30
origins = 0
"""


@pytest.fixture(scope="module")
def home(cdnow_clean, cdnow_scorer, tmp_path_factory) -> Path:
    """Orders, a configuration, a model that was judged by it, scores and a retention list."""
    folder = tmp_path_factory.mktemp("report")
    cdnow_clean[["customer_id", "date", "amount"]].to_parquet(folder / "orders.parquet")
    (folder / "shop.toml").write_text(CONFIG)
    config = Config.read(folder / "shop.toml")
    data = read_training_log(config)
    record = backtest(data.raw, data.clean, config).to_dict("BG/NBD")
    scorer = replace(cdnow_scorer, training={**cdnow_scorer.training, "holdout": record})
    scorer.save(folder / "model")
    CustomerScorer.load(folder / "model").predict(summarize(data.clean)).to_pandas().to_parquet(
        folder / "scores.parquet"
    )
    return folder


def text_of(page: Path) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.read_text())))


def test_the_page_says_what_scores_and_record_say(run, home, tmp_path):
    page = tmp_path / "report.html"
    done = run("report", home / "scores.parquet", "--model", home / "model", "-o", page)
    assert (done.code, done.err) == (0, "")
    scores, text = pd.read_parquet(home / "scores.parquet"), text_of(page)
    assert f"${scores['clv'].sum():,.0f}" in text
    assert "How far to trust it: purchases" in text
    assert "Holdout 1997-09-30 to 1998-06-30" in text
    assert "How far to trust it: churn" in text
    assert "Whom to keep" not in text
    assert re.findall(r'<svg class="chart" role="img" aria-label="([^"]*)"', page.read_text()) == [
        "How few customers hold most of the value",
        "What the customers are worth",
        "Predicted and actual purchases by past frequency",
    ]
    assert "<script" not in page.read_text()


def test_a_record_of_rolling_origins_alone_leaves_the_holdout_out(run, home, tmp_path):
    scorer, page = CustomerScorer.load(home / "model"), tmp_path / "report.html"
    missed = {"log_ratios": [0.1], "explained": [0.05]}
    rolling = {"days": 91, "misses": {"purchases": missed, "money": missed}}
    bare = replace(scorer, training={"holdout": {"rolling": rolling}})
    bare.save(tmp_path / "model")
    scores = pd.read_parquet(home / "scores.parquet").assign(model_version=bare.version)
    scores.to_parquet(tmp_path / "scores.parquet")
    done = run("report", tmp_path / "scores.parquet", "--model", tmp_path / "model", "-o", page)
    assert (done.code, done.err) == (0, "")
    assert "How far to trust it: purchases" not in text_of(page)


def test_a_list_adds_whom_to_keep_and_a_configuration_the_naive_forecasts(run, home, tmp_path):
    scores, listed, page = home / "scores.parquet", tmp_path / "list.csv", tmp_path / "report.html"
    run("targets", scores, "--contact-cost", 1, "--budget", 100, "-o", listed)
    more = ("--targets", listed, "--config", home / "shop.toml")
    done = run("report", scores, "--model", home / "model", *more, "-o", page)
    assert (done.code, done.err) == (0, "")
    rows, text = pd.read_csv(listed), text_of(page)
    contacted = rows[rows["group"] == "treat"]
    assert (
        f"{len(contacted)} customers to contact for ${contacted['cost'].sum():,.0f}, with an "
        f"expected profit of ${contacted['expected_profit'].sum():,.0f}; "
        f"{len(rows) - len(contacted)} are held out"
    ) in text
    assert "own past rate" in text
    assert "What the fits say of themselves" in text


def test_scores_of_another_model_are_refused(run, home, tmp_path):
    other = pd.read_parquet(home / "scores.parquet").assign(model_version="another")
    other.to_parquet(tmp_path / "scores.parquet")
    words = ("--model", home / "model", "-o", tmp_path / "report.html")
    done = run("report", tmp_path / "scores.parquet", *words)
    assert done.code == 3
    assert "the scores are of model another, and the model is " in done.failed
    assert not (tmp_path / "report.html").exists()
