"""Plan files: read strictly, each mistake named."""

import dataclasses
import math

import pandas as pd
import pytest
from pydantic import ValidationError

from clv.app.plan_files import plan_file as plan_module
from clv.app.plan_files.plan_file import Plan
from clv.app.requests import PlanBody
from clv.decide.budget.allocate import allocate
from clv.decide.budget.channel import Channel
from clv.decide.budget.modes import MinimumCost, TargetCPA, TargetLtvToCac
from clv.decide.budget.response import Exponential, Hill, MichaelisMenten, Power, Tanh
from clv.decide.budget.scenarios import budget_frontier, constraint_costs
from clv.decide.retention.offer import BetaRate, Offer
from clv.decide.retention.plan import gain_curve
from clv.errors import InputError, PlanError

SCORES = pd.DataFrame(
    {
        "customer_id": range(200),
        "churn_probability": 0.5,
        "value_at_stake": [float(i) for i in range(200)],
        "horizon": "3 years",
        "currency": "EUR",
    }
)


CHANNEL = '[[channels]]\nname = "search"\nvalue = 60\n'
POWER = 'response = { curve = "power", k = 12, b = 0.6 }\n'


def documented_plan():
    """The example at the top of the module."""
    text = plan_module.__doc__
    lines = text[text.index("::") + 2 : text.index("Curves are")].splitlines()
    return "\n".join(line.removeprefix("    ") for line in lines)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "PLAN.toml").write_text(documented_plan())
    SCORES.to_parquet(tmp_path / "scores.parquet")
    pd.DataFrame({"cost": [2000, 3000], "gain": [26000, 30000]}).to_csv(
        tmp_path / "options.csv", index=False
    )
    return tmp_path


def test_the_documented_plan_becomes_channels(folder):
    plan = Plan.read(folder / "PLAN.toml")
    search, social, video = plan.to_channels()
    assert search == Channel(
        "search", Power(12, 0.6), 60, 5000, 20_000, 12_000, incrementality=0.8, horizon="3 years",
        observed=(9_000, 14_000), step=(0.0, math.inf),
    )  # fmt: skip
    assert (social.response, social.response.assumed) == (Power.from_point(8000, 1700), ("b",))
    assert video == Channel(
        "video", MichaelisMenten(900, 20_000), 100, 4000, 4000, 4000, horizon="3 years"
    )


def test_the_documented_plan_is_allocated(folder):
    plan = Plan.read(folder / "PLAN.toml")
    offer = Offer(contact_cost=1, incentive=5, save_rate=0.25)
    expected = allocate(
        plan.to_channels(), 30_000, gain_curve(SCORES, offer), target=TargetLtvToCac(3)
    )
    assert plan.allocate() == expected
    assert expected.spend["video"] == 4000


def test_options_and_todays_retention(folder):
    text = documented_plan()
    text = text[: text.index("[target]")] + '[retention]\noptions = "options.csv"\ncurrent = 500'
    (folder / "PLAN.toml").write_text(text)
    allocation = Plan.read(folder / "PLAN.toml").allocate()
    assert allocation.retention_spend == 5000
    assert allocation.current == {"search": 12000, "social": 8000, "video": 4000, "retention": 500}


@pytest.mark.parametrize(
    ("line", "rate"),
    [
        ("save_rate = 0.2", 0.2),
        ("save_rate = [0.1, 0.4]", (0.1, 0.4)),
        ("save_rate = { a = 46, b = 74 }", BetaRate(46, 74)),
        ("", BetaRate(6, 14)),
    ],
)
def test_ways_to_write_a_save_rate(line, rate):
    plan = Plan.parse(f'[retention]\nscores = "s.csv"\ncontact_cost = 1\n{line}')
    assert plan.retention.save_rate == rate


def test_defaults():
    plan = Plan.parse('[[channels]]\nname="a"\nvalue=3\nresponse={curve="power", k=1, b=0.5}')
    (channel,) = plan.to_channels()
    assert (plan.budget, plan.retention_curve()) == (None, None)
    assert (channel.lo, channel.hi, channel.incrementality) == (0, math.inf, 1)
    assert dataclasses.is_dataclass(channel)


@pytest.mark.parametrize(
    ("text", "curve"),
    [
        ('curve = "exponential", V = 900, K = 20000', Exponential(900, 20_000)),
        ('curve = "tanh", S = 900, c = 20', Tanh(900, 20)),
        ('curve = "hill", V = 900, K = 20000, exponent = 2', Hill(900, 20_000, 2)),
    ],
)
def test_every_curve_can_be_written(text, curve):
    (channel,) = Plan.parse(f"{CHANNEL}response = {{ {text} }}").to_channels()
    assert channel.response == curve


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("customers = 5000", MinimumCost(5_000)),
        ("cpa = 12.5", TargetCPA(12.5)),
        ('ltv_to_cac = 3\nper = "channel"', TargetLtvToCac(3, "channel")),
    ],
)
def test_every_target_can_be_written(text, target):
    plan = Plan.parse(f"{CHANNEL}{POWER}[target]\n{text}")
    assert plan.allocate() == allocate(plan.to_channels(), target=target)


def test_step_caps_are_the_plans_the_channels_or_none_beside_a_bound():
    def channel(more, plan=""):
        return Plan.parse(f"{plan}\n{CHANNEL}{POWER}current = 100\n{more}").to_channels()[0]

    assert channel("").bounds() == (50, 200)
    assert channel("", "step = [0.8, 1.2]").bounds() == (80, 120)
    assert channel("step = [0.9, 3.0]", "step = [0.8, 1.2]").bounds() == (90, 300)
    assert channel("lo = 0").bounds() == (0, 200)
    assert channel("hi = inf").bounds() == (50, math.inf)
    point = CHANNEL + 'response = { curve = "point", spend = 80, customers = 10 }'
    assert Plan.parse(point).to_channels()[0].bounds() == (40, 160)


def test_periods_constraints_and_frontier_of_a_plan():
    text = f"budget = 900\nperiods = 4\n{CHANNEL}{POWER}hi = 500\n"
    plan = Plan.parse(text + CHANNEL.replace("search", "social") + POWER)
    channels = plan.to_channels()
    assert plan.allocate() == allocate(channels, 900, periods=4)
    assert plan.constraint_costs() == constraint_costs(channels, 900, periods=4)
    pd.testing.assert_frame_equal(
        plan.frontier([300, 900]), budget_frontier(channels, [300, 900], periods=4)
    )


def test_a_plan_does_not_change():
    with pytest.raises(ValidationError):
        Plan.parse("budget = 3").budget = 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("budget = -1", "budget should be greater than or equal to 0, not -1"),
        ("budget = nan", "budget should be a finite number"),
        ('budget = "30k"', "budget should be a valid number, not '30k'"),
        ("bugdet = 3", "bugdet is not a known key .did you mean 'budget'"),
        ("budget = ", "no valid TOML"),
        ('horizon = "3 parsecs"', 'horizon should be a duration such as "3 years"'),
        ("channels = 3", "channels should be a list"),
        (CHANNEL, "channels.search.response is missing"),
        (CHANNEL + 'response = { curve = "power", k = 12 }', "search.response.b is missing"),
        (CHANNEL + 'response = { curve = "power", k = 1, b = 1.2 }', "b should be less than 1"),
        (
            CHANNEL + 'response = { curve = "sine", k = 1 }',
            "'sine' is none of 'power', 'michaelis-menten', 'exponential', 'tanh', 'hill', "
            "'point', 'mean'",
        ),
        (CHANNEL + 'response = { curve = "hill", V = 1, K = 2 }', "response.exponent is missing"),
        (CHANNEL + POWER + "observed = [3, 2]", "observed should be two numbers"),
        (CHANNEL + POWER + "step = 2", "step should be two numbers, such as .0.5, 2.0., not 2"),
        (CHANNEL + POWER + "decline = 0.2", "should have current, the spend at which value"),
        (CHANNEL + POWER + "locked = true\ncurrent = 3\nstep = [0, 3]", "either locked = true or"),
        ("periods = 0", "periods should be greater than 0"),
        ("step = [2]", "step should be two numbers"),
        ("[target]", "one of customers, cpa and ltv_to_cac"),
        ("[target]\ncpa = 3\ncustomers = 4", "one of customers, cpa and ltv_to_cac"),
        ('[target]\ncustomers = 4\nper = "channel"', "no per beside customers"),
        ('[target]\ncpa = 4\nper = "each"', "target.per should be 'portfolio', 'channel'"),
        ("[target]\ncpaa = 4", "cpaa is not a known key .did you mean 'cpa'"),
        (CHANNEL + "response = { k = 12, b = 0.5 }", "channels.search.response is missing"),
        (CHANNEL + POWER + "vaule = 3", "vaule is not a known key .did you mean 'value'"),
        (CHANNEL + POWER + "locked = true", "should have current"),
        (CHANNEL + POWER + "locked = true\ncurrent = 3\nhi = 5", "either locked = true or"),
        (CHANNEL + POWER + "locked = 1", "locked should be a valid boolean"),
        (CHANNEL + POWER + "incrementality = 0", "incrementality should be greater than 0"),
        (CHANNEL + POWER + "hi = nan", "hi should be greater than or equal to 0"),
        ("[retention]", "one file: scores or options"),
        ('[retention]\nscores = "s.csv"', "contact_cost"),
        ('[retention]\noptions = "s.csv"\nincentive = 5', "no offer beside options"),
        ('[retention]\nscores = "s.csv"\ncontact_cost = 1\nsave_rate = "x"', "0.25, a range"),
        (
            '[retention]\nscores = "s.csv"\ncontact_cost = 1\nsave_rate = 1.5',
            "it is a fraction: write 0.015 for 1.5%",
        ),
    ],
)
def test_mistakes_are_named(text, words):
    with pytest.raises(InputError, match=words):
        Plan.parse(text)


def test_an_estimated_plan_takes_what_is_found_and_changes_it():
    found = [
        Channel(name, Power(k, 0.5), 60, current=100, observed=(80, 120), horizon="3 years")
        for name, k in (("search", 12), ("social", 30))
    ]
    text = """
    budget = 300
    step = [0.8, 1.5]
    [curves]
    spend = "spend.csv"
    [[channels]]
    name = "social"
    value = 90
    hi = 150
    [[channels]]
    name = "tv"
    value = 50
    response = { curve = "power", k = 5, b = 0.5 }
    """
    plan = Plan.parse(text).with_channels(found)
    search, social, tv = plan.to_channels()
    assert (search.value, search.bounds()) == (60, (64, 180))
    assert (social.value, social.bounds()) == (90, (64, 150))
    assert (tv.value, tv.response) == (50, Power(5, 0.5))
    assert sum(plan.allocate().spend.values()) == pytest.approx(300)
    with pytest.raises(PlanError, match="neither a response nor spend"):
        Plan.parse(text).to_channels()


def test_a_value_beyond_all_money_is_named():
    """It once divided by zero where a target had to be met as well."""
    text = CHANNEL.replace("60", "1e308") + POWER + "[target]\nltv_to_cac = 3\n"
    with pytest.raises(PlanError, match=r"'search': the value of a new customer is 1e\+308"):
        Plan.parse("budget = 900\n" + text).allocate()


def test_columns_of_the_log_are_named_by_known_names():
    text = '[curves]\nspend = "spend.csv"\nlog = "orders.csv"\ncolumns = { datze = "day" }\n'
    with pytest.raises(InputError, match=r"columns has 'datze' \(did you mean 'date'\?\)"):
        Plan.parse(text)


def test_curves_are_no_part_of_a_plan_sent_to_a_server():
    with pytest.raises(ValidationError, match="curves"):
        PlanBody.model_validate({"curves": {"spend": "/etc/passwd"}, "channels": []})


def test_every_mistake_is_named_at_once():
    with pytest.raises(InputError) as caught:
        Plan.parse('budget = -1\ncurency = "EUR"')
    assert "budget should" in str(caught.value)
    assert "did you mean 'currency'" in str(caught.value)


def test_files_that_are_not_there_or_not_tables(folder):
    with pytest.raises(InputError, match="there is no plan"):
        Plan.read(folder / "none.toml")
    for name, words in (("none.parquet", "there is no file"), ("PLAN.toml", "no .parquet or .csv")):
        plan = folder / "other.toml"
        plan.write_text(f'[retention]\noptions = "{name}"')
        with pytest.raises(InputError, match=words):
            Plan.read(plan).retention_curve()


def test_plan_and_scores_agree_on_currency_and_horizon(folder):
    text = documented_plan()
    (folder / "PLAN.toml").write_text(text.replace('"EUR"', '"USD"'))
    with pytest.raises(InputError, match="the plan is in USD, its scores are in EUR"):
        Plan.read(folder / "PLAN.toml").allocate()
    (folder / "PLAN.toml").write_text(text.replace('"3 years"', '"5 years"'))
    with pytest.raises(PlanError, match="different horizons: 5 years, 3 years"):
        Plan.read(folder / "PLAN.toml").allocate()
