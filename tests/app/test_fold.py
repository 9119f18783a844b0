"""A state that grew night by night is that of all orders at once, to the last bit."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from clv.app.batch import score_log, score_state
from clv.app.nightly.order_fold import fold_orders
from clv.app.nightly.state_folder import STATE_FILE, read_state
from clv.errors import InputError
from clv.scorer import CustomerScorer

FIRST = pd.Timestamp("1997-01-01")


def night_files(log: pd.DataFrame, arrival: np.ndarray, folder: Path) -> list[Path]:
    """A file for each night in which rows of a log arrive."""
    files = []
    for night in sorted(set(arrival)):
        files.append(folder / f"night-{night:02}.csv")
        log[arrival == night].to_csv(files[-1], index=False)
    return files


def customers(folder: Path) -> pd.DataFrame:
    rows = pd.read_parquet(folder / read_state(folder).customers)
    return rows.drop(columns="made_in")


def folded(folder: Path, files: list[Path], together: bool = False) -> pd.DataFrame:
    for group in [files] if together else [[file] for file in files]:
        fold_orders(folder, group)
    return customers(folder)


@pytest.fixture(scope="module")
def hard_log() -> tuple[pd.DataFrame, np.ndarray]:
    """Order lines, refunds, rows sent again, late rows, channels in two spellings."""
    drawn, n = np.random.default_rng(3), 4000
    log = pd.DataFrame(
        {
            "customer_id": [f"c{k}" for k in drawn.integers(0, 300, n)],
            "order_id": drawn.integers(0, 2500, n).astype(str),
            "product": drawn.choice(list("abcdefgh"), n),
            "date": FIRST + pd.to_timedelta(np.sort(drawn.integers(0, 300, n)), "D"),
            "amount": np.round(drawn.exponential(40, n), 2)
            / 3
            * np.where(drawn.random(n) < 0.1, -1, 1),
            "channel": drawn.choice(["Email", "email", "search"], n),
        }
    )
    again = log.sample(300, random_state=1)
    log = pd.concat([log, again], ignore_index=True)
    day = (log["date"] - FIRST).dt.days.to_numpy()
    late = np.where(drawn.random(len(log)) < 0.05, drawn.integers(0, 60, len(log)), 0)
    late[n:] = drawn.integers(0, 40, 300)
    arrival = np.maximum(np.minimum(day + late, 300) - 260, 0) // 10
    return log, arrival


def test_nights_add_up_to_the_whole(hard_log, tmp_path):
    files = night_files(*hard_log, tmp_path)
    whole = folded(tmp_path / "whole", files, together=True)
    grown = folded(tmp_path / "grown", files)
    pd.testing.assert_frame_equal(grown, whole, check_exact=True)
    recipe = read_state(tmp_path / "grown").recipe
    assert recipe.duplicates == "drop"
    assert (whole["purchases"] == 0).sum() + (whole["purchases"] > 0).sum() == len(whole)


def test_scores_of_a_state_are_those_of_its_orders(cdnow_clean, cdnow_scorer, tmp_path):
    log = cdnow_clean.drop(columns="orders").sort_values("date")
    day = (pd.to_datetime(log["date"]) - FIRST).dt.days.to_numpy()
    files = night_files(log, np.maximum(day - 480, 0) // 40, tmp_path)
    assert cdnow_scorer.churn.pool is not None
    folded(tmp_path / "state", files)
    score_state(tmp_path / "state", cdnow_scorer, tmp_path / "of_state.parquet")
    score_log([str(file) for file in files], cdnow_scorer, tmp_path / "of_log.parquet")
    one, other = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("of_state", "of_log"))
    pd.testing.assert_frame_equal(one, other, check_exact=True)


@pytest.fixture
def state(cdnow_clean, tmp_path) -> Path:
    log = cdnow_clean.drop(columns="orders")
    days = pd.to_datetime(log["date"])
    log[days < "1998-06-01"].to_csv(tmp_path / "first.csv", index=False)
    log[days >= "1998-06-01"].to_csv(tmp_path / "second.csv", index=False)
    fold_orders(tmp_path / "state", [tmp_path / "first.csv"])
    return tmp_path / "state"


def test_a_day_taken_twice_is_an_error_and_changes_nothing(state, cdnow_clean, tmp_path):
    fold_orders(state, [tmp_path / "second.csv"])
    before = {file.name: file.read_bytes() for file in state.iterdir()}
    log = cdnow_clean.drop(columns="orders")
    one_day = log[pd.to_datetime(log["date"]) == "1998-06-10"]
    one_day.to_parquet(tmp_path / "other-name.parquet")
    one_day.sample(frac=1, random_state=0).to_csv(tmp_path / "other-order.csv", index=False)
    for file in ("second.csv", "first.csv", "other-order.csv"):
        with pytest.raises(InputError, match="was taken in already, with the same"):
            fold_orders(state, [tmp_path / file])
    assert {file.name: file.read_bytes() for file in state.iterdir()} == before


def test_the_state_may_be_written_elsewhere(state, tmp_path):
    before = read_state(state)
    fold_orders(state, [tmp_path / "second.csv"], tmp_path / "next")
    assert read_state(state) == before
    assert len(read_state(tmp_path / "next").nights) == 2
    fold_orders(state, [tmp_path / "second.csv"])
    assert (state / STATE_FILE).read_text() == (tmp_path / "next" / STATE_FILE).read_text()


def test_what_cannot_be_folded_is_said(state, tmp_path):
    with pytest.raises(InputError, match="there is no state in"):
        fold_orders(tmp_path / "none", [tmp_path / "second.csv"], tmp_path / "out")
    with pytest.raises(InputError, match="there is no file"):
        fold_orders(tmp_path / "begun", [tmp_path / "none.csv"])
    assert not (tmp_path / "begun").exists()
    with pytest.raises(InputError, match="holds other files"):
        fold_orders(tmp_path, [tmp_path / "second.csv"])
    with pytest.raises(InputError, match="the state reads all orders alike"):
        fold_orders(state, [tmp_path / "second.csv"], stated={"date_order": "mdy"})
    file = state / read_state(state).customers
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(InputError, match="is damaged"):
        fold_orders(state, [tmp_path / "second.csv"])
    file.unlink()
    with pytest.raises(InputError, match="lacks its file"):
        fold_orders(state, [tmp_path / "second.csv"])
    (state / STATE_FILE).write_text(json.dumps({"format": 1}))
    with pytest.raises(InputError, match=STATE_FILE):
        read_state(state)


def test_a_night_of_refunds_alone_is_taken_in(state, tmp_path):
    whole = duckdb.sql(f"FROM '{state / read_state(state).customers}'").df()
    last = pd.read_csv(tmp_path / "first.csv").iloc[-1]
    refund = last.to_frame().T.assign(date="1998-06-02", amount=-last["amount"])
    refund.to_csv(tmp_path / "refund.csv", index=False)
    done = fold_orders(state, [tmp_path / "refund.csv"])
    assert (done.new, done.grown, done.made_anew) == (0, 0, 1)
    assert done.purchases == whole["purchases"].sum() - 1


def test_the_scorer_says_which_states_it_can_score(state, cdnow_scorer: CustomerScorer, tmp_path):
    with pytest.raises(InputError, match="the state has orders up to"):
        score_state(state, cdnow_scorer, tmp_path / "s.parquet", as_of="1998-01-01")
