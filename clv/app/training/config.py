"""What a training run is told, read from TOML: strict, frozen, no key that nobody reads.

Paths are relative to the file they stand in. ``clv train --help`` shows an example.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from clv.app.data_file import DataSection
from clv.data.days import as_day
from clv.defaults import SHRINK
from clv.errors import InputError
from clv.forecast.calendar import Calendar, Event
from clv.intake.spend_table import SpendRecipe
from clv.io.databases import DatabaseAddress
from clv.io.settings_errors import settings_of
from clv.io.text_files import parse_toml, read_text
from clv.periods import Duration, Unit
from clv.probability.fitted import Engine
from clv.probability.models import ModelName
from clv.shares import check_share


def _day(value: Any) -> dt.date:
    try:
        return as_day(value, "it")
    except InputError as error:
        raise ValueError(f"{value!r} is not a day; write it as in 2011-08-31") from error


def _length(value: Any) -> str:
    try:
        return str(Duration.parse(value))
    except (InputError, TypeError) as error:
        raise ValueError(f'{value!r} is not a duration; write it as in "13 weeks"') from error


def _rate(value: Any) -> float | str:
    if value == "measured":
        return "measured"
    check_share("margin_rate", value, "(0, 1]", 'give a fraction, such as 0.3, or "measured".')
    return float(value)


def _fraction(name: str, within: str) -> BeforeValidator:
    def checked(value: Any) -> Any:
        check_share(name, value, within)
        return value

    return BeforeValidator(checked)


Day = Annotated[dt.date, BeforeValidator(_day)]
Length = Annotated[str, BeforeValidator(_length)]
Rate = Annotated[float | Literal["measured"], BeforeValidator(_rate)]
Purchases = Literal["auto", ModelName]
Measure = Literal[
    "money/gini", "money/rmse", "money/bias", "purchases/gini", "purchases/rmse", "purchases/bias"
]

# How far a figure is from perfect; the smaller the better.
DISTANCE: dict[str, Callable[[float], float]] = {"gini": lambda g: 1 - g, "rmse": abs, "bias": abs}
MEASURES = {name: DISTANCE[name.partition("/")[2]] for name in get_args(Measure)}


class StrictSection(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Money(StrictSection):
    """The terms of ``clv.value.value.Terms``."""

    margin_rate: Rate = 1.0
    annual_discount_rate: Annotated[float, _fraction("annual_discount_rate", "(-1, 1)")] = 0.10
    horizon: Length = "3 years"
    currency: str = ""


class Model(StrictSection):
    """What is fitted, and under which name it is registered."""

    name: str = "clv"
    unit: Unit = "week"
    purchase_model: Purchases = "bg_nbd"
    engine: Engine = "native"
    churn_horizon: Length = "13 weeks"
    shrink: Annotated[float, _fraction("shrink", "(0, 1]")] = SHRINK


class Holdout(StrictSection):
    """The backtest: fitted up to the end of ``cutoff``, judged up to ``end`` (or the log's end).

    Without a cutoff, ``usual_cutoff`` of the log, as ``clv init`` proposes it.
    Beside it a rolling origin judges every model and chooses among them: at ``origins`` cutoffs
    spread over the log (0: none), or at ``cutoffs``, each with ``length`` after it.
    """

    cutoff: Day | None = None
    end: Day | None = None
    origins: int = Field(default=3, ge=0)
    length: Length | None = None
    cutoffs: tuple[Day, ...] = Field(default=(), strict=False)

    @property
    def day(self) -> str:
        """The cutoff in words; which it is, if it is not stated, only the log says."""
        return "an earlier day" if self.cutoff is None else str(self.cutoff)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end and self.cutoff and self.end <= self.cutoff:
            raise ValueError(f"end {self.end} is not after cutoff {self.cutoff}")
        if list(self.cutoffs) != sorted(set(self.cutoffs)):
            raise ValueError("cutoffs are not in order of time")
        return self


class CalendarEvent(StrictSection):
    """The fields of ``clv.forecast.calendar.Event``; one day where it has no last one."""

    name: str
    first: Day
    last: Day | None = None
    multiplier: float | None = None

    def event(self) -> Event:
        """The same for a forecast."""
        return Event(self.name, self.first, self.last or self.first, self.multiplier)


class CalendarSection(StrictSection):
    """What the log cannot know: totals of earlier years by month or week, and events."""

    totals: dict[str, float] = {}
    events: tuple[CalendarEvent, ...] = Field(default=(), strict=False)

    @model_validator(mode="after")
    def _usable(self) -> Self:
        self.known_at(None)
        return self

    def known_at(self, cutoff: dt.date | None) -> Calendar:
        """The calendar of a forecast from a day, by what was known at its end."""
        events = tuple(event.event() for event in self.events)
        if not self.totals:
            return Calendar(events=events)
        return Calendar.from_totals(self.totals, events, until=cutoff)


class Promotion(StrictSection):
    """What decides between challenger and champion, a figure of the holdout."""

    measure: Measure = "money/gini"


class Config(StrictSection):
    """A whole file."""

    experiment: str = "clv"
    data: DataSection
    spend: SpendRecipe = SpendRecipe()
    terms: Money = Money()
    model: Model = Model()
    holdout: Holdout = Holdout()
    calendar: CalendarSection = CalendarSection()
    promotion: Promotion = Promotion()

    @classmethod
    def read(cls, file: str | os.PathLike[str]) -> Config:
        """The configuration in a TOML file.

        Raises
        ------
        InputError
            There is no such file, it is not TOML, or a field cannot be used; all such fields are
            named.
        """
        path = Path(file)
        hint = "give a TOML file; clv train --help shows one."
        values = parse_toml(read_text(path, hint), str(path), hint)
        return cls.from_values(values, path)

    @classmethod
    def from_values(cls, values: dict[str, Any], path: Path) -> Config:
        """The configuration in plain values, as if they stood in the file ``path``."""
        config = settings_of(cls, values, str(path), "clv train --help shows an example.")
        files = tuple(
            file if DatabaseAddress.parse(file) else str((path.parent / file).resolve())
            for file in config.data.files
        )
        return config.model_copy(update={"data": config.data.model_copy(update={"files": files})})

    def with_holdouts(self, origins: int | None, length: str | None) -> Config:
        """The same with another count of cutoffs, and another length (days, or with a unit)."""
        if length and length.isdigit():
            length = f"{length} days"
        news: dict[str, Any] = {"length": str(Duration.parse(length))} if length else {}
        if origins is not None:
            news |= {"origins": origins, "cutoffs": ()}
        return self.model_copy(update={"holdout": self.holdout.model_copy(update=news)})

    def flat(self) -> dict[str, Any]:
        """Every field by its dotted name, as MLflow lists parameters."""
        plain = self.model_dump(mode="json", exclude={"spend"})  # no part of what is trained
        sections = {name: value for name, value in plain.items() if isinstance(value, dict)}
        fields = {
            f"{name}.{key}": value
            for name, section in sections.items()
            for key, value in section.items()
        }
        return {"experiment": self.experiment} | fields
