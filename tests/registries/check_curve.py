"""A curve that ``added`` declares can be planned with, published, estimated and sent to the API."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from clv.app.plan_files.plan_file import Plan
from clv.app.plan_files.sections import MeanCurve
from clv.app.requests import PlanBody
from clv.decide.budget.allocate import allocate
from clv.decide.budget.draws import MeanOfDraws
from clv.decide.budget.response import CURVES
from clv.decide.response.curves import response_curves
from clv.errors import InputError

from .added import Logarithmic

PLAN = """
budget = 3000
[[channels]]
name = "search"
value = 60
response = { curve = "logarithmic", V = 90, K = 500 }
[[channels]]
name = "video"
value = 60
response = { curve = "power", k = 12, b = 0.5 }
"""


def test_a_plan_file_holds_it_and_the_plan_is_exact():
    channels = Plan.parse(PLAN).to_channels()
    assert channels[0].response == Logarithmic(90, 500)
    plan = allocate(channels, 3000.0)
    search, video = plan.to_frame()["spend"][:2]
    marginal = 90 / (500 + search), 12 * 0.5 * video**-0.5
    assert marginal[0] == pytest.approx(marginal[1], rel=1e-9)


def test_a_mistake_in_it_is_named():
    with pytest.raises(InputError, match=r"search.response.K is missing"):
        Plan.parse(PLAN.replace(", K = 500", ""))
    with pytest.raises(InputError, match="V should be greater than 0"):
        Plan.parse(PLAN.replace("V = 90", "V = -90"))
    with pytest.raises(InputError, match=r"'sine' is none of .*'logarithmic'"):
        Plan.parse(PLAN.replace("logarithmic", "sine"))


def test_the_api_takes_and_describes_it():
    body = {"name": "search", "value": 60, "response": {"curve": "logarithmic", "V": 90, "K": 500}}
    plan = PlanBody.model_validate({"budget": 100, "channels": [body]})
    assert plan.to_channels()[0].response == Logarithmic(90, 500)
    schema = PlanBody.model_json_schema()["$defs"]["LogarithmicCurve"]
    assert schema["description"] == "n(s) = V ln(1 + s / K): ever slower, without an end."
    assert sorted(schema["properties"]) == ["K", "V", "curve"]


def test_its_draws_are_written_and_read_back():
    draws = MeanOfDraws(Logarithmic(np.array([80.0, 90.0]), np.array([400.0, 500.0])))
    section = MeanCurve.written(draws)
    assert section.of == "logarithmic"
    assert float(section.build().customers(700.0)) == float(draws.customers(700.0))


def test_it_is_estimated_where_it_is_asked_for():
    rng = np.random.default_rng(4)
    spend = rng.uniform(100, 4000, 60)
    customers = rng.poisson(CURVES["logarithmic"](V=90, K=500).customers(spend))
    table = pd.DataFrame({"channel": "search", "period": range(60), "spend": spend})
    curves = response_curves(table.assign(new_customers=customers), shape="logarithmic", draws=50)
    assert isinstance(curves["search"].curve, Logarithmic)
    assert float(curves["search"].curve.customers(2000.0)) == pytest.approx(
        90 * np.log(5), rel=0.05
    )
