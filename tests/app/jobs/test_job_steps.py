"""The steps of an upload: what they write, and what they do not do twice."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import clv
from clv.app.contents.document import NOT_MADE
from clv.app.contracts import contract_document, run_contracts
from clv.app.jobs import job_steps
from clv.app.jobs.job_folder import CHECK, JobFolder
from clv.app.jobs.job_steps import JobRun, run_check, run_publish
from clv.app.jobs.upload_job import ExtraFile
from clv.app.publishing import RunFiles, publish_run
from clv.app.training.config import Config
from clv.contracts.contract_tables import read_contract_table
from clv.data.transactions import clean
from clv.errors import InputError
from clv.io.files import write_table
from clv.store import Filter, Store, publish
from clv.store.folder import current_file
from clv.value.value import Terms
from clv.web.application import create_app
from tests.web.page.conftest import Browser

SCORES = pd.DataFrame(
    {"customer_id": ["a"], "days_since_last": [1.0], "clv": [1.0],
     "expected_purchases": [1.0], "churn_probability": [0.1], "value_at_stake": [1.0],
     "model_version": "v1", "as_of": "2023-03-31", "horizon": "3 years", "currency": "EUR"}
)  # fmt: skip


@pytest.fixture
def run(store: Path, tmp_path: Path) -> JobRun:
    """A job that a worker has begun, in a store of models that is empty."""
    jobs = JobFolder(tmp_path / "jobs")
    days = pd.date_range("2023-01-01", periods=300, freq="D")
    rows = [(f"c{k % 150}", days[(k * 7) % 300], 10.0 + k % 9) for k in range(600)]
    table = pd.DataFrame(rows, columns=["wer", "wann", "wieviel"])
    with jobs.incoming("orders.csv") as place:
        table.to_csv(place, index=False)
        job = jobs.add("ann", "orders.csv", place)
    return JobRun(jobs, jobs.begin(job.job_id), tmp_path / "pages", "clv")


def again(run: JobRun, **changes: object) -> JobRun:
    """The same job, begun once more after it was killed."""
    run.jobs.note(run.job.job_id, **changes)
    return JobRun(run.jobs, run.jobs.begin(run.job.job_id), run.store, run.model)


def test_a_check_asks_and_then_writes_what_training_reads(run: JobRun) -> None:
    run_check(run)
    asked = run.jobs.document(run.job.job_id, CHECK)
    assert not asked["usable"]
    open_columns = {one["field"] for one in asked["questions"]}
    assert "columns.customer_id" in open_columns
    columns = {"customer_id": "wer", "date": "wann", "amount": "wieviel"}
    run_check(again(run, answers={"columns": columns}))
    checked = run.jobs.document(run.job.job_id, CHECK)
    assert (checked["usable"], checked["fit"], checked["customers"]) == (True, True, 150)
    config = again(run, terms={"margin_rate": 0.3, "currency": "EUR"}).config()
    assert (config.terms.margin_rate, config.terms.currency) == (0.3, "EUR")
    assert config.model.name == "clv"
    assert config.data.columns.customer_id == "wer"


def test_it_is_trained_as_the_model_in_use_was(
    run: JobRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {
        "data": {"columns": {"customer_id": "wer", "date": "wann", "amount": "wieviel"}},
        "terms": {"margin_rate": 0.4, "horizon": "2 years", "currency": "CHF"},
        "model": {"name": "other", "purchase_model": "pareto_nbd", "churn_horizon": "9 weeks"},
        "promotion": {"measure": "purchases/gini"},
    }
    monkeypatch.setattr(job_steps, "earlier_settings", lambda model: before)
    run_check(run)
    assert run.jobs.document(run.job.job_id, CHECK)["fit"]  # read as those were, nothing asked
    config = run.config()
    assert isinstance(config, Config)
    assert (config.terms.margin_rate, config.terms.horizon) == (0.4, "2 years")
    assert (config.model.name, config.model.purchase_model) == ("clv", "pareto_nbd")
    assert config.promotion.measure == "purchases/gini"
    assert str(config.holdout.cutoff) > "2023-07-01"  # of these orders


def test_subscriptions_are_sent_to_their_own_command(run: JobRun) -> None:
    table = pd.DataFrame(
        {"subscription_id": ["s1"], "customer_id": ["a"], "start_date": ["2023-01-01"],
         "cancelled_at": [""], "plan": ["basic"], "mrr": [10.0]}
    )  # fmt: skip
    table.to_csv(run.path("orders.csv"), index=False)
    with pytest.raises(InputError, match="subscriptions"):
        run_check(run)


def test_orders_are_published_with_the_result_of_a_campaign(
    run: JobRun, published_scorer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = published_scorer(Terms(0.3, currency="EUR"), "2023-10-27")
    monkeypatch.setattr(job_steps, "load_scorer", lambda uri: scorer)
    publish(SCORES, run.store)
    columns = {"customer_id": "wer", "date": "wann", "amount": "wieviel"}
    run_check(again(run, answers={"columns": columns}))
    list_ = pd.DataFrame({"customer_id": [f"c{k}" for k in range(120)]}).assign(
        treated=[k % 2 for k in range(120)], propensity=0.5, cost=1.0, expected_gain=2.0,
        outcome_margin=[3.0 if k % 2 else 2.0 for k in range(120)], as_of="2023-09-30",
        currency="EUR",
    )  # fmt: skip
    list_.to_csv(run.path("campaign.csv"), index=False)
    extra = ExtraFile(name="campaign.csv", title="Autumn offer.csv")
    run_publish(again(run, step="publish", with_new=False, extras={"campaign": extra}))
    with Store.open(run.store) as pages:
        (campaign,) = pages.document("campaigns") or [{}]
        assert (pages.customers, campaign["name"]) == (150, "Autumn offer")
        assert campaign["published_by"] == "ann"


def test_what_cannot_be_used_is_named_and_the_scores_are_published(
    run: JobRun, published_scorer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = published_scorer(Terms(0.3, currency="EUR"), "2023-10-27")
    monkeypatch.setattr(job_steps, "load_scorer", lambda uri: scorer)
    contacts = pd.DataFrame({"customer_id": ["c1"], "email": ["c1@example.com"]})
    earlier = SCORES.assign(customer_id="c1", plan="basic")
    publish(earlier, run.store, tables={"contacts": contacts})
    columns = {"customer_id": "wer", "date": "wann", "amount": "wieviel"}
    run_check(again(run, answers={"columns": columns}))
    files = {
        "contacts": pd.DataFrame({"customer_id": ["c1", "c1"], "email": ["x@y.z", "y@y.z"]}),
        "campaign": pd.DataFrame({"who": ["c1"]}),
        "spend": pd.DataFrame({"channel": ["search"], "spend": ["a lot"]}),
        "order_lines": order_lines(4).head(40),
    }
    for kind, table in files.items():
        table.to_csv(run.path(f"{kind}.csv"), index=False)
    extras = {kind: ExtraFile(name=f"{kind}.csv", title=kind) for kind in files}
    run_publish(again(run, step="publish", with_new=False, extras=extras))
    with Store.open(run.store) as pages:
        assert pages.customers == 150
        assert "contacts" in pages.tables  # those of the publish before, as the new ones are none
        said = [str(note) for note in pages.notes if note.code in NOT_MADE[:2]]
        assert [text.partition(":")[0] for text in said] == [
            "Published without spend by channel", "Published without contacts",
            "Published without campaigns", "The order lines that were uploaded give no next offers",
        ]  # fmt: skip
        (left,) = (note for note in pages.notes if note.code == "store.subscribers_left")
        assert "orders alone: 1 subscriber of the publish before." in str(left)
    browser = Browser(create_app(scorer, store=run.store))
    assert 'href="/offers"' in browser("/").text
    assert "it takes 200 such customers and 50 items" in browser("/offers").text


def test_a_publish_that_was_killed_after_its_end_is_not_done_twice(run: JobRun) -> None:
    publish(SCORES, run.store)
    before = current_file(run.store).name
    publish(SCORES, run.store)
    now = current_file(run.store).name
    run_publish(again(run, step="publish", served_before=before))
    assert run.jobs.read(run.job.job_id).published == now
    assert current_file(run.store).name == now


PLAN = """
budget = 900.0
horizon = "3 years"
[[channels]]
name = "search"
value = 60.0
current = 800.0
response = { curve = "power", k = 12, b = 0.6 }
"""


def order_lines(seed: int) -> pd.DataFrame:
    """Of customers some of whom are those of the orders."""
    lines = clv.simulate_order_lines(seed, customers=600, items=80).lines
    return lines.assign(customer_id="c" + lines["customer_id"].astype(str))


def files_of_everything(folder: Path, scores: pd.DataFrame, scorer: Any) -> RunFiles:
    """What the commands write, of each kind that a publish takes."""
    lines = clv.read_order_lines(order_lines(4))
    offers = clv.next_best_offers(lines, clv.NextOfferTerms("8 weeks", top=2))
    referred = pd.DataFrame({"referrer_id": ["c1"], "referred_id": ["c2"]})
    referred = clv.read_referrals(referred.assign(date="2023-02-05", reward=10.0))
    brought = clv.value_referrals(referred, {"c1": 90.0, "c2": 50.0}, incremental_share=0.5)
    leads = clv.read_leads(clv.simulate_leads(1, leads=600).leads)
    rows = clv.simulate_subscriptions(1, customers=400).subscriptions
    contracts = contract_document(run_contracts(read_contract_table(rows), scorer.terms))
    log = clean(pd.read_parquet(folder / "orders.parquet"))[0]
    report = clv.monitor(scorer, log, since="2023-09-30")
    plan = clv.retention_targets(scores, clv.Offer(contact_cost=0.1), 5.0)
    barred = plan.eligibility.assign(reason=None, status="treat")
    barred.loc[:4, ["reason", "status"]] = ["no consent", "not contacted"]
    ids = scores["customer_id"]
    tables = {
        "offers": offers.table, "targets": plan.table, "eligibility": barred,
        "contacts": pd.DataFrame({"customer_id": ids, "email": ids + "@example.com"}),
        "spend": pd.DataFrame({
            "channel": "search", "spend": 20.0, "new_customers": 3,
            "period": pd.date_range("2023-01-02", periods=40, freq="7D").strftime("%Y-%m-%d"),
        }),
        "mine": pd.DataFrame({"shop": ["Bern"]}),
    }  # fmt: skip
    documents = {
        "offer_report": offers.to_dict(), "contracts": contracts, "monitor": report.to_dict(),
        "referrals": brought.to_dict() | {"left_out": {}, "members": None},
        "funnel": clv.lead_funnel(leads, clv.FunnelTerms(90, 900.0)).to_dict(),
    }  # fmt: skip
    for name, table in tables.items():
        write_table(table, folder / f"{name}.parquet")
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document, default=str))
    (folder / "plan.toml").write_text(PLAN)
    named = {name: str(folder / f"{name}.parquet") for name in tables if name != "mine"}
    named |= {name: str(folder / f"{name}.json") for name in documents}
    mine = {"mine": str(folder / "mine.parquet")}
    return RunFiles(**named, plan=str(folder / "plan.toml"), tables=mine)


def test_a_publish_from_the_page_loses_nothing_that_a_command_published(
    run: JobRun, published_scorer: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scorer = published_scorer(Terms(0.3, currency="EUR"), "2023-10-27")
    monkeypatch.setattr(job_steps, "load_scorer", lambda uri: scorer)
    columns = {"customer_id": "wer", "date": "wann", "amount": "wieviel"}
    orders = pd.read_csv(run.path("orders.csv")).rename(columns={b: a for a, b in columns.items()})
    orders.to_parquet(tmp_path / "orders.parquet")
    scores = scorer.predict(clv.summarize(clean(orders)[0])).iloc[:-1]
    write_table(scores, tmp_path / "scores.parquet")
    files = files_of_everything(tmp_path, scores, scorer)
    publish_run(str(tmp_path / "scores.parquet"), run.store, files, scorer=scorer)
    run_check(again(run, answers={"columns": columns}))
    with Store.open(run.store) as before:
        run_publish(again(run, step="publish", with_new=False))
        with Store.open(run.store) as after:
            assert not {*before.documents, *before.tables} - {*after.documents, *after.tables}
            for name in ("plan", "contracts", "funnel", "referrals", "monitor", "offer_report"):
                assert after.document(name) == before.document(name)
            for name in ("contacts", "targets", "channels", "curves", "next_offers", "mine"):
                assert after.table(name).equals(before.table(name)), name
            assert (before.customers, after.customers) == (149, 150)
            kept = after.count(Filter(eligible=True)), after.count(Filter(eligible=False))
            assert kept == (144, 6)  # five who were barred, and who is new
            said, after_offers = " ".join(map(str, after.notes)), after.table("next_offers")
    assert "Taken on from an earlier publish, as of 27 October 2023: " in said
    assert {"contacts", "next offers", "mine"} <= set(re.split(r"[:,.] ", said))
    rooms = re.findall(r'href="(/\w+)"', Browser(create_app(scorer, store=run.store))("/").text)
    assert {"/retention", "/offers", "/subscriptions", "/channels", "/budget"} <= set(rooms)
    write_table(order_lines(5), Path(run.path("lines.parquet")))
    extra = {"order_lines": ExtraFile(name="lines.parquet", title="Lines.parquet")}
    run_publish(again(run, step="publish", with_new=False, extras=extra, attempts=0))
    with Store.open(run.store) as newer:
        assert not newer.table("next_offers").equals(after_offers)
        assert "next_offers" not in newer.document("taken_on")
        assert newer.document("taken_on")["contacts"] == "2023-10-27"
