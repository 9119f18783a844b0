"""The room Retention: its figures against ``retention_targets``, its form, and its file."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi import FastAPI

from clv.app.retention import Audience, gains, may_contact, rank, ranking
from clv.decide.retention.offer import Offer
from clv.decide.retention.targets import retention_targets
from clv.exports.audit import Audit, read_audit
from clv.store import Store, publish
from clv.web.access.roles import Role, least_role
from clv.web.access.who import Access, Visitor
from clv.web.page.sliders import Dial, stops

OFFER = "contact_cost=1&incentive=2&control=10"
MANY = 200  # customers of the small stores


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def sent(query: str) -> dict[str, str]:
    return dict(pair.split("=") for pair in query.split("&"))


def test_the_figures_are_those_of_the_list(folder: Path, browse: Any) -> None:
    html = browse(f"/retention?budget=400&{OFFER}").text
    with Store.open(folder) as store:
        people = store.campaign_table(may_contact(store))
    found = retention_targets(people, Offer(1, 2), 400).summary
    said = text_of(html)
    assert f"{found.audience:,} customers to contact for ${found.cost:,.0f}" in said
    assert f"{found.control:,} customers held out as control" in said
    assert f"{100 * found.break_even_save_rate:.1f}%" in said  # type: ignore[operator]
    assert "assumed" in said


@pytest.mark.parametrize("budget", [0.0, 37.5, 400.0, np.inf])
def test_a_ranking_that_is_kept_gives_the_same_summary(folder: Path, budget: float) -> None:
    offer = Offer(0.5, 3, (0.1, 0.4), "measured")
    with Store.open(folder) as store:
        ranked = ranking(store, offer, 0.2)
        people = store.campaign_table(may_contact(store))
    limit = None if np.isinf(budget) else budget
    expected = retention_targets(people, offer, limit, control_share=0.2)
    found, wanted = ranked.summary(ranked.funding(budget)), expected.summary
    assert dict(found.not_contacted) == dict(wanted.not_contacted)
    assert (found.audience, found.control) == (wanted.audience, wanted.control)
    for name in ("cost", "expected_profit", "profit_range", "next_profit", "break_even_save_rate"):
        wants = getattr(wanted, name)
        assert getattr(found, name) == (wants and pytest.approx(wants, rel=1e-9)), name


def test_ties_are_broken_by_the_draw_whatever_the_order_of_rows() -> None:
    rng = np.random.default_rng(3)
    n = 5_000
    q, stake = rng.choice([0.2, 0.5, 0.9], n), rng.choice([10.0, 40.0, 90.0], n)
    draw, ids = rng.random(n), pa.chunked_array([np.arange(n)])
    shuffled = rng.permutation(n)
    one = rank(Audience(ids, q, stake, draw, {}), Offer(1), 0.1)
    other = Audience(ids, q[shuffled], stake[shuffled], draw[shuffled], {})
    two = rank(other, Offer(1), 0.1)
    assert len(one.order) > 1_000
    np.testing.assert_array_equal(one.order, shuffled[two.order])
    slow = np.lexsort((draw, -one.treatment.gain_per_cost))[: len(one.order)]
    np.testing.assert_array_equal(one.order, slow)


def test_a_gain_curve_that_is_kept_is_that_of_the_scores(folder: Path) -> None:
    offer = Offer(1, 2)
    with Store.open(folder) as store:
        curve = gains(store, offer, 0.1)
        people = store.campaign_table(may_contact(store))
    expected = retention_targets(people, offer).gain_curve
    np.testing.assert_allclose(curve.spent, expected.spent, rtol=1e-12)
    assert (curve.horizon, curve.currency) == (expected.horizon, expected.currency)
    assert curve.notes == expected.notes


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
        people = store.campaign_table(may_contact(store))
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


def test_a_store_that_is_published_next_is_ranked_anew(
    tmp_path: Path, folder: Path, scores: pd.DataFrame
) -> None:
    offer = Offer(1)
    with Store.open(folder) as store:
        before = ranking(store, offer, 0.0)
    publish(scores.head(50), tmp_path)
    with Store.open(tmp_path) as store:
        after = ranking(store, offer, 0.0)
    assert len(after.audience.q) < 50 < len(before.audience.q)


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
