"""``clv first-orders``: files in and out, what it says, and values that a plan takes."""

import json

import numpy as np
import pandas as pd
import pytest

from clv.app.estimates import drawn_values
from clv.app.lead_files import channel_values
from clv.data.cdnow import cdnow_log


@pytest.fixture(scope="module")
def home(tmp_path_factory, cdnow_scorer):
    """CDNOW's sample with a channel by the weekday of the order, and a model."""
    folder = tmp_path_factory.mktemp("first")
    log = cdnow_log(sample=True)
    channel = np.where(log["customer_id"] % 3 == 0, "search", "mail")
    log.assign(channel=channel).to_csv(folder / "orders.csv", index=False)
    leak = log.groupby("customer_id")["date"].transform("size")
    log.assign(orders_so_far=leak).to_csv(folder / "leak.csv", index=False)
    cdnow_scorer.save(folder / "model")
    return folder


def test_values_go_to_files_and_from_there_into_plans(run, home):
    out, values = home / "first.parquet", home / "values.csv"
    words = ("first-orders", home / "orders.csv", "--model", home / "model")
    more = ("--covariates", "amount,quantity", "--by", "channel")
    result = run(*words, *more, "--output", out, "--values", values)
    assert result.code == 0, result.err
    for said in (
        "a higher quantity (by one standard deviation): purchases",
        "ZILN",
        "boosted trees",
        "within 90%",
        "search",
    ):
        assert said in result.out
    table = pd.read_parquet(out)
    assert len(table) == table["customer_id"].nunique() == 2_349  # eight paid nothing at all
    assert (table["clv_low"] <= table["clv"]).all()
    assert (table["currency"] == "USD").all()
    means, drawn = channel_values(str(values)), drawn_values(str(values), 400)
    rows = pd.read_csv(values).set_index("channel")
    for name, mean in means.items():
        assert drawn[name].mean() == pytest.approx(mean, rel=0.05)
        low, high = np.quantile(drawn[name], [0.05, 0.95])
        wide = rows.loc[name, "new_customer_value_high"] - rows.loc[name, "new_customer_value_low"]
        assert high - low == pytest.approx(wide, rel=0.15)


def test_values_of_first_orders_seed_a_lookalike(run, home, tmp_path):
    """An advertiser's list with values takes what is expected of customers, not what they spent."""
    out, seeds = tmp_path / "first.parquet", tmp_path / "seeds.csv"
    run("first-orders", home / "orders.csv", "--model", home / "model", "--output", out)
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
    words = ("first-orders", home / "orders.csv", "--model", home / "model", "--track", "first")
    document = json.loads(run(*words, "--json").out)
    assert document["backtest"]["hits"][0]["method"] == "first order"
    assert document["model"]["customers"] == 2_349
    assert document["run"]


def test_mistakes_are_said(run, home):
    words = ("first-orders", home / "leak.csv", "--model", home / "model")
    leak = run(*words, "--covariates", "amount,orders_so_far")
    assert leak.code == 3
    assert "tells who bought again" in " ".join(leak.err.split())
    assert run(*words, "--covariates", "nothing").code == 3
    assert run(*words, "--values", home / "v.csv").code == 2
