"""The sections of a plan file, each a strict model that builds what ``allocate`` takes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, Union

import narwhals as nw
import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    create_model,
    model_validator,
)

from clv.app.plan_files.measured_results import of_test, one_save_rate, save_rate_of
from clv.app.plan_files.offer_terms import Amount, PartShare, RetentionTerms, SomeShare
from clv.decide.budget.channel import STEP, Channel
from clv.decide.budget.draws import MeanOfDraws
from clv.decide.budget.gain_curve import GainCurve, as_gain_curve
from clv.decide.budget.modes import MinimumCost, Target, TargetCPA, TargetLtvToCac
from clv.decide.budget.response import CURVES, Formula, Power
from clv.decide.response.panel import LiftTest
from clv.decide.retention.plan import gain_curve
from clv.errors import InputError, PlanError
from clv.intake.recipe import Columns
from clv.io.settings_errors import unknown_columns


def _as_range(value: object) -> tuple[float, float]:
    match value:
        case [float() | int() as low, float() | int() as high] if 0 <= low <= high:
            return float(low), float(high)
        case _:
            raise ValueError("Input should be two numbers, such as [0.5, 2.0]")


def as_tuple(value: object) -> object:
    """A list as the tuple that nobody can change."""
    return tuple(value) if isinstance(value, list) else value


Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Range = Annotated[
    tuple[float, float], PlainValidator(_as_range, json_schema_input_type=list[float])
]


class Strict(BaseModel):
    """Nothing is converted, unknown keys are refused, nothing changes once read."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class FormulaCurve(Strict):
    """One of ``CURVES``, by its name and its parameters."""

    curve: str

    def build(self) -> Formula:
        """The response curve."""
        return CURVES[self.curve](**self.model_dump(exclude={"curve"}))


class PointCurve(Strict):
    """The power curve through one observed point; b is assumed when left out."""

    curve: Literal["point"]
    spend: Positive
    customers: Positive
    b: Annotated[float, Field(gt=0, lt=1)] | None = None

    def build(self) -> Power:
        """The response curve."""
        return Power.from_point(self.spend, self.customers, self.b)


class MeanCurve(Strict):
    """The mean of many draws of one curve: what ``clv publish --plan`` makes of an estimated one.

    ``draws`` has, by parameter of the curve, a number for each draw.
    """

    curve: Literal["mean"]
    of: CurveName
    draws: dict[str, Annotated[list[Positive], Field(min_length=1, max_length=1000)]]
    assumed: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = ()

    @model_validator(mode="after")
    def _is_a_curve(self) -> Self:
        names = CURVES[self.of].parameters()
        if sorted(self.draws) != sorted(names) or len(set(map(len, self.draws.values()))) > 1:
            raise ValueError(f"Input should have as many draws of each of {', '.join(names)}")
        self.build()  # a curve checks its own parameters
        return self

    def build(self) -> MeanOfDraws:
        """The response curve."""
        arrays: dict[str, Any] = {name: np.array(values) for name, values in self.draws.items()}
        return MeanOfDraws(CURVES[self.of](**arrays), assumed=self.assumed)

    @classmethod
    def written(cls, curve: MeanOfDraws) -> Self:
        """The section that says ``curve``."""
        names = curve.draws.parameters()
        values = np.broadcast_arrays(*(getattr(curve.draws, name) for name in names))
        draws = {name: array.tolist() for name, array in zip(names, values, strict=True)}
        assumed = sorted({*curve.assumed, *curve.draws.assumed})
        of = curve.draws.name
        return cls.model_validate({"curve": "mean", "of": of, "draws": draws, "assumed": assumed})


def _section(curve: type[Formula]) -> type[FormulaCurve]:
    """The model of a curve, from its name and its parameters."""
    parameters: dict[str, Any] = {
        name: Annotated[float, Field(gt=0, lt=limits.get("below"), allow_inf_nan=False)]
        for name, limits in curve.parameters().items()
    }
    about = (curve.__doc__ or "").partition("\n")[0]
    names: dict[str, Any] = {"curve": Literal[curve.name]}
    model = f"{curve.__name__}Curve"
    return create_model(model, __base__=FormulaCurve, __doc__=about, **names, **parameters)


if TYPE_CHECKING:
    CurveName = str
    Curve = FormulaCurve | PointCurve | MeanCurve
else:  # as many as there are in CURVES
    CurveName = Literal[tuple(CURVES)]
    Curve = Annotated[
        Union[(*map(_section, CURVES.values()), PointCurve, MeanCurve)],
        Field(discriminator="curve"),
    ]


class ChannelSettings(Strict):
    """One ``[[channels]]`` of a plan with ``[curves]``: what is left out is estimated."""

    name: Annotated[str, Field(min_length=1)]
    value: Amount | None = None
    response: Curve | None = None
    lo: Amount = 0.0
    hi: Annotated[float, Field(ge=0)] = math.inf
    current: Amount | None = None
    locked: bool = False
    incrementality: SomeShare = 1.0
    observed: Range | None = None
    step: Range | None = None
    decline: PartShare = 0.0

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.locked and {"lo", "hi", "step"} & self.model_fields_set:
            raise ValueError("Input should have either locked = true or the bounds lo and hi")
        if self.response is None:
            return self
        if self.value is None:
            raise ValueError("Input should have value beside a response of its own")
        if self.locked and self.current is None:
            raise ValueError("Input should have current, the spend that locked = true keeps")
        if self.decline and not self.current:
            raise ValueError("Input should have current, the spend at which value was measured")
        return self

    def build(
        self,
        horizon: str | None,
        step: tuple[float, float] = STEP,
        estimated: Channel | None = None,
    ) -> Channel:
        """The channel that ``allocate`` takes.

        Parameters
        ----------
        horizon, step
            Of the whole plan.
        estimated
            What is known of the channel where the plan states no response.

        Raises
        ------
        PlanError
            Neither the plan nor an estimate says how customers respond to spend.
        """
        channel = self._stated(horizon) or estimated
        if channel is None:
            raise PlanError(
                f"{self.name} has neither a response nor spend that one could be estimated from.",
                hint="check its name against the spend table, or state value and response.",
            )
        current = channel.current if self.current is None else self.current
        locked_spend = current or 0.0
        return replace(
            channel,
            value=channel.value if self.value is None else self.value,
            lo=locked_spend if self.locked else self.lo,
            hi=locked_spend if self.locked else self.hi,
            current=current,
            observed=self.observed or channel.observed,
            step=self._step(step),
            decline=self.decline,
        )

    def _stated(self, horizon: str | None) -> Channel | None:
        if self.response is None or self.value is None:
            return None
        observed = None
        if self.current is None and isinstance(self.response, PointCurve):
            observed = (self.response.spend, self.response.spend)  # the one point of the curve
        return Channel(
            self.name,
            self.response.build(),
            self.value,
            incrementality=self.incrementality,
            horizon=horizon,
            observed=observed,
        )

    def _step(self, default: tuple[float, float]) -> tuple[float, float]:
        """Its own, the plan's, or none on a side where a bound is written down."""
        low, high = default if self.step is None else self.step
        stated = self.model_fields_set
        return (0.0 if "lo" in stated else low), (math.inf if "hi" in stated else high)


class ChannelPlan(ChannelSettings):
    """One ``[[channels]]`` of a plan that states every value and every curve."""

    value: Amount
    response: Curve


class LiftTestPlan(Strict):
    """One ``[[curves.lift_tests]]`` of a plan."""

    channel: Annotated[str, Field(min_length=1)]
    spend: Amount
    extra_spend: Finite
    extra_customers: Finite
    standard_error: Positive

    def build(self) -> LiftTest:
        """The lift test that ``response_curves`` takes."""
        return LiftTest(**self.model_dump())


class CurvesPlan(Strict):
    """The ``[curves]`` of a plan: where curves and values are estimated from.

    ``log`` and ``model`` bring the value of a new customer per channel; ``spend`` may leave out
    new_customers where there is a log to count them in. ``values`` is a table of them instead.
    """

    spend: Annotated[str, Field(min_length=1)]
    log: str | None = None
    values: str | None = None
    model: str | None = None
    columns: dict[str, str] = {}
    as_of: str | None = None
    period_length: str | None = None
    plan_from: str | None = None
    shape: str | None = None
    time: str | None = None
    draws: Annotated[int, Field(ge=50, le=10_000)] = 500
    seed: Annotated[int, Field(ge=0)] = 0
    lift_tests: Annotated[tuple[LiftTestPlan, ...], BeforeValidator(as_tuple)] = ()
    tests: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = ()

    @model_validator(mode="after")
    def _log_for_values(self) -> Self:
        if self.log is None and self.model_fields_set & {"model", "columns", "as_of"}:
            raise ValueError("Input should have log beside model, columns or as_of")
        if self.log is not None and self.values is not None:
            raise ValueError("Input should have log or values, not both")
        if unknown := unknown_columns(self.columns, Columns.model_fields, "a log"):
            raise ValueError(unknown)
        return self


class TargetPlan(Strict):
    """The ``[target]`` of a plan: one number to reach, beside profit."""

    customers: Positive | None = None
    cpa: Positive | None = None
    ltv_to_cac: Positive | None = None
    per: Literal["portfolio", "channel", "marginal"] = "portfolio"

    @model_validator(mode="after")
    def _one_number(self) -> Self:
        if sum(x is not None for x in (self.customers, self.cpa, self.ltv_to_cac)) != 1:
            raise ValueError("Input should have one of customers, cpa and ltv_to_cac")
        if self.customers is not None and self.per != "portfolio":
            raise ValueError("Input should have no per beside customers, who are counted together")
        return self

    def build(self) -> Target:
        """The target that ``allocate`` takes."""
        if self.customers is not None:
            return MinimumCost(self.customers)
        if self.cpa is not None:
            return TargetCPA(self.cpa, self.per)
        return TargetLtvToCac(self.ltv_to_cac or 0.0, self.per)


class RetentionPlan(RetentionTerms):
    """The ``[retention]`` of a plan: scores and an offer, or a table of options."""

    scores: str | None = None
    options: str | None = None
    test: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.scores is None) == (self.options is None):
            raise ValueError("Input should name one file: scores or options")
        if self.scores is not None and self.contact_cost is None:
            raise ValueError("Input should have contact_cost, which scores need")
        if self.options is not None and self.model_fields_set - {"options", "current"}:
            raise ValueError("Input should have no offer beside options, which has its own costs")
        return self

    _one_rate = model_validator(mode="after")(one_save_rate)

    def measured(self, folder: Path) -> Self:
        """The same with the save rate of its test, a file in ``folder``, where it names one."""
        if self.test is None:
            return self
        return self.model_copy(update=of_test(save_rate_of(folder / self.test)))

    def build(self, folder: Path) -> GainCurve:
        """The gain curve, from files in ``folder``."""
        if self.options is not None:
            return as_gain_curve(_read_table(folder / self.options))
        scores, share = _read_table(folder / str(self.scores)), self.control_share
        return gain_curve(scores, self.offer(), control_share=share, seed=self.seed)


def _read_table(file: Path) -> Any:
    readers = {".parquet": nw.read_parquet, ".csv": nw.read_csv}
    if file.suffix not in readers:
        raise InputError(f"{file.name} is no .parquet or .csv file.")
    if not file.is_file():
        raise InputError(f"there is no file {file}.", hint="its path is relative to the plan.")
    return readers[file.suffix](str(file), backend="pyarrow").to_native()
