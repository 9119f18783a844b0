"""A budget plan as a TOML file: read strictly, every mistake named with what to send instead.

::

    budget = 30000                 # money to spend; leave out for the greatest profit
    currency = "EUR"
    horizon = "3 years"            # of every value in this plan
    periods = 1                    # optional: periods of the curves (weeks) that the money is for
    step = [0.5, 2.0]              # optional: step caps, as multiples of the observed spend

    [[channels]]
    name = "search"
    value = 60                     # CLV of one NEW customer, discounted contribution margin
    current = 12000                # optional: today's spend
    observed = [9000, 14000]       # optional: spend per period that the curve was seen at
    lo = 5000                      # optional bounds, in the place of step caps
    hi = 20000
    incrementality = 0.8           # optional, 1 = every attributed customer is taken as incremental
    response = { curve = "power", k = 12, b = 0.6 }

    [[channels]]
    name = "social"
    value = 80
    current = 8000
    response = { curve = "point", spend = 8000, customers = 1700 }   # a power curve, b assumed

    [[channels]]
    name = "video"
    value = 100
    current = 4000
    locked = true                  # keeps today's spend
    response = { curve = "michaelis-menten", V = 900, K = 20000 }

    [target]                       # optional: one number to reach, beside profit
    ltv_to_cac = 3                 # or cpa = 12, or customers = 5000 for the least money
    per = "portfolio"              # over all channels, in each "channel", or at the "marginal" one

    [retention]                    # optional
    scores = "scores.parquet"      # customer_id, churn_probability, value_at_stake
    contact_cost = 1
    incentive = 5
    save_rate = 0.25               # or [0.1, 0.4], or leave out for the default; or measured:
    # test = "result.json"         # what clv measure-test --output wrote

Curves are ``power`` (k, b), ``point`` (spend, customers, b), ``michaelis-menten`` (V, K),
``exponential`` (V, K), ``tanh`` (S, c) and ``hill`` (V, K, exponent), as in ``response.py``. A
channel may also have a ``step`` of its own and a ``decline`` (1% more customers make the next one
so many percent less valuable). Without a bound of its own a channel stays within the step caps
around what was observed: ``observed``, else ``current``, else the point.

``period = "week"`` says what one of the ``periods`` of stated curves is called; those that are
estimated tell it themselves.

Instead of ``scores`` and an offer, ``[retention]`` may name a table with the columns cost and gain:
``options = "options.csv"``. Files are looked for beside the plan.

A plan may leave its curves and values to be estimated::

    periods = 13                   # the budget is for so many periods of the spend table

    [curves]
    spend = "spend.csv"            # channel, period, spend [, fixed_cost] [, new_customers]
    log = "orders.csv"             # optional: orders with a channel, for what a customer is worth
    model = "models/demo"          # optional beside log: a folder, or the default, an MLflow URI
    # values = "values.csv"        # in the place of log: what clv first-orders --values wrote
    columns = { date = "day" }     # optional: how the log calls its columns
    as_of = "2024-12-31"           # optional: last day of the log to take in
    period_length = "1 week"       # optional, if the periods do not say it themselves
    plan_from = "2024-07-01"       # optional: since then a plan runs; step caps stay as before it
    shape = "power"                # optional: a shape and an effect of time, as response_curves()
    time = "nothing"               # takes them; otherwise they are chosen by forecast
    draws = 500                    # optional, with seed = 0

    tests = ["result.json"]        # optional: what clv measure-test wrote of tests by regions

    [[curves.lift_tests]]          # optional: what a lift or geo test found, per period
    channel = "search"
    spend = 1000                   # without the test
    extra_spend = 400              # what the test added
    extra_customers = 9
    standard_error = 4

    [[channels]]                   # optional: bounds, a value or a response of its own
    name = "search"
    incrementality = 0.8
    hi = 20000

Every channel that ever spent money is in such a plan. ``current`` is its mean spend a period in the
table, times ``periods``, unless stated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from numpy.typing import ArrayLike
from pydantic import BeforeValidator, Field, PrivateAttr, field_validator

from clv.app.plan_files.offer_terms import Amount
from clv.app.plan_files.sections import (
    ChannelPlan,
    ChannelSettings,
    CurvesPlan,
    Positive,
    Range,
    RetentionPlan,
    Strict,
    TargetPlan,
    as_tuple,
)
from clv.decide.budget.allocate import allocate
from clv.decide.budget.allocation import Allocation
from clv.decide.budget.channel import STEP, Channel
from clv.decide.budget.gain_curve import GainCurve
from clv.decide.budget.modes import Target
from clv.decide.budget.scenarios import ConstraintCost, budget_frontier, constraint_costs
from clv.errors import InputError
from clv.io.settings_errors import settings_of
from clv.io.text_files import parse_toml, read_text
from clv.periods import Duration

HINT = "the documentation of clv.app.plan_files.plan_file shows a complete plan."


class Plan(Strict):
    """A budget plan; see the top of this module for a complete example.

    Examples
    --------
    >>> plan = Plan.parse('''
    ... budget = 10000
    ... [[channels]]
    ... name = "search"
    ... value = 60
    ... response = { curve = "power", k = 12, b = 0.6 }
    ... ''')
    >>> plan.allocate().spend
    {'search': 10000.0}
    """

    budget: Amount | None = None
    currency: str | None = None
    horizon: str | None = None
    periods: Positive = 1.0
    period: Annotated[str, Field(min_length=1, max_length=20)] = "period"
    step: Range = STEP
    channels: Annotated[tuple[ChannelPlan, ...], BeforeValidator(as_tuple)] = ()
    target: TargetPlan | None = None
    retention: RetentionPlan | None = None

    _folder: Path = PrivateAttr(default_factory=Path)

    @field_validator("horizon")
    @classmethod
    def _is_duration(cls, value: str | None) -> str | None:
        try:
            return value if value is None else str(Duration.parse(value))
        except InputError as error:
            raise ValueError('Input should be a duration such as "3 years"') from error

    @classmethod
    def read(cls, path: str | Path) -> Plan:
        """The plan in a TOML file; its files are looked for beside it.

        Raises
        ------
        InputError
            The file is missing or no TOML, or a field is missing, unknown or out of range.
        """
        file = Path(path)
        plan = cls.parse(read_text(file, "give the path of a TOML file.", "plan"), name=file.name)
        if plan.retention is not None:
            plan = plan.model_copy(update={"retention": plan.retention.measured(file.parent)})
        plan._folder = file.parent
        return plan

    @classmethod
    def parse(cls, text: str, name: str = "the plan") -> Plan:
        """The plan in a TOML text; ``name`` is what errors call it."""
        data = parse_toml(text, name, HINT)
        return settings_of(EstimatedPlan if "curves" in data else cls, data, name, HINT)

    @property
    def folder(self) -> Path:
        """Where the files that the plan names are looked for."""
        return self._folder

    def to_channels(self) -> list[Channel]:
        """The channels as ``allocate`` takes them."""
        return [channel.build(self.horizon, self.step) for channel in self.channels]

    def retention_curve(self) -> GainCurve | None:
        """The retention option, read from its file; None without one."""
        if self.retention is None:
            return None
        curve = self.retention.build(self._folder)
        if self.currency and curve.currency and self.currency != curve.currency:
            raise InputError(f"the plan is in {self.currency}, its scores are in {curve.currency}.")
        return curve

    def learning_from(self, day: str) -> Plan:
        """The plan with curves that learn from its own periods, from ``day`` on."""
        raise InputError(
            "the plan states its curves, so they cannot learn from what it spent.",
            hint="name a spend table in [curves]; clv allocate --help shows such a plan.",
        )

    def allocate(self) -> Allocation:
        """The best allocation of this plan."""
        return allocate(
            self.to_channels(),
            self.budget,
            self.retention_curve(),
            self.current(),
            target=self.to_target(),
            periods=self.periods,
            currency=self.currency or "",
            period=self.period,
        )

    def constraint_costs(self) -> tuple[ConstraintCost, ...]:
        """What the budget, the target and the bounds of this plan cost, dearest first."""
        return constraint_costs(
            self.to_channels(),
            self.budget,
            self.retention_curve(),
            target=self.to_target(),
            periods=self.periods,
            currency=self.currency or "",
        )

    def frontier(
        self,
        budgets: ArrayLike | None = None,
        backend: Literal["pandas", "polars", "pyarrow"] = "pandas",
    ) -> Any:
        """The best plan at each of many budgets, within the bounds and without the target."""
        return budget_frontier(
            self.to_channels(),
            budgets,
            self.retention_curve(),
            periods=self.periods,
            backend=backend,
        )

    def to_target(self) -> Target | None:
        """What the plan is for, beside profit."""
        return None if self.target is None else self.target.build()

    def current(self) -> dict[str, float] | None:
        """Today's spend with that on retention; None leaves it to the channels' own."""
        spend = {c.name: c.current for c in self.channels if c.current is not None}
        today = None if self.retention is None else self.retention.current
        if today is None or len(spend) < len(self.channels):
            return None
        return {**spend, "retention": today}


class EstimatedPlan(Plan):
    """A budget plan with ``[curves]``, whose channels are known once these are estimated.

    Reading the files that it names and estimating is the business of ``clv.app.plans``.
    """

    channels: Annotated[tuple[ChannelSettings, ...], BeforeValidator(as_tuple)] = ()  # type: ignore[assignment] # value and response may be missing
    curves: CurvesPlan

    _estimated: Mapping[str, Channel] = PrivateAttr(default_factory=dict)

    def learning_from(self, day: str) -> EstimatedPlan:
        """The plan with curves that learn from its own periods, from ``day`` on."""
        plan = self.model_copy(update={"curves": self.curves.model_copy(update={"plan_from": day})})
        plan._folder = self._folder
        return plan

    def with_channels(self, estimated: Sequence[Channel]) -> EstimatedPlan:
        """The plan with what was found of each channel."""
        plan = self.model_copy()
        plan._estimated = {channel.name: channel for channel in estimated}
        return plan

    def to_channels(self) -> list[Channel]:
        """Those that were estimated, as the plan changes them, then those that it adds.

        Raises
        ------
        PlanError
            A channel of the plan has no spend in the table and states no response.
        """
        stated = {settings.name: settings for settings in self.channels}
        names = dict.fromkeys([*self._estimated, *stated])
        return [
            stated.get(name, ChannelSettings(name=name)).build(
                self.horizon, self.step, self._estimated.get(name)
            )
            for name in names
        ]
