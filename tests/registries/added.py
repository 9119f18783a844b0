"""One more entry in every registry, added before anything is built: a plugin of pytest."""

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import narwhals as nw
import numpy as np
from numpy.typing import ArrayLike

from clv.data import features
from clv.decide.budget.response import CURVES, Formula, Parameter
from clv.decide.response.shapes import SHAPES, Saturating
from clv.exports.formats import FORMATS, ExportFormat
from clv.exports.identifiers import hashed
from clv.findings import finding
from clv.io.table_files import TABLE_FILES, TableFile
from clv.schema import Floats
from clv.store.filter_kinds import ListFilter, RangeFilter
from clv.store.filters import FILTERS


@dataclass(frozen=True)
class Logarithmic(Formula):
    """n(s) = V ln(1 + s / K): ever slower, without an end."""

    name: ClassVar[str] = "logarithmic"
    V: Parameter
    K: Parameter

    def customers(self, spend: ArrayLike) -> Floats:
        return np.asarray(self.V * np.log1p(np.asarray(spend) / self.K))

    def marginal(self, spend: ArrayLike) -> Floats:
        return np.asarray(self.V / (self.K + np.asarray(spend)))

    def spend_at(self, marginal: ArrayLike) -> Floats:
        with np.errstate(divide="ignore"):
            return np.asarray(np.maximum(self.V / np.asarray(marginal) - self.K, 0.0))

    def over(self, periods: float) -> "Logarithmic":
        return replace(self, V=self.V * periods, K=self.K * periods)


class LogarithmicShape(Saturating):
    """h(x) = ln(1 + x)."""

    name = "logarithmic"
    half = 1.36648791  # x / ((1 + x) ln(1 + x)) = 1/2

    def log_h(self, log_x: Floats) -> Floats:
        return np.asarray(np.log(np.log1p(np.exp(log_x))))

    def elasticity(self, log_x: Floats) -> Floats:
        x = np.exp(log_x)
        return np.asarray(x / ((1 + x) * np.log1p(x)))

    def saturated(self, V: Floats, K: Floats) -> Logarithmic:
        return Logarithmic(V, K)


FIELDS = (
    ListFilter(
        name="countries",
        column="country",
        label="Country",
        description="Any of these countries.",
        example=["DE"],
        phrase="from",
    ),
    RangeFilter(
        name="returns",
        column="return_share",
        label="Share returned",
        description="Share of the revenue sent back, 0 to 1",
        least=0,
        most=1,
        unit="%",
    ),
)


def _weekend(days: Any, end: dt.date, window: int) -> Any:
    at_weekend = (nw.col("date").dt.weekday() >= 6).cast(nw.Float64)
    share = days.with_columns(weekend=at_weekend)
    return share.group_by("customer_id").agg(nw.col("weekend").mean())


WEEKEND = features.Feature(
    "weekdays",
    lambda columns, _: columns["weekend"],
    columns=("weekend",),
    from_log=_weekend,
    words=lambda facts, i: finding(
        "basis.text", text=f"{facts['weekend'][i]:.0%} of the days with an order at a weekend"
    ),
)
PER_DAY = features.Feature("pace", lambda _, history: history.x / np.maximum(history.T, 1.0))
JSON = TableFile(
    name="json",
    endings=(".json",),
    media_type="application/json",
    options="FORMAT json, ARRAY true",
    label="JSON",
    note="for scripts",
)


def pinterest() -> ExportFormat:
    return ExportFormat(
        "pinterest", {"email": hashed("email")}, fewest=100, note="upload it twice."
    )


def pytest_load_initial_conftests() -> None:
    """Before any conftest imports what loops over the registries."""
    features.FEATURES["per_unit"] = PER_DAY
    features.LOG_FEATURES["weekend"] = WEEKEND
    features.BEHAVIOUR = features.behaviour()  # as it is when the entry stands in the file
    FILTERS.update({field.name: field for field in FIELDS})
    TABLE_FILES[JSON.name] = JSON
    FORMATS["pinterest"] = pinterest
    CURVES[Logarithmic.name] = Logarithmic
    SHAPES[LogarithmicShape.name] = LogarithmicShape()
