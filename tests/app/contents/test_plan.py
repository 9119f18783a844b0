"""A plan as a document is the plan that clv allocate works out."""

from __future__ import annotations

import json

import numpy as np
import pytest

from clv.app.contents.plan import checked, document_of, of_plan, thinned
from clv.app.plans import read_plan
from clv.decide.budget.allocate import allocate
from clv.decide.budget.channel import Channel
from clv.decide.budget.draws import MeanOfDraws
from clv.decide.budget.response import Exponential, Hill, MichaelisMenten, Power, Tanh
from clv.errors import InputError, PlanError

RNG = np.random.default_rng(2)
DRAWN = [
    Power(RNG.uniform(10, 14, 300), RNG.uniform(0.5, 0.6, 300)),
    MichaelisMenten(RNG.uniform(800, 900, 300), RNG.uniform(1e4, 2e4, 300)),
    Exponential(RNG.uniform(800, 900, 300), RNG.uniform(1e4, 2e4, 300)),
    Tanh(RNG.uniform(800, 900, 300), RNG.uniform(10, 12, 300)),
    Hill(RNG.uniform(800, 900, 300), RNG.uniform(1e4, 2e4, 300), np.full(300, 1.5)),
]
STATED = """
budget = 20000
currency = "EUR"
horizon = "3 years"
periods = 2
step = [0.4, 3.0]
[[channels]]
name = "free"
value = 60
current = 12000
observed = [4000, 7000]
incrementality = 0.8
response = { curve = "power", k = 12, b = 0.6 }
[[channels]]
name = "bounded"
value = 90
current = 3000
lo = 1000
hi = 8000
response = { curve = "point", spend = 3000, customers = 400 }
[[channels]]
name = "held"
value = 100
current = 4000
locked = true
response = { curve = "michaelis-menten", V = 900, K = 20000 }
[[channels]]
name = "no cap"
value = 50
step = [0.0, inf]
current = 900
response = { curve = "tanh", S = 900, c = 8 }
"""
TARGET = "[target]\ncpa = 40\nper = 'channel'\n"
OFFER = """
[retention]
scores = "scores.parquet"
contact_cost = 0.5
incentive = 2
save_rate = [0.1, 0.3]
current = 100
"""


@pytest.fixture
def written(tmp_path):
    def write(text: str) -> str:
        (tmp_path / "plan.toml").write_text(text)
        return str(tmp_path / "plan.toml")

    return write


@pytest.mark.parametrize("curve", DRAWN, ids=lambda curve: type(curve).__name__)
def test_few_draws_say_nearly_what_many_say_and_come_back_from_json(curve):
    many = MeanOfDraws(curve)
    few = thinned(many, 5_000.0)
    at = np.array([500.0, 5_000.0, 15_000.0])
    np.testing.assert_allclose(few.customers(at), many.customers(at), rtol=2e-3)
    np.testing.assert_allclose(few.marginal(at), many.marginal(at), rtol=5e-3)
    channel = Channel("one", many, 60.0, current=4_000.0, observed=(4_000.0, 5_000.0))
    document = json.loads(json.dumps(document_of([channel], horizon="3 years")))
    (again,) = checked(document).to_channels()
    np.testing.assert_allclose(again.response.customers(at), few.customers(at), rtol=1e-12)
    assert again.bounds(13) == channel.bounds(13)


@pytest.mark.parametrize("text", [STATED, STATED + TARGET], ids=["profit", "target"])
def test_a_stated_plan_comes_out_as_it_went_in(written, text):
    file = written(text)
    expected = read_plan(file)
    plan = checked(of_plan(file, {"horizon": "3 years", "currency": "EUR"}).documents["plan"])
    found = plan.allocate()
    assert found.spend == pytest.approx(expected.allocation.spend)
    assert found.profit == pytest.approx(expected.allocation.profit)
    for ours, theirs in zip(plan.to_channels(), expected.channels, strict=True):
        assert ours.bounds(2) == pytest.approx(np.minimum(theirs.bounds(2), 1e15))
        assert (ours.decline, ours.incrementality) == (theirs.decline, theirs.incrementality)
    assert [channel.locked for channel in plan.channels] == [False, False, True, False]


def test_an_offer_goes_to_the_customers_of_the_store(written, made, tmp_path):
    (tmp_path / "scores.parquet").write_bytes((made.folder / "scores.parquet").read_bytes())
    file = written(STATED + OFFER)
    plan = checked(of_plan(file, made.terms).documents["plan"])
    plan.retention.reaching(made.scores)
    expected = read_plan(file).allocation
    assert plan.allocate().retention_spend == pytest.approx(expected.retention_spend)
    assert plan.allocate().profit == pytest.approx(expected.profit)


@pytest.mark.slow
def test_an_estimated_plan_is_nearly_that_of_all_draws(written, made):
    text = (
        f'periods = 13\nbudget = 5000\n[curves]\nspend = "{made.file("spend.csv")}"\n'
        f'log = "{made.file("orders.csv")}"\nmodel = "{made.file("model")}"\n'
        '[[channels]]\nname = "search"\nhi = 1500\n'
    )
    file = written(text)
    plan = checked(of_plan(file, made.terms).documents["plan"])
    expected, found = read_plan(file), plan.allocate()
    assert (plan.currency, plan.horizon) == ("EUR", "3 years")
    assert found.profit == pytest.approx(expected.allocation.profit, rel=2e-3)
    assert found.spend == pytest.approx(expected.allocation.spend, rel=5e-3)


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        (STATED.replace("EUR", "GBP"), InputError, "the plan is in GBP, the scores are in EUR"),
        (STATED.replace("3 years", "1 year") + OFFER, PlanError, "horizons: 1 year, 3 years"),
        (STATED + '[retention]\noptions = "o.csv"\n', InputError, "table of options"),
        (STATED.replace("budget = 20000", "budget = 10"), PlanError, "budget"),
        (STATED.replace("power", "powr"), InputError, "powr|curve"),
        ("budget = ", InputError, "no valid TOML"),
    ],
)
def test_a_plan_that_cannot_be_published_is_named(written, made, tmp_path, text, error, said):
    (tmp_path / "scores.parquet").write_bytes((made.folder / "scores.parquet").read_bytes())
    (tmp_path / "o.csv").write_text("cost,gain\n1,5\n")
    with pytest.raises(error, match=said):
        of_plan(written(text), made.terms)


def test_json_of_its_fields_is_a_plan_too(made, tmp_path):
    document = {
        "budget": 900,
        "channels": [{"name": "a", "value": 60, "response": {"curve": "power", "k": 12, "b": 0.6}}],
    }
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(document))
    assert of_plan(str(file), made.terms).documents["plan"] == document
    file.write_text(json.dumps(document | {"colour": "red"}))
    with pytest.raises(InputError, match="colour"):
        of_plan(str(file), made.terms)


@pytest.mark.parametrize(
    "draws",
    [
        {"k": [1.0, 2.0]},
        {"k": [1.0, 2.0], "b": [0.5]},
        {"k": [1.0], "b": [1.5]},
        {"k": [], "b": []},
    ],
)
def test_draws_that_are_no_curve_are_refused(draws):
    response = {"curve": "mean", "of": "power", "draws": draws}
    with pytest.raises(InputError, match="the plan cannot be used: channels"):
        checked({"channels": [{"name": "a", "value": 60, "response": response}]})


def test_what_is_published_is_what_is_allocated():
    channels = [
        Channel("a", MeanOfDraws(DRAWN[0]), 60.0, current=400.0),
        Channel("b", MeanOfDraws(DRAWN[1]), 60.0, current=900.0),
    ]
    found = checked(document_of(channels, budget=1200.0)).allocate()
    assert found.spend == pytest.approx(allocate(channels, 1200.0).spend, rel=2e-3)
