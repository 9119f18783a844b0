"""The room Retention: its figures against ``retention_targets``, its form, and its file."""

from __future__ import annotations

import hashlib
import io
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi import FastAPI

from clv.app.retention import campaign, may_contact
from clv.decide.retention.hull import best_first
from clv.decide.retention.offer import BetaRate, Offer
from clv.decide.retention.plan import CampaignPlan, retention_targets
from clv.defaults import CONTROL_SHARE
from clv.experiments.offer_test import plan_offer_test
from clv.exports.audit import Audit, read_audit
from clv.format import money
from clv.scorer import CustomerScorer
from clv.store import Store, publish
from clv.web.access.roles import Role, least_role
from clv.web.access.who import Access, Visitor
from clv.web.application import create_app
from clv.web.page.retention_lists import may_see_contacts, with_what_is_known
from clv.web.page.sliders import Dial, stops

from .conftest import page_of

OFFER = "contact_cost=1&incentive=2&control=10"
MANY = 200  # customers of the small stores


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def sent(query: str) -> dict[str, str]:
    return dict(pair.split("=") for pair in query.split("&"))


def test_the_figures_are_those_of_the_list(folder: Path, browse: Any) -> None:
    html = browse(f"/retention?budget=400&{OFFER}").text
    with Store.open(folder) as store:
        people = store.scores(may_contact(store))
    found = retention_targets(people, Offer(1, 2), 400).summary
    said = text_of(html)
    assert f"{found.audience:,} customers to contact for ${found.cost:,.0f}" in said
    assert f"{found.control:,} customers held out as control" in said
    assert f"{100 * found.offers[0].break_even_save_rate:.1f}%" in said  # type: ignore[operator]
    assert "assumed" in said


def test_an_assumed_save_rate_comes_with_its_test(folder: Path, browse: Any) -> None:
    said = text_of(browse(f"/retention?budget=400&{OFFER}").text)
    with Store.open(folder) as store:
        people = store.scores(may_contact(store))
    test = plan_offer_test(people, Offer(1, 2))
    assert "How to measure the save rate" in said
    assert f"hold {test.planned.control:,} customers out by chance" in said
    assert f"({money(test.evpi, 'USD')} if it left no doubt)" in said
    for known in ("source=measured", "save_from=20&save_to=20"):
        html = browse(f"/retention?budget=400&{OFFER}&{known}").text
        assert "How to measure the save rate" not in html


@pytest.mark.parametrize("budget", [0.0, 37.5, 400.0, None])
def test_a_campaign_that_is_kept_gives_the_same_plan(folder: Path, budget: float | None) -> None:
    offer = Offer(0.5, 3, (0.1, 0.4), "measured")
    with Store.open(folder) as store:
        kept = campaign(store, offer, 0.2)
        assert campaign(store, offer, 0.2) is kept
        people = store.export(may_contact(store)).read_all()
    expected = retention_targets(people, offer, budget, control_share=0.2)
    plan = CampaignPlan.within(kept, budget)
    assert plan.summary.to_dict() == expected.summary.to_dict()
    columns = ["rank", "customer_id", "group", "cost", "expected_profit", "currency", "as_of"]
    assert plan.table.select(columns).equals(expected.table.select(columns))
    best = plan.best(7).to_native().select(columns)
    assert best.equals(expected.table.select(columns).slice(0, 7))
    assert kept.gain_curve.notes == expected.gain_curve.notes
    np.testing.assert_array_equal(kept.gain_curve.spent, expected.gain_curve.spent)


def test_ties_are_broken_by_the_draw_whatever_the_order_of_rows() -> None:
    rng = np.random.default_rng(3)
    n = 5_000
    ratio, draw = rng.choice([0.2, 0.5, 0.9, np.inf], n), rng.random(n)
    order, shuffled = best_first(ratio, draw), rng.permutation(n)
    other = best_first(ratio[shuffled], draw[shuffled])
    np.testing.assert_array_equal(order, shuffled[other])
    np.testing.assert_array_equal(order, np.lexsort((draw, -ratio)))


def test_the_form_begins_with_the_defaults_of_everything_else(browse: Any) -> None:
    html = browse("/retention").text
    assert "If empty, 15 to 48, as is usual" in html
    assert re.search(rf'name="control"[^>]*value="{100 * CONTROL_SHARE:g}"', html)


def test_who_may_not_be_contacted_is_left_out_and_said(browse: Any) -> None:
    html = browse(f"/retention?budget=100000&{OFFER}").text
    assert "May not be contacted: &lt;script&gt;" in html
    assert "<script>alert" not in html


def test_a_number_typed_and_a_slider_moved_both_count(browse: Any) -> None:
    typed = "budget=300&budget.slide=250&budget.was=250+250"
    moved = "budget=250&budget.slide=400&budget.was=250+250"
    assert "of a budget of $300" in text_of(browse(f"/retention?{typed}").text)
    assert "of a budget of $400" in text_of(browse(f"/retention?{moved}").text)


def test_a_slider_that_nobody_moved_does_not_round_what_was_typed() -> None:
    dial = Dial("budget", "Budget", 12_345, 0, *stops(50_000))
    number, slide = dial.was.split()
    form = {"budget": number, "budget.slide": slide, "budget.was": dial.was}
    assert (number, slide) == ("12345", "12250")
    for other in (Dial("budget", "Budget", 1, 0, *stops(300)), dial):  # whatever its end is now
        assert other.read(form) == 12_345
        assert not other.turned(form)


@pytest.mark.parametrize(
    "query",
    [
        "budget=abc",
        "budget=-1",
        "budget=nan",
        "contact_cost=1e300",
        "save_from=40&save_to=10",
        "save_from=200",
        "save_from=x",
        "control=100",
    ],
)
def test_what_makes_no_sense_is_said_above_a_form_that_stays(browse: Any, query: str) -> None:
    answer = browse(f"/retention?{query}&incentive=3")
    assert answer.status_code == 200
    assert 'role="alert"' in answer.text
    assert re.search(r'name="incentive"[^>]*value="3"', answer.text)


@pytest.mark.parametrize("query", ["contact_cost=0", "budget=0", "contact_cost=1000000"])
def test_extremes_have_a_page(browse: Any, query: str) -> None:
    answer = browse(f"/retention?{query}")
    assert answer.status_code == 200
    assert 'role="alert"' not in answer.text


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_file_is_the_campaign_of_the_page(folder: Path, browse: Any, kind: str) -> None:
    form = {**sent(OFFER), "budget": "400", "kind": kind}
    answer = browse("/retention/export", "POST", data=form)
    content = io.BytesIO(answer.content)
    table = pd.read_csv(content) if kind == "csv" else pq.read_table(content).to_pandas()
    with Store.open(folder) as store:
        people = store.scores(may_contact(store))
    expected = retention_targets(people, Offer(1, 2), 400).table.to_pandas()
    assert table["customer_id"].astype(str).tolist() == expected["customer_id"].astype(str).tolist()
    np.testing.assert_allclose(table["cost"], expected["cost"])
    assert answer.headers["content-disposition"].endswith(f'.{kind}"')
    assert answer.headers["cache-control"] == "no-store"


def test_cells_of_the_file_are_no_formulas(bare: Any) -> None:
    ids = [f"=cmd|{k}" for k in range(MANY)]
    browse = bare(MANY, customer_id=ids, value_at_stake=50.0)
    answer = browse("/retention/export", "POST", data={"budget": "50"})
    assert "'=cmd|" in answer.text
    assert not re.search(r"(^|,)=cmd", answer.text, re.MULTILINE)


def test_a_file_of_another_kind_is_refused(browse: Any) -> None:
    assert browse("/retention/export", "POST", data={"kind": "../../x"}).status_code == 422


def test_nobody_to_contact_is_said(bare: Any) -> None:
    answer = bare(MANY, eligible=np.zeros(MANY, dtype=bool))("/retention")
    assert answer.status_code == 200
    assert "Nobody may be contacted" in answer.text


def test_scores_where_nobody_is_worth_it_have_a_page(bare: Any) -> None:
    said = text_of(bare(3)("/retention").text)
    assert "Nobody is worth contacting" in said


def test_a_store_that_is_published_next_is_planned_anew(
    tmp_path: Path, folder: Path, scores: pd.DataFrame
) -> None:
    offer = Offer(1)
    with Store.open(folder) as store:
        before = campaign(store, offer, 0.0)
    publish(scores.head(50), tmp_path)
    with Store.open(tmp_path) as store:
        after = campaign(store, offer, 0.0)
    assert len(after.scores) < 50 < len(before.scores)


def test_a_download_leaves_a_line_in_the_audit_without_any_customer(
    app: FastAPI, browse: Any, tmp_path: Path
) -> None:
    log = tmp_path / "audit.jsonl"
    access = Access(audit=Audit(log))

    async def known(scope: Any, receive: Any, send: Any) -> None:
        given = {"clv.access": access, "clv.visitor": Visitor("ann", Role.PLANNER)}
        await app({**scope, **given}, receive, send)

    answer = type(browse)(known)("/retention/export", "POST", data={"budget": "400"})
    (line,) = read_audit(log)
    assert (line["who"], line["destination"]) == ("ann", "csv")
    assert line["rows"] == len(answer.text.splitlines()) - 1 > 0
    assert line["filters"]["budget"] == "400"
    assert line["sha256"] == hashlib.sha256(answer.content).hexdigest()


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/retention"), ("POST", "/retention/export"), ("GET", "/budget")],
)
def test_planning_takes_the_role_of_a_planner(method: str, path: str) -> None:
    assert least_role(method, path) == Role.PLANNER


def test_no_profit_leads_before_a_rate_was_measured(folder: Path, browse: Any) -> None:
    html = browse(f"/retention?budget=400&{OFFER}").text
    said = text_of(html[: html.index('id="more"')])
    assert "Break-even save rate" in said
    assert "Expected profit" not in said
    assert "expected to earn" not in said
    with Store.open(folder) as store:
        summary = retention_targets(store.scores(may_contact(store)), Offer(1, 2), 400).summary
    rates = text_of(html[html.index("It earns") :])
    (low, high), middle = summary.profit_range, summary.expected_profit
    for rate, profit in zip(("15%", "30%", "48%"), (low, middle, high), strict=True):
        assert f"{rate} {money(profit, 'USD')}" in rates
    measured = text_of(browse(f"/retention?budget=400&{OFFER}&save_from=20&source=measured").text)
    assert "expected to earn" in measured


def test_slipping_and_gone_are_two_lists(browse: Any) -> None:
    html = browse(f"/retention?budget=400&{OFFER}").text
    assert html.index(">Slipping</h3>") < html.index(">Probably gone already</h3>")
    assert re.search(r"\d+ (days?|months?) ago", html)


def test_a_campaign_that_was_measured_is_planned_by_and_stands_beside_the_assumed_rates(
    scores: pd.DataFrame, tmp_path: Path, browse: Any
) -> None:
    gain = scores["value_at_stake"] * 0.1 * (scores["days_since_last"] < 100)
    effects = scores[["customer_id"]].assign(
        cost=1.0, expected_gain=gain, gain_low=gain / 2, gain_high=gain * 2,
        lift_source="measured", value_source="value_at_stake",
    )  # fmt: skip
    rate = {"mean": 0.12, "low": 0.05, "high": 0.2}
    result = {"earned": 900.0, "low": 250.0, "high": 1550.0, "level": 0.9, "save_rate": rate}
    record = {
        "name": "spring", "published_by": "ann", "weeks": 13.0, "customers": 300, "control": 290,
        "date": "1997-05-01", "cost": 310.0, "expected_gain": 1200.0, "horizon": "156 weeks",
        "awaited": None, "why_not": None, "result": result,
    }  # fmt: skip
    listed = pd.DataFrame({"customer_id": ["1", "2"], "treated": [1, 0], "campaign": "spring"})
    uplift = {"campaign": "spring", "model": {}}
    documents = {"campaigns": [record], "uplift": uplift}
    tables = {"campaign_lists": listed, "measured_effects": effects}
    publish(scores, tmp_path, documents=documents, tables=tables)
    page = type(browse)(page_of(tmp_path))
    said = text_of(page("/retention?budget=100&control=0").text)
    best = scores[scores["eligible"]].assign(gain=gain).nlargest(100, "gain")["gain"].sum()
    profit, low, high = (money(best * times - 100, "USD") for times in (1, 0.5, 2))
    assert f"5% to 20%, by customer, by spring {profit} {low} to {high} measured" in said
    assert said.count("assumed") >= 3
    assert "spring 1 May 1997 ann 300 290 $310 $1,200 over 3 years $900 $250 to $1,550" in said
    assumed = text_of(page("/retention?budget=100&control=0&source=assumed").text)
    assert "Break-even save rate" in assumed
    assert "by spring" in assumed
    file = page("/retention/export", "POST", data={"campaign": "spring", "kind": "csv"})
    assert pd.read_csv(io.BytesIO(file.content))["customer_id"].tolist() == [1, 2]
    nobody = page("/retention/export", "POST", data={"campaign": "autumn", "kind": "csv"})
    assert nobody.status_code == 422


MEASURED = Offer(1, 0, BetaRate(12, 88), "measured", name="spring", leavers="gone")
BY_FILE = """
[[offers]]
name = "spring"
contact_cost = 1
save_rate = { a = 12, b = 88 }
save_rate_source = "measured"
leavers = "gone"
"""


def with_measured_rate(scores: pd.DataFrame, folder: Path) -> Path:
    """A store of a campaign that measured which share of those who had left it brings back."""
    result = {"earned": 9.0, "low": 2.0, "high": 15.0, "level": 0.9, "save_rate": None}
    result["gone_rate"] = {"a": 12.0, "b": 88.0}
    record = {"name": "spring", "published_by": "ann", "weeks": 13.0, "result": result}
    publish(scores, folder, documents={"campaigns": [record]})
    return folder


def test_the_rate_that_a_campaign_measured_leads_and_is_of_those_who_had_left(
    scores: pd.DataFrame, tmp_path: Path, browse: Any
) -> None:
    page = type(browse)(page_of(with_measured_rate(scores, tmp_path)))
    said = text_of(page("/retention?budget=100").text)
    plan = retention_targets(scores[scores["eligible"]], MEASURED, 100)
    ends = " to ".join(money(end, "USD") for end in plan.summary.profit_range)
    shown = said[said.index("12% of those gone") :]
    profit = money(plan.summary.expected_profit, "USD")
    assert shown[:80].startswith(f"12% of those gone 7.1% to 18%, by spring {profit} {ends}")
    assert "must come back for the offer to pay" in said
    assert "Worth once back" in said
    worth = scores.set_index("customer_id").loc[plan.table["customer_id"]]
    gone = 1 - worth["probability_alive"]
    contacted = (plan.table["treated"] == 1).to_numpy()
    gain = (0.12 * gone * worth["value_if_back"]).to_numpy()[contacted]
    assert plan.table["expected_gain"].to_numpy()[contacted] == pytest.approx(gain)


@pytest.mark.parametrize("told", [True, False])
def test_page_api_and_command_line_give_one_list(
    scores: pd.DataFrame,
    scorer: CustomerScorer,
    tmp_path: Path,
    browse: Any,
    run: Any,
    told: bool,
) -> None:
    """Also of scores that do not say what somebody is worth once back, which is said then."""
    table = scores if told else scores.drop(columns="value_if_back")
    folder = with_measured_rate(table, tmp_path / "store")
    page = type(browse)(create_app(scorer, store=folder))
    form = {"budget": "100", "contact_cost": "1", "control": "10", "kind": "csv"}
    by_page = pd.read_csv(io.BytesIO(page("/retention/export", "POST", data=form).content))
    body = {
        "offers": [tomllib.loads(BY_FILE)["offers"][0]],
        "budget": 100,
        "limit": 10_000,
    }
    answer = page("/v1/retention", "POST", json=body).json()
    by_api = pd.DataFrame(answer["targets"])
    (tmp_path / "offers.toml").write_text(BY_FILE)
    table.to_parquet(tmp_path / "scores.parquet")
    done = run(
        *("targets", tmp_path / "scores.parquet", "--offers", tmp_path / "offers.toml"),
        *("--budget", "100", "--consent", "eligible", "-o", tmp_path / "list.csv"),
    )
    by_command = pd.read_csv(tmp_path / "list.csv")
    columns = ["rank", "customer_id", "group", "cost", "expected_gain", "break_even_save_rate"]
    columns += ["value_if_back"] if told else []
    assert len(by_page) > 50
    for other in (by_api, by_command):
        pd.testing.assert_frame_equal(by_page[columns], other[columns], rtol=1e-9)
    said = "would be worth once back is not in the scores"
    html = text_of(page("/retention?budget=100").text)
    in_api = [each["text"] for each in answer["summary"]["findings"] if said in each["text"]]
    assert (said in html, bool(in_api), said in done.said) == (not told,) * 3


def test_lists_are_turned_over_and_show_contacts_to_planners_alone(
    scores: pd.DataFrame, tmp_path: Path, browse: Any
) -> None:
    names = scores["customer_id"].astype(str)
    contacts = pd.DataFrame({"customer_id": scores["customer_id"], "name": "Ann " + names})
    contacts["email"] = "a" + names + "@example.com"
    channels = scores.assign(channel=np.where(np.arange(len(scores)) % 2, "search", "social"))
    publish(channels, tmp_path, tables={"contacts": contacts})
    page = type(browse)(page_of(tmp_path))
    first, second = (
        page(f"/retention?budget=400&{OFFER}&slipping={number}").text for number in (1, 2)
    )
    listed = [
        re.findall(r">a(\d+)@example.com<|a(\d+)@example.com", html) for html in (first, second)
    ]
    assert "1 to 20 of" in text_of(first)
    assert "21 to 40 of" in text_of(second)
    assert listed[0][:20] != listed[1][:20]
    assert re.search(
        r"Ann \d+ a\d+@example.com \d+ (days?|months?) ago (search|social)", text_of(first)
    )
    file = page("/retention/export", "POST", data=sent(f"budget=400&{OFFER}&kind=csv"))
    table = pd.read_csv(io.BytesIO(file.content))
    assert (table["email"] == "a" + table["customer_id"].astype(str) + "@example.com").all()
    assert {"days_since_last", "channel", "name"} <= set(table.columns)
    assert not may_see_contacts(Visitor("bob", Role.VIEWER))
    assert not may_see_contacts(None)
    with Store.open(tmp_path) as store:
        known = with_what_is_known(store, pa.table({"customer_id": ["1"]}), None)
    assert known.column_names == ["customer_id", "days_since_last", "channel"]
