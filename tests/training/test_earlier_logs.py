"""What was known on an earlier day, made of the clean log, is what cleaning anew gives."""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from clv.app.training import earlier_logs
from clv.app.training.config import Config
from clv.app.training.earlier_logs import as_known
from clv.app.training.steps import read_training_log

ROWS, DAYS = 3000, 200


@pytest.mark.parametrize("several", [0.0, 0.2])
def test_the_log_of_an_earlier_day_is_that_of_cleaning_anew(tmp_path: Path, several, monkeypatch):
    """Refunds come later than what they undo, and some orders have lines on both sides of a day."""
    rng = np.random.default_rng(7)
    amount = rng.choice([5.0, 12.37, 80.0, 1 / 3], ROWS)
    shared = rng.random(ROWS) < several
    customer = np.where(shared, 0, rng.integers(1, 300, ROWS))
    log = pd.DataFrame(
        {
            "customer_id": customer + shared * rng.integers(300, 330, ROWS),
            "date": np.datetime64("2024-01-01", "D") + rng.integers(0, DAYS, ROWS),
            "amount": np.where(rng.random(ROWS) < 0.1, -amount, amount),
            "order_id": np.where(shared, rng.integers(0, 99, ROWS), 1000 + np.arange(ROWS)),
        }
    )
    log.to_parquet(file := tmp_path / "orders.parquet")
    config = Config.from_values(
        {"data": {"files": [str(file)], "rows": "lines", "duplicates": "keep"}}, tmp_path / "a.toml"
    )
    data = read_training_log(config)
    hindsight = data.clean.to_pandas().sort_values(["customer_id", "date"], ignore_index=True)
    for cutoff in (dt.date(2024, 3, 1), dt.date(2024, 6, 30)):
        anew = as_known(data.raw, data.clean, config, cutoff)
        with monkeypatch.context() as many:
            many.setattr(earlier_logs, "FEW", 0)
            derived = as_known(data.raw, data.clean, config, cutoff)
        pd.testing.assert_frame_equal(derived, anew, check_exact=True)
        assert not derived["amount"].equals(hindsight["amount"])
        assert len(derived) > ROWS / 2


def test_where_nothing_reaches_back_nothing_is_cleaned_anew(tmp_path: Path, monkeypatch):
    days = pd.date_range("2024-01-01", periods=DAYS)
    log = pd.DataFrame({"customer_id": np.arange(DAYS) % 9, "date": days, "amount": 5.0})
    log.to_parquet(file := tmp_path / "orders.parquet")
    config = Config.from_values({"data": {"files": [str(file)]}}, tmp_path / "a.toml")
    data = read_training_log(config)
    monkeypatch.setattr(earlier_logs, "FEW", 0)
    monkeypatch.setattr(earlier_logs, "clean_orders", None)  # which would fail
    assert len(as_known(data.raw, data.clean, config, dt.date(2024, 3, 1))) == DAYS
