"""The steps of an upload: what they write, and what they do not do twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from clv.app.jobs import job_steps
from clv.app.jobs.job_folder import JobFolder
from clv.app.jobs.job_steps import CHECK, JobRun, run_check, run_publish
from clv.app.jobs.upload_job import ExtraFile
from clv.app.training.config import Config
from clv.errors import InputError
from clv.store import Store, publish
from clv.store.folder import current_file
from clv.value.value import Terms

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


def test_a_publish_that_was_killed_after_its_end_is_not_done_twice(run: JobRun) -> None:
    publish(SCORES, run.store)
    before = current_file(run.store).name
    publish(SCORES, run.store)
    now = current_file(run.store).name
    run_publish(again(run, step="publish", served_before=before))
    assert run.jobs.read(run.job.job_id).published == now
    assert current_file(run.store).name == now
