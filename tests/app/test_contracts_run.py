"""Subscribers from a table to the page, by the commands a newcomer would type."""

import json

import pandas as pd
import pyarrow.parquet as pq
import pytest

from clv.app.contracts import joined_scores
from clv.cli.main import app as commands
from clv.cli.main import run as run_command
from clv.cli.options import CHAMPION
from clv.cli.screen import Screen
from clv.cli.serve import scorer_for
from clv.contracts.contract_fit import fit_contracts
from clv.contracts.contract_tables import read_contract_table
from clv.contracts.contract_value import contract_scores
from clv.errors import InputError
from clv.value.value import Terms
from clv.web.application import create_app
from tests.web.page.conftest import Browser


def clv(*words, code=0):
    with pytest.raises(SystemExit) as ended:
        run_command(commands, "clv", [str(word) for word in words])
    assert ended.value.code == code


@pytest.fixture(scope="module")
def firm(tmp_path_factory):
    """Scores, document, report and store of simulated subscribers."""
    place = tmp_path_factory.mktemp("firm")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place}/models/store/mlflow.db")
        clv("simulate", "--subscriptions", "--output", "data", "--customers", 1500)
        clv("init", "data/subscriptions.csv", "--output", "clv.toml")
        files = ["-o", "scores.parquet", "--document", "contracts.json", "--book", "book.csv"]
        files += ["--report", "contracts.html", "--register", "clv-contracts"]
        clv("contracts", "clv.toml", "--margin-rate", 0.8, *files)
        clv("publish", "scores.parquet", "--contracts", "contracts.json", "--to", "store")
    return place


@pytest.fixture(scope="module")
def browser(firm):
    return Browser(create_app(None, store=firm / "store"))


def test_the_files_hold_what_they_are_named_for(firm):
    book = pd.read_csv(firm / "book.csv")
    moved = book["start"] + book["new"] + book["reactivation"] + book["expansion"]
    assert (moved - book["contraction"] - book["churn"]).round(2).equals(book["end"].round(2))
    truth = json.loads((firm / "data" / "truth.json").read_text())
    assert truth["kappa"] == 5
    scores = pq.read_table(firm / "scores.parquet")
    assert scores.num_rows == book["customers"].iloc[-1]
    report = (firm / "contracts.html").read_text()
    assert "Who stays, paid by the month" in report
    assert "<script" not in report


def test_a_registered_model_scores_alike_and_targets_take_the_scores(firm, monkeypatch):
    monkeypatch.chdir(firm)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{firm}/models/store/mlflow.db")
    model = ["--model", "models:/clv-contracts/1", "--margin-rate", 0.8]
    clv("contracts", "data/subscriptions.csv", *model, "-o", "again.parquet")
    assert pq.read_table("again.parquet").equals(pq.read_table("scores.parquet"))
    clv("contracts", "clv.toml", "--model", "models:/nothing/1", code=6)
    offer = ["--budget", 200, "--contact-cost", 1, "--output", "targets.csv"]
    clv("targets", "scores.parquet", *offer)
    targets = pd.read_csv("targets.csv")
    assert targets["cost"].sum() <= 200
    assert len(targets) > 50


def test_a_year_later_the_model_is_held_against_the_table(firm, monkeypatch, capsys):
    monkeypatch.chdir(firm)
    rows = pd.read_csv("data/subscriptions.csv")
    then = rows[rows["start"] <= "2023-06-30"].copy()
    then["end"] = then["end"].where(then["end"] <= "2023-06-30")
    then.to_csv("then.csv", index=False)
    clv("contracts", "then.csv", "--as-of", "2023-06-30", "--save", "then.json")
    clv("monitor", "data/subscriptions.csv", "--model", "then.json", "-o", "monitor.json")
    assert json.loads((firm / "monitor.json").read_text())["verdict"] == "ok"
    rows.assign(end="2024-01-10").to_csv("gone.csv", index=False)
    clv("monitor", "gone.csv", "--model", "then.json", code=3)  # half of it ends before it starts
    then.assign(end=then["end"].fillna("2023-09-10")).to_csv("gone.csv", index=False)
    clv("monitor", "gone.csv", "--model", "then.json", code=8)
    clv("monitor", "gone.csv", code=3)
    assert "held against a model of contracts" in capsys.readouterr().err


def test_the_page_shows_book_models_and_an_annual_plan(browser):
    page = browser("/subscriptions").text
    for words in ("How recurring revenue moved", "Who stays, paid by the month", "Cash at once"):
        assert words in page
    moved = browser("/subscriptions?discount=35&selection=6&renewal=40").text
    assert "of cash at once" in moved
    asked_for = {"X-Part": "results"}  # by the script, which leaves the rest as it is
    part = browser("/subscriptions?discount=35&selection=6&renewal=40", headers=asked_for).text
    whole, results = (
        text.split('<div id="results">')[1].split("</div>\n</section>")[0] for text in (moved, part)
    )
    assert results == whole
    assert "data-part" in part
    assert "How recurring revenue moved" not in part
    refused = browser("/subscriptions?discount=much").text
    assert "Discount on a year is" in refused
    for room in ("/", "/customers", "/retention", "/trust"):
        assert browser(room).status_code == 200
        assert '<a href="/subscriptions"' in browser(room).text


def test_the_api_answers_for_subscribers_without_a_model_of_orders(browser):
    contracts = browser("/v1/contracts").json()["contracts"]
    assert {p["interval"] for p in contracts["periods"]} == {"month", "year"}
    plan = browser("/v1/contracts/annual-plan?price=19&discount=0.25").json()["annual_plan"]
    assert plan["cash_now"] == pytest.approx(19 * 8)
    assert len(plan["surface"]) == 35
    assert browser("/v1/contracts/annual-plan?discount=1").status_code == 422
    assert browser("/v1/model").status_code == 404


def test_wrong_words_end_in_words(firm, monkeypatch, capsys):
    monkeypatch.chdir(firm)
    clv("contracts", "data/subscriptions.csv", "--currency", "GBP", code=3)
    assert "not in GBP" in capsys.readouterr().err
    clv("contracts", "book.csv", code=3)
    assert "no table of contracts" in capsys.readouterr().err
    clv("publish", "scores.parquet", "--contracts", "data/truth.json", "--to", "other", code=3)
    assert "no document of contracts" in capsys.readouterr().err
    (firm / "book.json").write_text('{"periods": [5]}', encoding="utf-8")
    clv("plan-test", "--contracts", "book.json", code=3)
    assert "no document of contracts" in capsys.readouterr().err
    counts = pd.DataFrame({"cohort": "a", "period": range(4), "active": [90, 60, 45, 40]})
    counts.to_csv("counts.csv", index=False)
    clv("contracts", "counts.csv", "--json")
    assert json.loads(capsys.readouterr().out)["book"] is None
    clv("contracts", "counts.csv", "-o", "no.parquet", code=3)
    assert not (firm / "no.parquet").exists()


SUBSCRIPTIONS = """customer_id,plan,start,end,price,currency
a,basic,2025-01-01,,10,EUR
b,basic,2025-02-01,2025-11-01,10,USD
c,basic,2025-02-01,,20,EUR
"""


@pytest.mark.parametrize("code", ["EUR", "usd", "it's; --"])
def test_a_table_that_names_no_currency_is_in_the_one_that_is_said(
    code, tmp_path, monkeypatch, capsys
):
    """It had nobody with a value before; a quotation mark in the code was taken for SQL."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "subs.csv").write_text(
        "\n".join(line.rpartition(",")[0] for line in SUBSCRIPTIONS.splitlines())
    )
    reading = ["--as-of", "2026-01-01", "--interval", "month", "--currency", code]
    clv("contracts", "subs.csv", *reading, "-o", "scores.csv", "--document", "contracts.json")
    assert list(pd.read_csv("scores.csv")["currency"]) == [code.upper()] * 2
    document = json.loads((tmp_path / "contracts.json").read_text())
    assert document["currency"] == code.upper()
    assert {row["currency"] for row in document["book"]["months"]} == {code.upper()}


def test_a_currency_in_which_nothing_runs_any_more_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "subs.csv").write_text(SUBSCRIPTIONS)
    reading = ["--as-of", "2026-01-01", "--interval", "month", "--currency"]
    clv("contracts", "subs.csv", *reading, "USD", code=3)
    assert "no contract in USD runs on 2026-01-01" in capsys.readouterr().err
    clv("contracts", "subs.csv", *reading, "GBP", code=3)
    assert "the contracts are in EUR, USD, not in GBP" in capsys.readouterr().err
    table = read_contract_table(
        pd.read_csv("subs.csv").drop(columns="currency"), as_of="2026-01-01", interval="month"
    )
    with pytest.raises(InputError, match="the contracts name no currency"):
        contract_scores(table, fit_contracts(table), Terms(0.8, currency="EUR"))


def test_what_is_said_of_subscribers_is_payments_and_renewals(firm, browser, capsys, monkeypatch):
    monkeypatch.chdir(firm)
    scores = pq.read_table("scores.parquet")
    key = scores["customer_id"][0].as_py()
    pages = {room: browser(room).text for room in (f"/customers/{key}", "/customers", "/retention")}
    assert "a missed renewal within 13 weeks" in pages[f"/customers/{key}"]
    assert "a missed renewal within 13 weeks" in pages["/customers"]
    for text in pages.values():
        for word in ("no order", "no purchase", "Last order", "Next order", "Purchases"):
            assert word not in text
    clv("targets", "scores.parquet", "--contact-cost", 1, "--bought-within", 20)
    said = " ".join(capsys.readouterr().out.split())
    assert "the chance of a missed renewal within 13 weeks" in said
    assert "paid within 20 days" in said
    assert "bought" not in said


def test_a_store_of_both_kinds_is_served_without_a_model_of_orders(firm, monkeypatch, capsys):
    monkeypatch.chdir(firm)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{firm}/models/store/mlflow.db")
    subscribers = pq.read_table("scores.parquet")
    buyers = subscribers.slice(0, 5).drop_columns(["plan", "customer_id", "model_version"])
    buyers = buyers.append_column("customer_id", [[f"b{k}" for k in range(5)]])
    buyers = buyers.append_column("model_version", [["orders-1"] * 5])
    pq.write_table(joined_scores(buyers, subscribers), "both.parquet")
    clv("publish", "both.parquet", "--contracts", "contracts.json", "--to", "both")
    capsys.readouterr()
    assert scorer_for(Screen(), firm / "both", CHAMPION) is None
    assert "new orders are not scored" in capsys.readouterr().err
    page = Browser(create_app(None, store=firm / "both"))
    assert "no order within 13 weeks" in page("/customers/b3").text
    assert "no order, or of subscribers a missed renewal, within" in page("/customers").text
    assert '<a href="/subscriptions"' in page("/nowhere").text
    clv("publish", "both.parquet", "--to", "shop")
    shop = Browser(create_app(None, store=firm / "shop"))
    assert '<a href="/subscriptions"' not in shop("/nowhere").text


def test_covariates_and_a_run_from_a_csv(firm, monkeypatch, capsys):
    monkeypatch.chdir(firm)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{firm}/models/store/mlflow.db")
    rows = pd.read_csv("data/subscriptions.csv")
    rows.assign(country=rows["customer_id"].str[-1].isin(list("369"))).to_csv("by.csv", index=False)
    capsys.readouterr()
    files = ["--save", "by.json", "-o", "by.parquet", "--track", "subscribers"]
    clv("contracts", "by.csv", "--covariates", "plan,country", *files)
    said = " ".join(capsys.readouterr().out.split())
    assert "leaving[plan=pro]" in said
    assert "of experiment subscribers" in said
    clv("contracts", "by.csv", "--model", "by.json", "-o", "again.parquet")
    assert pq.read_table("again.parquet").equals(pq.read_table("by.parquet"))
    clv("contracts", "by.csv", "--covariates", "shoe", code=3)
    clv("monitor", "by.csv", "--model", "by.json", "--since", "2024-01-01", code=3)
    assert "--since: nothing that is held against a table of contracts" in capsys.readouterr().err
