"""A summary with covariates that change over time: season, prices, what was sent to whom.

A likelihood needs to know what held on the day of every purchase, and a forecast what will hold:
neither stands in a summary, so a summary is bound to its log and to a table of what changed when.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame
from numpy.typing import NDArray

from clv.errors import InputError
from clv.history import Cells, History, distinct, read_history, read_unit
from clv.periods import DAYS
from clv.probability.changing_covariates import ChangingCells
from clv.probability.covariates import Coding
from clv.probability.runs import Course, Indices, Runs, summed
from clv.schema import Floats, as_frame, dated, reject_rows, require_columns

KEYS = ("customer_id", "date")


@dataclass(frozen=True, eq=False)
class ChangingSummary:
    """A summary bound to what changed over time; models take it in place of a summary.

    Attributes
    ----------
    table
        The summary.
    changes
        What holds from which day on, in order; see ``with_changes``.
    bought
        Customer (place in the summary) and day of every repeat purchase, shape (2, m).
    """

    table: Any
    changes: nw.DataFrame[Any]
    bought: Floats

    @property
    def names(self) -> list[str]:
        """The covariates that change."""
        return [name for name in self.changes.columns if name not in KEYS]

    def scenario(self, changes: IntoFrame) -> ChangingSummary:
        """The same up to today, and from tomorrow on what ``changes`` say: a future to forecast.

        Parameters
        ----------
        changes
            As in ``with_changes``, with the same columns; days up to the end of the summary are
            not read.

        Returns
        -------
        ChangingSummary

        Raises
        ------
        ColumnError, RowError
            A column is missing, or a value.
        """
        today = np.datetime64("1970-01-01") + int(self.today)
        news = _read_changes(changes, self.changes.columns).filter(nw.col("date") > today)
        past = self.changes.filter(nw.col("date") <= today)
        keys = [name for name in KEYS if name in past.columns]
        together = nw.concat([past, news.select(past.columns)]).sort(*keys)
        return replace(self, changes=together)

    @cached_property
    def history(self) -> History:
        """The purchase histories."""
        return read_history(self.table)

    @cached_property
    def ids(self) -> NDArray[Any]:
        """The customers."""
        return _ids(as_frame(self.table).select("customer_id").collect())

    @cached_property
    def today(self) -> float:
        """The last day of observation, a number."""
        days = as_frame(self.table).select(as_of=_day("as_of")).unique().collect()
        if len(days) != 1:
            raise InputError("the summary holds several days as_of, or none.")
        return float(_numbered(days["as_of"])[0])

    @cached_property
    def day(self) -> float:
        """Of how many units a day is."""
        unit = read_unit(self.table)
        if unit is None:
            raise InputError("the summary does not say its time unit.", hint="summarize() does.")
        return 1 / DAYS[unit]

    @cached_property
    def birth(self) -> Floats:
        """The day of each first purchase."""
        return np.asarray(self.today - np.round(self.history.T / self.day))

    @cached_property
    def course(self) -> Course:
        """What holds when, as rows of ``changes``."""
        day, n = _numbered(self.changes["date"]), len(self.history)
        if "customer_id" not in self.changes.columns:
            whose, of_customer = np.zeros(len(day), dtype=np.intp), np.zeros(n, dtype=np.intp)
        else:
            ids = _ids(self.changes)
            begins = np.flatnonzero(np.append(True, ids[1:] != ids[:-1]))
            names, whose = (
                ids[begins],
                np.repeat(np.arange(len(begins)), np.diff(begins, append=len(ids))),
            )
            of_customer = _places(names, self.ids)
            missing = names[of_customer] != self.ids
            reject_rows(missing, "no change is told", {"customer_id": self.ids})
        first = np.flatnonzero(np.diff(whose, prepend=-1, append=len(day) + 1))
        apart = np.diff(day)[np.diff(whose) == 0]
        last = float(np.median(apart)) if len(apart) else 1.0  # a row holds as long as others do
        until = day[first[1:] - 1] + last - 1
        course = Course(day, np.arange(len(day)), first, of_customer, until)
        late = course.rows_at(np.arange(n), self.birth) < 0
        reject_rows(
            late,
            "nothing is told of the day of the first purchase",
            {"customer_id": self.ids},
            hint="the table of changes must begin with the first purchase, or before it.",
        )
        return course

    def runs(self, begin: Floats, end: Floats) -> Runs:
        """What customers meet between two days each, as rows of ``changes``, in units.

        Raises
        ------
        InputError
            It is not known that far.
        """
        self.require_known(end)
        return self.course.runs(begin, end).scaled(1 / self.day)

    def require_known(self, end: Floats) -> None:
        """``InputError`` unless the changes of every customer are told up to a day."""
        until = self.course.until[self.course.of_customer]
        if not (end <= until + 1).all():
            known, asked = (str(_date(day)) for day in (until.min(), end.max()))
            raise InputError(
                f"{', '.join(self.names)} are known until {known}, and needed until {asked}.",
                hint="add rows, or say what you expect: X.scenario(table of date and values).",
            )


def with_changes(summary: IntoFrame, log: IntoFrame, changes: IntoFrame) -> ChangingSummary:
    """A summary with covariates that change over time.

    Parameters
    ----------
    summary
        What ``summarize`` gives, of the whole log or up to a day.
    log
        The clean log: customer_id, date.
    changes
        date, the covariates, and customer_id unless they are the same for all: from a day on a
        row holds until the customer's next one.

    Returns
    -------
    ChangingSummary
        For ``fit`` and all predictions of a model whose ``covariates`` name its columns, such as
        ``ParetoNBD(covariates=["channel", "high_season"])``.

    Raises
    ------
    ColumnError, RowError
        A column or a value is missing, a customer has no changes, or not from the first purchase
        on; or the log has other purchases than the summary.

    Examples
    --------
    >>> import pandas as pd
    >>> from clv.data.cdnow import cdnow_log
    >>> from clv.data.summary import summarize
    >>> from clv.probability.pareto_nbd import ParetoNBD
    >>> log = cdnow_log(sample=True)
    >>> weeks = pd.DataFrame({"date": pd.date_range("1997-01-01", "1998-12-31", freq="7D")})
    >>> weeks["winter"] = weeks["date"].dt.month.isin([11, 12, 1]).astype(float)
    >>> X = with_changes(summarize(log, unit="week"), log, weeks)
    >>> model = ParetoNBD(covariates=["winter"]).fit(X)
    >>> list(model.params_)[4:]
    ['purchases[winter]', 'leaving[winter]']
    >>> model.conditional_expected_purchases(13.0, X).shape
    (2357,)
    """
    frame = as_frame(summary, "the summary")
    require_columns(frame, ["customer_id", "as_of"], "the summary")
    table = frame.collect().to_native()  # once: a query may change its order
    bound = ChangingSummary(table, _read_changes(changes), np.empty((2, 0)))
    return replace(bound, bought=_repeat_days(bound, log))


def _read_changes(changes: IntoFrame, like: Sequence[str] = ()) -> nw.DataFrame[Any]:
    """The table in order, dates as days."""
    frame = dated(changes, "the table of changes")
    require_columns(frame, like, "the table of changes")
    rows = frame.with_columns(_day("date")).collect()
    keys = [name for name in KEYS if name in rows.columns]
    rows = rows.sort(*keys)
    if len(rows) == 0 or len(rows.columns) == len(keys):
        raise InputError("the table of changes is empty.", hint="give date and a covariate.")
    twice = rows.select(keys).is_duplicated().to_numpy()
    names = {name: rows[name].to_numpy() for name in keys}
    reject_rows(twice, "changes of one day are told several times", names)
    return rows


def _repeat_days(bound: ChangingSummary, log: IntoFrame) -> Floats:
    """Customer and day of every repeat purchase up to the end of the summary."""
    rows = dated(log, "the log", "customer_id").select("customer_id", date=_day("date"))
    days = rows.unique(["customer_id", "date"]).collect()
    ids, order = bound.ids, np.argsort(bound.ids)
    bought, when = _ids(days), _numbered(days["date"])
    place = order[_places(ids[order], bought)]
    counts = (ids[place] == bought) & (when > bound.birth[place]) & (when <= bound.today)
    place, when = place[counts], when[counts]
    wrong = np.bincount(place, minlength=len(ids)) != bound.history.x
    reject_rows(
        wrong,
        "the log and the summary count other repeat purchases",
        {"customer_id": ids, "frequency": bound.history.x},
        hint="give the log that was summarized.",
    )
    return np.array([place.astype(np.float64), when])


def observed(X: ChangingSummary, coding: Coding, count: Floats) -> ChangingCells:
    """What a fit sees of it."""
    history, birth = X.history, X.birth
    last, now = birth + np.round(history.t_x / X.day), np.full(len(birth), X.today)
    customer = X.bought[0].astype(np.intp)
    at = X.course.rows_at(customer, X.bought[1])
    runs = [X.runs(birth, last), X.runs(last, now)]
    z, (before, after), bought = coded(X, coding, runs, customer, at)
    sums = [summed(customer, column[bought], len(count)) for column in z.T]
    cells = Cells(history.x, history.t_x, history.T, count)
    return ChangingCells(cells, np.column_stack(sums), before.summed(), after, z)


def ahead(X: ChangingSummary, coding: Coding, t: Floats) -> tuple[Floats, Runs]:
    """The z that customers meet within ``t`` units after today, and when."""
    now = np.full(len(X.history), X.today)
    nobody = np.zeros(0, dtype=np.intp)
    z, (runs,), _ = coded(X, coding, [X.runs(now, now + t / X.day)], nobody, nobody)
    return z, runs


def coded(
    X: ChangingSummary,
    coding: Coding,
    runs: Sequence[Runs],
    customer: Indices,
    at: Indices,
) -> tuple[Floats, list[Runs], Indices]:
    """The z of runs whose codes are rows of changes, and of customers at some of these rows."""
    static, moving = split_columns(X, coding)
    of_customer = _rows_of(static, len(X.history))
    of_change = _rows_of(moving, len(X.changes))
    pairs = [(of_customer[1][r.of], of_change[1][r.code]) for r in runs]
    pairs.append((of_customer[1][customer], of_change[1][at]))
    left, right = (np.concatenate(side).astype(np.float64) for side in zip(*pairs, strict=True))
    (g, h), row = distinct(left, right)
    ends = np.cumsum([len(side) for side, _ in pairs])[:-1]
    *codes, bought = np.split(row, ends)
    wide = dict(zip(static, of_customer[0][g.astype(int)].T, strict=True))
    wide |= dict(zip(moving, of_change[0][h.astype(int)].T, strict=True))
    effects = [effect for covariate in coding.covariates for effect in covariate.effects]
    z = np.column_stack([wide[effect] for effect in effects])
    joined = [Runs(r.of, c, r.length).joined() for r, c in zip(runs, codes, strict=True)]
    return z, joined, bought


def split_columns(
    X: ChangingSummary, coding: Coding
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """The columns of z by effect: those of the summary, and those of the changes."""
    static: dict[str, Floats] = {}
    moving: dict[str, Floats] = {}
    for covariate in coding.covariates:
        changes = covariate.name in X.names
        values = column(X, covariate.name)
        into = moving if changes else static
        into |= dict(zip(covariate.effects, covariate.code(values).T, strict=True))
    return static, moving


def _rows_of(columns: dict[str, Floats], n: int) -> tuple[Floats, NDArray[np.intp]]:
    """The distinct rows of columns, shape (rows, k), and where each of n stands; k may be 0."""
    if not columns:
        return np.empty((1, 0)), np.zeros(n, dtype=np.intp)
    values, row = distinct(*columns.values())
    return np.column_stack(values), row


def column(X: ChangingSummary, name: str) -> nw.Series[Any]:
    """A covariate as the table of changes or the summary has it."""
    rows = X.changes
    if name not in X.names:
        frame = as_frame(X.table, "the summary")
        require_columns(frame, [name], "the summary")
        rows = frame.select("customer_id", name).collect()
    values = rows[name]
    missing = values.is_null()
    if values.dtype.is_float():
        missing = missing | ~values.is_finite()
    keys = {key: rows[key].to_numpy() for key in KEYS if key in rows.columns}
    reject_rows(missing.to_numpy(), f"{name} is missing", keys)
    return values


def _date(day: float) -> object:
    """A day that is a number, as a date; infinitely late ones in words."""
    return np.datetime64("1970-01-01") + int(day) if np.isfinite(day) else "the end of time"


def _ids(rows: nw.DataFrame[Any]) -> NDArray[Any]:
    ids = rows["customer_id"].to_numpy()
    return ids.astype(str) if ids.dtype == object else ids


def _places(names: NDArray[Any], ids: NDArray[Any]) -> Indices:
    """Where ids stand among names in order, or would."""
    if names.dtype.kind != ids.dtype.kind and "U" in (names.dtype.kind, ids.dtype.kind):
        raise InputError(
            "customer_id is text in one table and a number in another.",
            hint="cast it to the same type in all of them.",
        )
    return np.minimum(np.searchsorted(names, ids), len(names) - 1)


def _day(name: str) -> nw.Expr:
    """A date or a moment as the begin of its day, which every engine gives as numbers."""
    return nw.col(name).cast(nw.Date).cast(nw.Datetime("us"))


def _numbered(days: nw.Series[Any]) -> Floats:
    """Days as numbers."""
    return np.asarray(days.to_numpy().astype("datetime64[D]").astype(np.float64))
