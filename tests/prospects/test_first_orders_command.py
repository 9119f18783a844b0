"""``clv first-orders``: files in and out, what it says, and values that a plan takes."""

import json

import numpy as np
import pandas as pd
import pytest

import clv
from clv.app.estimates import drawn_values
from clv.app.first_orders_of_files import log_with
from clv.app.lead_files import channel_values
from clv.data.cdnow import cdnow_log
from clv.errors import InputError
from clv.prospects.leaks import require_unchanged

WORDS = ("--covariates", "quantity", "--by", "channel")


@pytest.fixture(scope="module")
def home(tmp_path_factory, published_scorer):
    """A sixth of CDNOW's sample with a channel, and a model."""
    folder = tmp_path_factory.mktemp("first")
    log = cdnow_log(sample=True)
    channel = np.where(log["customer_id"] % 9 == 0, "search", "mail")
    some = log.assign(channel=channel)[log["customer_id"] % 6 == 0]
    some.assign(quantity=some["quantity"].clip(upper=4)).to_csv(folder / "orders.csv", index=False)
    few = log[log["customer_id"] % 15 == 0]
    leak = few.groupby("customer_id")["date"].transform("size")
    few.assign(orders_so_far=leak).to_csv(folder / "few.csv", index=False)
    published_scorer(clv.Terms(0.3, 0.1, currency="USD"), "1998-06-30").save(folder / "model")
    return folder


def paying(log):
    """Customers who paid anything."""
    return (log.groupby("customer_id")["amount"].sum() > 0).sum()


def test_values_go_to_files_and_from_there_into_plans_and_lookalikes(run, home, tmp_path):
    words = ("first-orders", home / "orders.csv", "--model", home / "model", *WORDS)
    valued = run(*words, "--output", home / "first.parquet", "--values", home / "values.csv")
    assert valued.code == 0, valued.err
    for said in (
        "a higher quantity (by one standard deviation): purchases",
        "ZILN",
        "boosted trees",
        "within 90%",
        "search",
    ):
        assert said in valued.out
    table = pd.read_parquet(home / "first.parquet")
    assert len(table) == table["customer_id"].nunique() == paying(pd.read_csv(home / "orders.csv"))
    assert (table["clv_low"] <= table["clv"]).all()
    assert (table["currency"] == "USD").all()
    values = str(home / "values.csv")
    means, drawn = channel_values(values), drawn_values(values, 400)
    rows = pd.read_csv(values).set_index("channel")
    for name, mean in means.items():
        assert drawn[name].mean() == pytest.approx(mean, rel=0.05)
        low, high = np.quantile(drawn[name], [0.05, 0.95])
        wide = rows.loc[name, "new_customer_value_high"] - rows.loc[name, "new_customer_value_low"]
        assert high - low == pytest.approx(wide, rel=0.15)
    _seeds_are_the_most_valuable(run, home, tmp_path)


def _seeds_are_the_most_valuable(run, home, tmp_path):
    """An advertiser's list with values takes what is expected of customers, not what they spent."""
    out, seeds = home / "first.parquet", tmp_path / "seeds.csv"
    table = pd.read_parquet(out)
    contacts = table[["customer_id"]].assign(ad_user_data="granted", ad_personalization="granted")
    contacts["email"] = [f"u{who}@example.com" for who in table["customer_id"]]
    contacts.to_csv(tmp_path / "crm.csv", index=False)
    words = ("export", out, "--to", "meta", "--contacts", tmp_path / "crm.csv", "--output", seeds)
    result = run(*words, "--audience", "list", "--tier", "top 1%", "--tier", "1 to 5%")
    assert result.code == 0, result.err
    best = table["clv"].nlargest(len(pd.read_csv(seeds))).round(2)
    assert sorted(pd.read_csv(seeds)["value"]) == pytest.approx(sorted(best), abs=0.011)


def test_the_run_is_logged_and_json_holds_the_whole(run, home, store):
    words = ("first-orders", home / "few.csv", "--model", home / "model", "--track", "first")
    document = json.loads(run(*words, "--json").out)
    assert document["backtest"]["hits"][0]["method"] == "first order"
    assert document["model"]["customers"] == paying(pd.read_csv(home / "few.csv"))
    assert document["run"]


def test_the_hour_is_read_where_the_file_has_it(tmp_path):
    """Of a customer's first day only the first hour's rows are the first order."""
    rows = [
        ("a", "2024-01-05 09:10", 10.0, 1, "web"),
        ("a", "2024-01-05 09:40", 5.0, 2, "web"),
        ("a", "2024-01-05 11:00", 90.0, 9, "app"),
        ("b", "2024-01-06 23:30", 7.0, 1, "app"),
        ("b", "2024-02-01 10:00", 8.0, 3, "web"),
        ("c", "2024-02-02 00:00", 4.0, 4, "web"),
    ]
    columns = ["customer_id", "date", "amount", "items", "source"]
    file = tmp_path / "hours.csv"
    pd.DataFrame(rows, columns=columns).to_csv(file, index=False)
    names = ["items", "source"]
    log = log_with(str(file), names, None)
    assert log["amount"].sum() == pytest.approx(124.0)
    first = clv.first_orders(log, names).set_index("customer_id")
    assert first["first_amount"].round(9).to_dict() == {"a": 15.0, "b": 7.0, "c": 4.0}
    assert first["items"].to_dict() == {"a": 3.0, "b": 1.0, "c": 4.0}
    assert first["source"].to_dict() == {"a": "web", "b": "app", "c": "web"}


def test_a_weak_leak_is_caught_by_an_earlier_export(run, home, tmp_path):
    """Noise around what customers did until the export, of whom .8 of AUC would catch nothing."""
    log = pd.read_csv(home / "few.csv")
    rng = np.random.default_rng(0)
    noise = pd.Series(rng.normal(0, 3, log["customer_id"].max() + 1))
    files = []
    for day in ("1997-12-31", "1998-06-30"):
        known = log[log["date"] <= day]
        orders = known.groupby("customer_id")["date"].transform("size")
        score = (orders + noise[known["customer_id"]].to_numpy()).round(3)
        files.append(tmp_path / f"{day}.csv")
        known.assign(engagement=score).to_csv(files[-1], index=False)
    words = ("first-orders", files[1], "--model", home / "model", "--covariates")
    leak = run(*words, "engagement", "--earlier-export", files[0])
    assert leak.code == 3
    assert "engagement was filled in after the first order" in " ".join(leak.err.split())
    now, then = (
        clv.first_orders(log_with(str(f), ["quantity"], None), ["quantity"]) for f in files
    )
    require_unchanged(now, then, ["quantity", "amount"])
    with pytest.raises(InputError, match="no first order is in both"):
        require_unchanged(now, then.head(0), ["quantity"])


def test_mistakes_are_said(run, home):
    words = ("first-orders", home / "few.csv", "--model", home / "model")
    leak = run(*words, "--covariates", "amount,orders_so_far")
    assert leak.code == 3
    assert "tells who bought again" in " ".join(leak.err.split())
    assert run(*words, "--covariates", "nothing").code == 3
    assert run(*words, "--values", home / "v.csv").code == 2
