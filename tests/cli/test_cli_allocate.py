"""`clv allocate` and `clv channels` as their user meets them: estimated plans, pages, runs."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from clv.app.estimates import Estimates
from clv.app.plan_files.plan_file import EstimatedPlan, Plan
from clv.app.plans import read_plan, work_out
from clv.churn.model import ChurnModel
from clv.cli.allocate import ESTIMATED_PLAN
from clv.cli.main import main
from clv.data.summary import summarize
from clv.data.transactions import clean
from clv.decide.budget.allocate import allocate
from clv.decide.budget.channel import Channel
from clv.decide.budget.response import Power
from clv.decide.budget.uncertainty import plan_uncertainty
from clv.decide.response.curves import response_curves
from clv.decide.retention.offer import Offer
from clv.decide.retention.plan import retention_targets
from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.gamma_gamma import GammaGamma
from clv.scorer import CustomerScorer
from clv.value.by_channel import models_by_channel
from clv.value.value import Terms

PAID = ("affiliates", "influencers", "search", "social")
CURVES = '[curves]\nspend = "brand/spend.csv"\n'
DRAWN = f"{CURVES}draws = 100\n"  # a fifth of the usual, which take their time
LOG = 'log = "brand/orders.csv"\nmodel = "model"\n'
ESTIMATED = f'budget = 15000\nperiods = 13\ncurrency = "EUR"\n{DRAWN}{LOG}'
WORTH = {"affiliates": 34, "influencers": 95, "search": 50, "social": 24}
VALUED = f'budget = 15000\nperiods = 13\ncurrency = "EUR"\n{DRAWN}' + "".join(
    f'[[channels]]\nname = "{name}"\nvalue = {value}\n' for name, value in WORTH.items()
)
STATED = """
budget = 30000
[[channels]]
name = "search"
value = 60
current = 15000
response = { curve = "power", k = 12, b = 0.6 }
[[channels]]
name = "social"
value = 80
current = 15000
response = { curve = "power", k = 30, b = 0.45 }
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with a simulated brand, a model of its customers, and plans."""
    folder = tmp_path_factory.mktemp("allocate")
    with pytest.raises(SystemExit):
        main(["simulate", "--output", str(folder / "brand"), "--customers", "6000", "--quiet"])
    log, _ = clean(pd.read_csv(folder / "brand" / "orders.csv"))
    summary = summarize(log)
    CustomerScorer(
        purchases=BetaGeoNBD(unit="week").fit(summary).with_covariance(summary),
        spend=GammaGamma().fit(summary).with_covariance(summary),
        churn=ChurnModel(Duration(13, "week"), None, "no labels were used"),
        terms=Terms(0.35, 0.10, Duration(3, "year"), "EUR"),
        unit="week",
        as_of=str(summary["as_of"].iloc[0])[:10],
    ).save(folder / "model")
    (folder / "plan.toml").write_text(ESTIMATED)
    (folder / "stated.toml").write_text(STATED)
    (folder / "valued.toml").write_text(VALUED)
    (folder / "lean.toml").write_text(VALUED.replace("15000", "9000"))
    return folder


@pytest.fixture(scope="module")
def plain(home) -> dict[str, Any]:
    """The plan with curves and values estimated."""
    return json.loads(json.dumps(read_plan(home / "plan.toml").to_dict()))


@pytest.fixture(scope="module")
def pieces(home) -> tuple[Any, Any]:
    """The curves and values of the brand, by the functions of the package."""
    spend = pd.read_csv(home / "brand" / "spend.csv")
    scorer = CustomerScorer.load(home / "model")
    summary = summarize(clean(pd.read_csv(home / "brand" / "orders.csv"))[0])
    models = models_by_channel(summary, scorer.purchases, scorer.spend, PAID)
    return response_curves(spend, draws=100), {
        n: models[n].value_draws(scorer.terms, 100) for n in PAID
    }


def test_an_estimated_plan_is_that_of_its_curves_and_values(run, home, pieces):
    curves, values = pieces
    channels = [
        curves[name].to_channel(values[name].mean(), periods=13, horizon="3 years") for name in PAID
    ]
    best = allocate(channels, 15_000, periods=13)
    sure = plan_uncertainty(channels, best, values=values, periods=13)
    found = run("allocate", home / "plan.toml", "--json").json
    assert found["spend"] == pytest.approx(best.spend, rel=1e-6)
    assert found["profit"] == pytest.approx(best.profit, rel=1e-6)
    assert found["kkt_residual"] < 1e-8
    assert found["uncertainty"]["probability_better"] == pytest.approx(sure.probability_better)
    assert found["uncertainty"]["test_next"] == sure.test_next
    assert (found["currency"], found["horizon"], found["period"]) == ("EUR", "3 years", "week")


def test_values_of_a_table_are_those_of_the_plan_and_their_intervals_count(run, home):
    """What ``clv first-orders --values`` writes: without an interval as if the plan stated it."""
    rows = pd.DataFrame(WORTH.items(), columns=["channel", "new_customer_value"])
    stated = run("allocate", home / "valued.toml", "--json").json
    rows.to_csv(home / "worth.csv", index=False)
    plan = home / "by_table.toml"
    plan.write_text(VALUED.partition("[[channels]]")[0] + 'values = "worth.csv"\n')
    same = run("allocate", plan, "--json").json
    assert same["spend"] == pytest.approx(stated["spend"])
    assert same["profit"] == pytest.approx(stated["profit"])
    wide = rows.assign(
        new_customer_value_low=0.5 * rows["new_customer_value"],
        new_customer_value_high=1.5 * rows["new_customer_value"],
    )
    wide.to_csv(home / "worth.csv", index=False)
    unsure = run("allocate", plan, "--json").json
    assert unsure["profit"] == pytest.approx(stated["profit"], rel=0.1)
    search = next(row for row in unsure["channels"] if row["channel"] == "search")
    low, high = search["value_interval"]
    assert (low, high) == pytest.approx((29, 78), rel=0.1)  # of 25 to 75, lognormal
    plan.write_text(VALUED.partition("[[channels]]")[0] + 'values = "worth.csv"\n' + LOG)
    both = run("allocate", plan)
    assert both.code == 3
    assert "log or values" in both.failed


def test_figures_per_channel_lie_in_their_intervals(plain):
    for row in plain["channels"]:
        for name in ("average_cac", "marginal_cac", "value", "ltv_to_cac"):
            low, high = row[f"{name}_interval"]
            assert low < row[name] < high
        assert row["average_cac"] < row["marginal_cac"]
        assert row["ltv_to_cac"] == pytest.approx(row["value"] / row["average_cac"])
        assert row["change"] == pytest.approx(row["proposed"] / row["today"] - 1)
        assert row["payback"]["median"] <= (row["marginal_payback"]["median"] or np.inf)
    profits = [row["profit"] for row in plain["frontier"]]
    assert max(profits) >= plain["profit"] - 1e-6


def test_the_terminal_says_how_sure_the_plan_is_and_what_to_test(run, home):
    shown = run("allocate", home / "plan.toml")
    assert "The next €1,000 of budget would bring about €1,120 of customer value." in shown.said
    assert "The plan beats today's in" in shown.said
    assert "LTV:CAC of 3 : 1 over all channels would cost" in shown.said
    assert "test influencers next" in shown.said or "No test could change" in shown.said
    assert "attributed, not incremental" in shown.said
    assert "may move only within step limits around the spend observed" in shown.said
    *shown_lines, command = shown.out.splitlines()
    assert max(map(len, shown_lines)) <= 80
    assert command.startswith("Next: clv plan-test --plan ")  # in one piece, to be copied


def test_a_plan_in_revenue_says_so_once():
    channels, said = [Channel("search", Power(12, 0.6), 60)], "basis.revenue"
    scores = pd.DataFrame({"customer_id": [1, 2], "margin_rate": 1.0, "churn_probability": 0.5})
    kept = retention_targets(scores.assign(value_at_stake=90.0), Offer(2), control_share=0)
    of_values = work_out(channels, 9_000, estimates=Estimates(terms=Terms()))
    of_margins = work_out(channels, 9_000, estimates=Estimates(terms=Terms(0.3)))
    for planned, times in ((work_out(channels, 9_000, kept), 1), (of_values, 1), (of_margins, 0)):
        codes = [each.code for each in (*planned.findings, *planned.notes)]
        assert codes.count(said) == times


def test_a_stated_plan_has_no_intervals_and_says_why(run, home):
    found = run("allocate", home / "stated.toml", "--json").json
    assert found["uncertainty"] is None
    assert {row["average_cac_interval"] for row in found["channels"]} == {None}
    assert any("nothing says how sure the plan is" in note["text"] for note in found["notes"])
    assert sum(found["spend"].values()) == pytest.approx(30_000)
    assert all(7_500 <= spend <= 30_000 for spend in found["spend"].values())


def test_other_horizons_and_lift_tests_change_what_is_estimated(run, home, plain):
    test = "[[curves.lift_tests]]\nchannel = 'search'\nspend = 300\nextra_spend = 150\n"
    test += "extra_customers = 4\nstandard_error = 0.3\n"
    (home / "tested.toml").write_text(f'horizon = "1 year"\n{ESTIMATED}{test}')
    tested = run("allocate", home / "tested.toml", "--json").json
    assert tested["horizon"] == "1 year"
    width = {}
    for name, found in (("plain", plain), ("tested", tested)):
        curve = next(row for row in found["curves"] if row["channel"] == "search")
        width[name] = curve["elasticity_high"] - curve["elasticity_low"]
        worth = next(row for row in found["channels"] if row["channel"] == "search")
        width[f"{name} value"] = worth["value"]
    assert width["tested"] < width["plain"]
    assert width["tested value"] < width["plain value"]


def test_a_plan_changes_what_was_estimated(run, home):
    more = """
[[channels]]
name = "tv"
value = 55
current = 0
hi = 3000
response = { curve = "michaelis-menten", V = 200, K = 5000 }
"""
    search = '[[channels]]\nname = "search"\nvalue = 50\n'
    social = '[[channels]]\nname = "social"\nvalue = 24\n'
    assert search in VALUED
    assert social in VALUED
    text = VALUED.replace(search, f"{search}incrementality = 0.5\nhi = 2000\n")
    (home / "changed.toml").write_text(text.replace(social, f"{social}locked = true\n") + more)
    found = run("allocate", home / "changed.toml", "--json").json
    assert found["spend"]["search"] <= 2000
    assert found["spend"]["social"] == pytest.approx(found["current"]["social"])
    assert 0 <= found["spend"]["tv"] <= 3000
    rows = {row["channel"]: row for row in found["channels"]}
    assert rows["search"]["new_customers_are"] == "incremental"
    assert rows["tv"]["average_cac_interval"] is None


class Tags(HTMLParser):
    """Opening tags with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.slow
def test_the_page_stands_alone_and_draws_every_channel(run, home, tmp_path):
    page = tmp_path / "plan.html"
    shown = run("allocate", home / "valued.toml", "--report", page)
    assert shown.out.splitlines()[-1] == f"Written: {page}"
    html = page.read_text(encoding="utf-8")
    tags = Tags(html).found
    assert not [tag for tag, _ in tags if tag in {"script", "link", "img", "iframe"}]
    hosts = [a for tag, attrs in tags for a in attrs if a == "src" or (tag == "a" and a == "href")]
    assert hosts == []
    charts = [attrs for tag, attrs in tags if tag == "svg" and attrs.get("class") == "chart"]
    assert [chart["aria-label"] for chart in charts] == [*PAID, "What other budgets would bring"]
    assert "the most valuable from influencers (worth " in html
    for title in ("What changes", "What the constraints cost", "Plans side by side", "attributed"):
        assert title in html
    assert "estimated from 104 weeks" in html


@pytest.mark.slow
def test_plans_side_by_side(run, home, tmp_path):
    beside = ("--scenario", f"lean={home / 'lean.toml'}")
    found = run("allocate", home / "valued.toml", *beside, "--json").json
    assert list(found["plans"]) == ["valued", "lean"]
    alone = run("allocate", home / "lean.toml", "--json").json
    assert found["plans"]["lean"]["profit"] == pytest.approx(alone["profit"])
    assert found["side_by_side"][1]["profit_above_first"] == pytest.approx(
        alone["profit"] - found["plans"]["valued"]["profit"]
    )
    written = (tmp_path / "both.csv", tmp_path / "both.html")
    shown = run(
        "allocate", home / "valued.toml", *beside, "--output", written[0], "--report", written[1]
    )
    assert "2 plans side by side" in shown.said
    assert pd.read_csv(written[0])["scenario"].tolist() == ["valued", "lean"]
    assert '<th scope="row" class="text">lean</th>' in written[1].read_text()


FAILURES = [
    (3, "did you mean 'spend'", f"{CURVES}spent = 3"),
    (3, "there is no file", '[curves]\nspend = "none.csv"'),
    (3, "should have log beside model", f'{CURVES}model = "model"'),
    (3, "should have value beside a response", f"{CURVES}[[channels]]\nname = 'x'\n"
        "response = { curve = 'power', k = 1, b = 0.5 }"),
    (3, "nothing says what a new customer of affiliates, influencers, search", CURVES),
    (3, "which has no spend", f"{CURVES}[[curves.lift_tests]]\nchannel = 'tv'\nspend = 1\n"
        "extra_spend = 1\nextra_customers = 1\nstandard_error = 1"),
    (3, "extra_customers is missing", f"{CURVES}[[curves.lift_tests]]\nchannel = 'tv'\nspend = 1\n"
        "extra_spend = 1\nstandard_error = 1"),
    (3, "the plan is in USD, its model in EUR", f'currency = "USD"\n{DRAWN}{LOG}'),
    (5, "tv has neither a response nor spend", f"{CURVES}{LOG}[[channels]]\nname = 'tv'"),
    (5, "lower bounds add up", f"budget = 1\n{CURVES}{LOG}"),
    (3, "draws should be greater than or equal to 50", f"{CURVES}draws = 3"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "said", "text"), FAILURES, ids=[f[1] for f in FAILURES])
def test_mistakes_in_an_estimated_plan_are_named(run, home, code, said, text):
    (home / "wrong.toml").write_text(text)
    ended = run("allocate", home / "wrong.toml")
    assert (ended.code, ended.out) == (code, "")
    assert said in " ".join(ended.err.split())


def test_mistakes_in_the_command_are_named(run, home, tmp_path):
    plan = home / "plan.toml"
    for code, said, words in (
        (3, "end its name in .html", (plan, "--report", tmp_path / "plan.pdf")),
        (2, "is not NAME=FILE", (plan, "--scenario", "lean")),
        (3, "two plans are called stated", (home / "stated.toml", home / "stated.toml")),
    ):
        ended = run("allocate", *words)
        assert ended.code == code
        assert said in " ".join(ended.err.split())


def test_the_estimated_plan_in_the_help_is_one(run):
    shown = run("allocate", "--help").out
    lines = [line.strip() for line in shown.splitlines()]
    assert [line for line in ESTIMATED_PLAN.splitlines() if line not in lines] == []
    plan = Plan.parse(ESTIMATED_PLAN)
    assert isinstance(plan, EstimatedPlan)
    assert plan.curves.spend == "spend.csv"


@pytest.mark.slow
def test_a_tracked_plan_is_a_run_with_its_page(run, home, store):
    shown = run("allocate", home / "valued.toml", "--track", "plans").said
    run_id = shown.split("MLflow run ")[1].split()[0]
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{store / 'mlflow.db'}")
    logged = client.get_run(run_id)
    found = run("allocate", home / "valued.toml", "--json").json
    assert logged.data.params["budget"] == "15000.0"
    assert logged.data.metrics["profit"] == pytest.approx(found["profit"])
    assert logged.data.metrics["spend/search"] == pytest.approx(found["spend"]["search"])
    files = {file.path for file in client.list_artifacts(run_id)}
    assert files == {"plan.json", "report.html", "valued.toml"}


@pytest.mark.slow
def test_channels_cost_and_worth_with_intervals(run, home):
    curves = response_curves(pd.read_csv(home / "brand" / "spend.csv"))
    words = ("channels", home / "brand" / "spend.csv", "--log", home / "brand" / "orders.csv")
    found = run(*words, "--model", home / "model", "--json").json
    rows = {row["channel"]: row for row in found["channels"]}
    for name in PAID:
        row = rows[name]
        assert row["cac_low"] < row["cac"] < row["cac_high"]
        assert row["marginal_cac"] == pytest.approx(curves[name].marginal_cac.value)
        assert row["marginal_cac_low"] == pytest.approx(curves[name].marginal_cac.low)
        low, high = row["new_customer_value_low"], row["new_customer_value_high"]
        assert low < row["new_customer_value"] < high
        assert row["payback_low"] <= row["payback"] <= (row["payback_high"] or np.inf)
        assert 0 < row["own_share"] <= 1
        assert row["new_customers_are"] == "attributed, not incremental"
    assert rows["organic"]["marginal_cac"] is None
    assert any("Gini" in line["text"] for line in found["base"])
    assert any("repeat purchases" in line["text"] for line in found["base"])
    shown = run(*words, "--model", home / "model")
    assert "The cheapest new customers come from social (" in shown.said
    assert "the most valuable from influencers (worth " in shown.said
    assert max(map(len, shown.out.splitlines())) <= 80


@pytest.mark.slow
def test_channels_by_segment_add_up_to_all_customers(run, home):
    orders = pd.read_csv(home / "brand" / "orders.csv")
    land = np.where(orders["customer_id"] % 3 == 0, "DE", "UK")
    orders.assign(country=land).to_csv(home / "lands.csv", index=False)
    words = ("channels", home / "brand" / "spend.csv", "--log", home / "lands.csv")
    found = run(*words, "--model", home / "model", "--segment", "country", "--json").json
    segments = {row["segment"]: row for row in found["segments"]}
    first = orders.drop_duplicates("customer_id").assign(
        land=lambda t: np.where(t["customer_id"] % 3 == 0, "DE", "UK")
    )
    assert {n: s["new_customers"] for n, s in segments.items()} == pytest.approx(
        first["land"].value_counts().to_dict(), rel=0.01
    )
    for row in segments.values():
        assert row["paid_cac_low"] < row["paid_cac"] < row["paid_cac_high"]
    assert run(*words[:2], "--segment", "country").code == 3
    assert "channel is no segment" in run(*words, "--segment", "channel", "--model",
                                          home / "model").err  # fmt: skip


def test_too_few_periods_give_no_marginal_cac_and_say_so(run, home, tmp_path):
    spend = pd.read_csv(home / "brand" / "spend.csv")
    few = spend[spend["period"] < sorted(spend["period"].unique())[5]]
    few.to_csv(tmp_path / "few.csv", index=False)
    found = run("channels", tmp_path / "few.csv", "--json").json
    assert "marginal_cac" not in found["channels"][0]
    assert any("it takes 8 periods" in note["text"] for note in found["notes"])
