import subprocess
import sys

import numpy as np
import pytest

from clv.data import cdnow
from clv.data.cdnow import cdnow_log, cdnow_summary
from clv.data.summary import summarize
from clv.data.transactions import clean
from clv.errors import InputError


def test_our_summary_of_the_log_is_the_published_one():
    """Equal for all 2,357 customers, to the two decimals that were published."""
    ours, published = summarize(cdnow_log(sample=True), as_of="1997-09-30"), cdnow_summary()
    assert (ours["customer_id"] == published["customer_id"]).all()
    assert (ours["frequency"] == published["frequency"]).all()
    for name in ("recency", "T", "monetary_value"):
        assert np.abs(ours[name] - published[name]).max() < 0.005 + 1e-9
    assert (ours["days_since_last"] == published["days_since_last"]).all()
    assert set(published.columns) == set(ours.columns) - {"first_amount"}


def test_mean_first_and_repeat_purchase_are_known_apart():
    """Mean first purchase 32.99, mean of the repeat purchases 38.81 per purchase."""
    table = summarize(cdnow_log(sample=True), as_of="1997-09-30")
    repeat = (table["monetary_value"] * table["frequency"]).sum() / table["frequency"].sum()
    assert round(table["first_amount"].mean(), 2) == 32.99
    assert round(repeat, 2) == 38.81


def test_the_master_log_has_its_published_size():
    log = cdnow_log()
    assert (len(log), log["customer_id"].nunique(), int((log["amount"] == 0).sum())) == (
        *(69659, 23570, 80),
    )
    assert (str(log["date"].min())[:10], str(log["date"].max())[:10]) == (
        "1997-01-01",
        "1998-06-30",
    )


def test_cleaning_changes_nothing_but_orders_without_money():
    log = cdnow_log()
    kept, _ = clean(log, zero_amounts="keep")
    by_day = log.groupby(["customer_id", "date"], as_index=False)["amount"].sum()
    assert len(kept) == len(by_day)
    assert np.allclose(kept["amount"], by_day["amount"])
    dropped, report = clean(log)
    assert len(by_day) - len(dropped) == 80
    assert report.findings[0].rows == 80


def test_lifetimes_is_read_but_not_imported():
    code = (
        "import sys; from clv.data.cdnow import cdnow_log, cdnow_summary; "
        "cdnow_summary(); cdnow_log(sample=True); sys.exit('lifetimes' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_lifetimes_the_error_says_so(monkeypatch):
    monkeypatch.setattr(cdnow.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="install lifetimes"):
        cdnow_summary()
