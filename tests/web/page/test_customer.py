"""One customer: the lines and figures agree with the log, the models, and formulas on paper."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from clv.app.customer_record import CustomerRecord
from clv.app.order_history import NextOrder, OrderHistory
from clv.app.store_models import StoreModels, purchase_model_of
from clv.churn.model import ChurnModel
from clv.data.summary import summarize
from clv.format import day, money, percent
from clv.locales import in_locale
from clv.periods import Duration
from clv.probability.bg_bb import BetaGeoBetaBinomial
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.pareto_nbd import ParetoNBD
from clv.report.charts import time_axis
from clv.scorer import CustomerScorer
from clv.store import Store, publish
from clv.web.page.customer import content
from clv.web.page.customer_forecasts import alive
from clv.web.page.frame import Page as Frame
from clv.web.page.tables import Address, Empty
from tests.forecast.made_pool import made_pool

from .conftest import AS_OF, HOSTILE, Browser, page_of
from .test_rooms import Page

END = dt.date.fromisoformat(AS_OF)
BG = BetaGeoNBD.from_params({"r": 0.2426, "alpha": 4.4136, "a": 0.7929, "b": 2.4259}, unit="week")
PARETO = ParetoNBD.from_params(
    {"r": 0.5533, "alpha": 10.578, "s": 0.6061, "beta": 11.669}, unit="week"
)
FRAME = Frame("", "customers", Address("/customers/1"), "auto", None, (), {})


@pytest.fixture(scope="session")
def busiest(scores: pd.DataFrame) -> str:
    return str(scores.loc[scores["frequency"].idxmax(), "customer_id"])


@pytest.fixture(scope="session")
def once(scores: pd.DataFrame) -> str:
    return str(scores.loc[scores["frequency"].idxmin(), "customer_id"])


def orders(log: pd.DataFrame, key: str) -> pd.DataFrame:
    known = log[(log["customer_id"].astype(str) == key) & (log["date"] <= AS_OF)]
    return known.sort_values("date")


def life_of(log: pd.DataFrame, key: str) -> OrderHistory:
    rows = orders(log, key).assign(date=lambda t: t["date"].dt.date)
    found = OrderHistory.of(rows[["date", "amount", "orders"]].to_dict("records"), END)
    assert found is not None
    return found


def headline(text: str, label: str) -> tuple[str, str]:
    found = re.findall(rf"<dt>{re.escape(label)}</dt><dd><b>(.*?)</b><small>(.*?)</small>", text)
    return unescape(found[0][0]), unescape(found[0][1])


def test_the_figures_are_those_of_scores_and_log(
    browse: Browser, scores: pd.DataFrame, log: pd.DataFrame, busiest: str
) -> None:
    text = browse(f"/customers/{busiest}").text
    row = scores[scores["customer_id"].astype(str) == busiest].iloc[0]
    earned = 0.3 * orders(log, busiest)["amount"].sum()
    assert headline(text, "Value, next 3 years")[0] == money(row["clv"], "USD")
    assert headline(text, "Earned so far")[0] == money(earned, "USD")
    total, between = headline(text, "Earned and to come")
    assert total == money(earned + row["clv"], "USD")
    low, high = (money(earned + row[name], "USD") for name in ("clv_low", "clv_high"))
    assert between == f"90% between {low} and {high}"


def test_every_day_with_an_order_is_on_the_line_and_in_the_table(
    browse: Browser, log: pd.DataFrame, busiest: str
) -> None:
    text = browse(f"/customers/{busiest}").text
    amounts = orders(log, busiest).groupby("date")["amount"].sum()
    page = Page(text)
    start, last = amounts.index[0], pd.Timestamp(AS_OF)
    for date, amount in amounts.items():
        assert page.row(day(date.date()))[2] == money(amount, "USD")
    stems = re.findall(r'<line class="line tone-1" x1="([\d.]+)%"', text)
    edge = 1.02 * (last - start).days
    places = [100 * (date - start).days / edge for date in amounts.index]
    np.testing.assert_allclose([float(x) for x in stems], places, atol=1e-3)


def test_the_line_of_p_alive_is_that_of_summaries_made_on_the_way(
    log: pd.DataFrame, busiest: str
) -> None:
    life = life_of(log, busiest)
    moments, course = life.course("week")
    drawn = BG.probability_alive(course)
    rows = orders(log, busiest)
    for k in range(0, len(moments), 7):
        if moments[k] != round(moments[k]) or moments[k] in life.day:
            continue
        date = life.first + dt.timedelta(days=int(moments[k]))
        summary = summarize(rows, as_of=date)
        assert drawn[k] == pytest.approx(BG.probability_alive(summary)[0], rel=1e-12)
    after = BG.probability_alive(life.after_each("week"))
    on_days = [summarize(rows, as_of=life.date(d)) for d in life.day]
    np.testing.assert_allclose(after, [BG.probability_alive(s)[0] for s in on_days], rtol=1e-12)


def test_a_day_with_an_order_is_drawn_before_and_after_it() -> None:
    days = [dt.date(1997, 1, 1), dt.date(1997, 3, 1), dt.date(1997, 3, 1), dt.date(1997, 8, 1)]
    life = OrderHistory.of([{"date": d, "amount": 1.0, "orders": 1} for d in days], END)
    assert life is not None
    moments, course = life.course("day")
    at = np.flatnonzero(moments == 59)
    assert course.x[at].tolist() == [0, 1]
    assert course.t_x[at].tolist() == [0, 59]
    assert np.all(np.diff(course.x) >= 0)
    assert (course.x[-1], course.t_x[-1], course.T[-1]) == (2, 212, 272)


def test_the_next_order_under_bg_nbd_is_as_on_paper(log: pd.DataFrame, busiest: str) -> None:
    """Given alive, the wait is exponential with a Gamma(r + x, alpha + T) rate: a Lomax."""
    life = life_of(log, busiest)
    found = NextOrder.of(BG, life, "week", 1_092)
    now = life.now("week")
    shape, scale = BG.params_["r"] + now.x[0], BG.params_["alpha"] + now.T[0]
    median = 7 * scale * (2 ** (1 / shape) - 1)
    assert found.usual == np.ceil(median)
    alive = BG.probability_alive(now)[0]
    weeks = np.arange(1_093) / 7
    lomax = alive * (1 - (scale / (scale + weeks)) ** shape)
    np.testing.assert_allclose(found.by_day, lomax, atol=1e-9)
    assert found.even == np.argmax(lomax >= 0.5)


def test_who_leaves_before_buying_may_have_no_next_order() -> None:
    bought = [{"date": dt.date(1996, 1, 1), "amount": 1.0, "orders": 1}]
    life = OrderHistory.of(bought, END)
    assert life is not None
    found = NextOrder.of(PARETO, life, "week", 1_092)
    assert (found.usual, found.even) == (None, None)
    assert np.all(np.diff(found.by_day) >= 0)
    assert found.by_day[-1] < 0.5


def test_the_curve_of_value_goes_through_the_published_interval(
    folder: Path, scores: pd.DataFrame, busiest: str
) -> None:
    row = scores[scores["customer_id"].astype(str) == busiest].iloc[0]
    with Store.open(folder) as store:
        shown = content(store, FRAME, busiest)
    cells = dict(shown["worth"].table.rows)
    assert cells["50%"] == money(row["clv_median"], "USD")
    line = re.findall(r'<polyline class="line tone-1" points="([^"]*)"', str(shown["worth"].svg))
    points = np.array([[float(v) for v in p.split(",")] for p in line[0].split()])
    last = re.findall(r">\$([\d.]+k?)</text>", str(shown["worth"].svg))[-1]
    top = float(last.replace("k", "e3"))
    for name, chance in (("clv_low", 0.95), ("clv_high", 0.05)):
        at = np.interp(row[name], points[:, 0] / 100 * top, 1 - points[:, 1] / 100)
        assert at == pytest.approx(chance, abs=0.003)


def test_who_bought_once_is_not_told_to_be_alive_for_sure(browse: Browser, once: str) -> None:
    text = browse(f"/customers/{once}").text
    assert "whoever bought once counts as a customer for certain" in text
    assert "1 order, on " in text
    assert "One order only" in text


def test_the_sentences_say_what_the_scores_say(
    browse: Browser, scores: pd.DataFrame, busiest: str
) -> None:
    row = scores[scores["customer_id"].astype(str) == busiest].iloc[0]
    text = unescape(browse(f"/customers/{busiest}").text)
    assert f"{row['expected_purchases']:,.1f} purchases are expected in the next 3 years" in text
    assert f"Last order {row['days_since_last']:.0f} day" in text
    assert f"Keeping this customer would be worth {money(row['value_at_stake'], 'USD')}" in text
    assert f"{row['frequency']} repeat orders in" in text


def test_two_models_that_disagree_are_both_told(
    scores: pd.DataFrame, log: pd.DataFrame, scorer: CustomerScorer, tmp_path: Path, busiest: str
) -> None:
    """Or the lines of the one would contradict the score of the other without a word."""
    own = scores.assign(churn_probability=0.75, probability_no_purchase=0.25)
    publish(own, tmp_path / "s", log=log, card=scorer.card())
    text = browse_text(tmp_path / "s", busiest)
    assert "The chance of no order within 13 weeks is 75%" in text
    assert "The purchase model alone, which draws the lines above, says 25%." in text


def test_a_customer_page_is_whole_for_many_customers(browse: Browser, scores: pd.DataFrame) -> None:
    for key in scores["customer_id"].astype(str)[::235]:
        answer = browse(f"/customers/{key}")
        page = Page(answer.text)
        assert answer.status_code == 200
        assert page.open == []
        assert "style" not in {name for _, a in page.tags for name in a}
        ids = [a["id"] for _, a in page.tags if "id" in a]
        assert len(ids) == len(set(ids))
        assert not re.search(r"\bnan\b|\binf\b|None", re.sub("<[^>]*>", " ", answer.text))


def test_who_must_not_be_contacted_is_said_first_and_as_text(
    browse: Browser, scores: pd.DataFrame
) -> None:
    barred = str(scores.loc[~scores["eligible"], "customer_id"].iloc[0])
    text = browse(f"/customers/{barred}").text
    assert HOSTILE not in text
    said = unescape(re.findall(r'<p class="alert">(.*?)</p>', text)[0])
    assert said == f"Must not be contacted: {HOSTILE}."
    assert "Do not contact this customer." in text


def test_without_a_plan_it_is_said_from_which_save_rate_a_contact_pays(
    browse: Browser, scores: pd.DataFrame, bare: Callable[..., Browser]
) -> None:
    free = scores[scores["eligible"]].iloc[0]
    rate = 1 / (free["churn_probability"] * free["value_at_stake"])
    assert f"keeps more than {percent(rate)} of" in browse(f"/customers/{free.customer_id}").text
    poor = bare(3, churn_probability=0.5, value_at_stake=1.9)("/customers/c1").text
    assert "No contact that costs 1 would pay." in poor


def test_reasons_that_were_published_go_before_those_worked_out(
    scores: pd.DataFrame, scorer: CustomerScorer, log: pd.DataFrame, tmp_path: Path
) -> None:
    told = pd.DataFrame(
        {
            "customer_id": scores["customer_id"].iloc[:2],
            "reason_1": [HOSTILE, "silent for long"],
            "reason_2": ["buys at Christmas (raises the risk)", None],
        }
    )
    card = scorer.card()
    card["churn"] |= {"pool": made_pool(Duration(13, "week"), scorer.spend).to_dict()}
    publish(scores, tmp_path / "s", log=log, card=card, tables={"reasons": told})
    browse = Browser(page_of(tmp_path / "s"))
    text = browse(f"/customers/{told['customer_id'].iloc[0]}").text
    assert "<li>Buys at Christmas (raises the risk).</li>" in text
    assert HOSTILE not in text
    other = browse(f"/customers/{scores['customer_id'].iloc[2]}").text
    assert "Customer for" in other


def test_reasons_are_written_when_they_are_read(scores: pd.DataFrame, tmp_path: Path) -> None:
    told = pd.DataFrame(
        {
            "customer_id": scores["customer_id"].iloc[:1],
            **{"topic_1": "spend", "effect_1": 0.2, "topic_2": "silence", "effect_2": -0.1},
            **{"topic_3": None, "effect_3": 0.0, "repeats": 4, "since": 1234.4, "gap": 60.6},
            **{"amount": 1250.5, "typical": 38.0, "window": "13 weeks"},
        }
    )
    publish(scores.assign(currency="EUR"), tmp_path / "s", tables={"reasons": told})
    with Store.open(tmp_path / "s") as store:
        customer = CustomerRecord.of(store, str(told["customer_id"].iloc[0]))
    with in_locale("de_DE"):
        assert [str(reason) for reason in customer.reasons] == [
            "1.250\N{NO-BREAK SPACE}€ per order; 38\N{NO-BREAK SPACE}€ is usual (raises the risk)",
            "last order 1.234 days ago; usually every 61 (lowers the risk)",
        ]


def test_a_course_of_no_days_is_not_drawn(folder: Path, once: str) -> None:
    with Store.open(folder) as store:
        known = CustomerRecord.of(store, once)
    assert known.life is not None
    began = replace(known.life, first=END, day=np.array([0.0]))
    found = alive(replace(known, life=began))
    assert isinstance(found, Empty)
    assert day(END) in found.why


@pytest.mark.parametrize(
    "path", ["nobody", "", "..%2f..%2fetc", "%00", "%ff%fe", "1%27%20OR%201=1", "%3Cscript%3E"]
)
def test_an_unknown_customer_is_a_page_in_the_frame(browse: Browser, path: str) -> None:
    answer = browse(f"/customers/{path}")
    assert answer.status_code == 404
    assert "There is no customer with this id in the scores." in answer.text
    assert "<nav" in answer.text
    assert "<script>" not in answer.text
    assert 'href="/customers">To all customers</a>' in answer.text


def test_scores_alone_say_what_is_missing(bare: Callable[..., Browser]) -> None:
    answer = bare(3)("/customers/c1")
    page = Page(answer.text)
    assert answer.status_code == 200
    assert page.open == []
    assert answer.text.count("published without the order log") == 3
    assert headline(answer.text, "Earned so far")[0] == "not known"
    assert "No list of targets was published" in answer.text


def test_a_plan_says_what_to_do(
    scores: pd.DataFrame, log: pd.DataFrame, scorer: CustomerScorer, tmp_path: Path
) -> None:
    ids = scores["customer_id"].iloc[:2].tolist()
    plan = pd.DataFrame(
        {
            "rank": [1, 2],
            "customer_id": ids,
            "action": ["voucher", "call"],
            "group": ["treat", "control"],
            "cost": [5.0, 0.0],
            "expected_profit": [12.5, 0.0],
        }
    )
    publish(scores, tmp_path / "s", log=log, card=scorer.card(), tables={"targets": plan})
    browse = Browser(page_of(tmp_path / "s"))
    treated = browse(f"/customers/{ids[0]}").text
    assert "Make the offer voucher." in treated
    assert "$12.50" in treated
    held = browse(f"/customers/{ids[1]}").text
    assert "Do nothing: held out as control, to measure what the offer call does." in held
    left = browse(f"/customers/{scores['customer_id'].iloc[2]}").text
    assert "The published list of targets leaves this customer out." in left


def test_reasons_are_told_where_the_purchase_model_is_the_score(
    scores: pd.DataFrame, log: pd.DataFrame, scorer: CustomerScorer, tmp_path: Path, busiest: str
) -> None:
    """Their effects are against the base, so the long silent one is at a raised risk."""
    base = {"alive": 0.6, "buys_if_alive": 0.3, "buys": 0.2}
    churn = ChurnModel(Duration(13, "week"), None, "no labels", base=base)
    card = replace(scorer, churn=churn).card() | {"version": scorer.version}
    publish(scores, tmp_path / "s", log=log, card=card)
    browse = Browser(page_of(tmp_path / "s"))
    text = browse(f"/customers/{busiest}").text
    assert "lowers the risk" in text
    silent = str(scores.loc[scores["churn_probability"].idxmax(), "customer_id"])
    assert "raises the risk" in browse(f"/customers/{silent}").text


def test_a_log_that_disagrees_with_the_scores_is_told(
    scores: pd.DataFrame, log: pd.DataFrame, scorer: CustomerScorer, tmp_path: Path, busiest: str
) -> None:
    last = orders(log, busiest)["date"].iloc[-1]
    fewer = log[~((log["customer_id"].astype(str) == busiest) & (log["date"] == last))]
    publish(scores, tmp_path / "s", log=fewer, card=scorer.card())
    text = browse_text(tmp_path / "s", busiest)
    assert "lines follow the log, values the scores" in text


def browse_text(folder: Path, key: str) -> str:
    return Browser(page_of(folder))(f"/customers/{key}").text


@pytest.mark.parametrize("model", [BG, PARETO])
def test_a_model_comes_back_from_its_card(model: BetaGeoNBD | ParetoNBD) -> None:
    found, why = purchase_model_of({"purchases": model.to_dict()})
    assert why == ""
    assert found is not None
    assert found.params_ == model.params_


def test_a_model_that_counts_opportunities_draws_no_line_over_days() -> None:
    model = BetaGeoBetaBinomial.from_params(alpha=1.2, beta=0.75, gamma=0.66, delta=2.78)
    found, why = purchase_model_of({"purchases": model.to_dict()})
    assert found is None
    assert "BG/BB" in why
    assert purchase_model_of(None)[0] is None


def test_a_model_of_another_version_is_named_not_guessed() -> None:
    found, why = purchase_model_of({"purchases": {"model": "Oracle"}})
    assert found is None
    assert "'Oracle' is no purchase model of this version" in why


@pytest.mark.parametrize("span", [0, 1, 5, 40, 91, 92, 200, 365, 800, 2_000, 9_000])
def test_a_time_axis_has_few_round_dates_within(span: int) -> None:
    first = dt.date(1996, 12, 15)
    found = time_axis(first, first + dt.timedelta(days=span))
    places = [place for place, _ in found.ticks]
    assert 1 <= len(places) <= 5
    assert places == sorted(set(places))
    assert 0 <= places[0] <= places[-1] <= max(span, 1)


def test_a_customer_is_read_from_the_store_once(folder: Path, busiest: str) -> None:
    with Store.open(folder) as store:
        known = CustomerRecord.of(store, busiest)
        assert known.life is not None
        assert known.life.as_of == END
        assert len(known.life.day) - 1 == known.row["frequency"]
        with pytest.raises(LookupError):
            CustomerRecord.of(store, "nobody")


def test_the_models_of_a_store_are_built_once_while_it_is_open(folder: Path) -> None:
    with Store.open(folder) as store, Store.open(folder) as other:
        first = store.once(StoreModels.of)
        assert first.purchases is not None
        assert store.once(StoreModels.of) is first is not other.once(StoreModels.of)
        keys = [str(row["customer_id"]) for row in store.search(size=2).rows]
        assert all(CustomerRecord.of(store, key).models is first for key in keys)


def test_offers_that_were_published_stand_on_the_page(scores: pd.DataFrame, tmp_path: Path) -> None:
    few = scores.head(200)
    key = str(few["customer_id"].iloc[0])
    offer = {"customer_id": few["customer_id"].iloc[0], "spend": 12.5, "margin": 1.0, "value": 2.5}
    rows = [
        offer | {"rank": 2, "item": "cup", "kind": "new", "chance": 0.2, "because": "bought mugs"},
        offer | {"rank": 1, "item": "tea", "kind": "new", "chance": 0.3, "because": "bought pots"},
    ]
    publish(few, tmp_path, tables={"next_offers": pd.DataFrame(rows)})
    with Store.open(tmp_path) as store:
        offers = content(store, FRAME, key)["offers"]
        assert [row[0] for row in offers.rows] == ["tea", "cup"]
        assert offers.rows[0][1:3] == ("new", "30%")
        assert offers.rows[0][5] == "Bought pots."
        assert content(store, FRAME, str(few["customer_id"].iloc[1]))["offers"] is None
