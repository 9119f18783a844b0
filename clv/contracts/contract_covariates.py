"""Contracts whose customers differ by columns of their table: plan, country, channel, seats.

The columns are those of the row in which a contract began. A covariate makes customers leave by a
factor more or less at a renewal; all customers with the same values share an ordinary model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chi2

from clv.contracts.billing_tables import Interval
from clv.contracts.contract_tables import ContractTable
from clv.errors import InputError
from clv.findings import Finding, finding
from clv.intake.role_cells import text_of
from clv.probability.contract_model import ContractModel
from clv.probability.covariance import Covariance, coordinate_names
from clv.schema import Floats

PLAN, COHORT = "plan", "cohort"
LEVELS = 40  # values of a column that is no number; more, and it is an identifier or free text
NUMBERS = 12  # different numbers from which on a column acts as a number and not by its values
EFFECT_SD = 0.5  # prior of the log of a factor: few customers of a value stay near the others
KINDS = 200  # of customers, each of whom gets a model
NOT_STATED = "not stated"
BEGUN = ("customer", "unit", "length", "currency", "start")  # tell a contract's first row
END = 1.645  # standard errors to either end of an interval of 90%


@dataclass(frozen=True)
class CovariateModels:
    """Models by the values of covariates, and what each value does.

    Attributes
    ----------
    groups
        By the values, joined by ", ": an ordinary model with its covariance.
    customers
        By the same.
    effects
        By name, such as "leaving[country=DE]": a factor, and its interval of 90%.
    reason
        What the covariates explain.
    """

    groups: Mapping[str, ContractModel]
    customers: Mapping[str, int]
    effects: Mapping[str, tuple[float, float, float]]
    reason: Finding


def covariate_cells(table: ContractTable, names: Sequence[str]) -> Mapping[Interval, pd.DataFrame]:
    """The cells of a table apart by the values of some of its columns, which become columns.

    Raises
    ------
    InputError, ColumnError
        A column is not there, or there are too many different values.
    """
    if table.contracts is None:
        if other := sorted(set(names) - {PLAN, COHORT}):
            raise InputError(
                f"counts of cohorts have no {other[0]!r} to differ by.",
                hint="plan and cohort can be covariates there; others take the subscriptions.",
            )
        return table.cells
    attach_covariates(table, names)
    return table.contracts.cells(names)


def attach_covariates(table: ContractTable, names: Sequence[str]) -> None:
    """The column ``kind`` of the contracts: the values of these columns, as texts.

    Raises
    ------
    ColumnError
        The table has no such column.
    """
    if table.contracts is None:
        raise InputError("counts of cohorts hold no customers, so nobody can be scored.")
    source, recipe, db = table.source, table.recipe, table.source.connection
    plans = (PLAN, recipe.columns.get(PLAN))
    cells = [
        "any_value(c.plan)" if n in plans else f"arg_min(k{k}, _row)" for k, n in enumerate(names)
    ]
    listed = ", ".join(f"coalesce(nullif({cell}, ''), '{NOT_STATED}')" for cell in cells)
    columns = [f"{_text(table, n)} AS k{k}" for k, n in enumerate(names) if n not in plans]
    source.rows.project(", ".join(["_row", *columns])).create_view("covariates")
    same = " AND ".join(f"s.{name} = c.{name}" for name in BEGUN)
    db.execute("ALTER TABLE contracts DROP COLUMN IF EXISTS kind")
    db.execute(
        "CREATE OR REPLACE TABLE contracts AS SELECT c.*, k.kind FROM contracts c JOIN (SELECT "
        f"c.rowid AS place, list_value({listed}) AS kind FROM contracts c JOIN spells s ON {same} "
        "JOIN covariates USING (_row) GROUP BY c.rowid) k ON c.rowid = k.place"
    )
    db.execute("DROP VIEW covariates")


def _text(table: ContractTable, name: str) -> str:
    """SQL for the cells of a column; an error if the table has none of that name."""
    table.source.column(name)
    return text_of(table.source, table.recipe.model_copy(update={"columns": {name: name}}), name)


def fit_covariates(
    base: ContractModel, cells: pd.DataFrame, names: Sequence[str]
) -> CovariateModels:
    """Models of one kind by the values of covariates.

    Parameters
    ----------
    base
        Fitted on all cells, without covariates.
    cells
        From ``covariate_cells``.
    names
        The covariates.

    Raises
    ------
    InputError
        A covariate is the same for everybody, or has too many values.
    """
    used = [name for name in names if cells[name].nunique() > 1]
    if not used:
        raise InputError(
            f"{', '.join(names)}: the same for everybody, which explains nothing.",
            hint="name a column whose values differ.",
        )
    typed = cells.assign(**{name: _typed(cells[name]) for name in used})
    if (kinds := len(typed.drop_duplicates(used))) > KINDS:
        raise InputError(
            f"{', '.join(used)} have {kinds} values together, at most {KINDS}.",
            hint="name fewer columns, or put numbers into classes.",
        )
    fitted = type(base)(covariates=used, effect_sd=EFFECT_SD).fit(typed).with_covariance(typed)
    rise = fitted.log_likelihood_ - base.log_likelihood_
    factors = len(fitted.params_) - len(base.params_)
    chance = float(chi2.sf(max(2 * rise, 0.0), factors)) > 0.05
    effects: dict[str, Any] = {"names": used, "factors": factors, "rise": rise}
    by_chance = finding("contracts.by_chance") if chance else None
    rows = typed.drop_duplicates(list(names))
    key = cells[list(names)].agg(", ".join, axis=1)
    return CovariateModels(
        {key[place]: model_at(fitted, rows.loc[place, used].to_dict()) for place in rows.index},
        {str(name): int(n) for name, n in cells.groupby(key)["customers"].sum().items()},
        _effects(fitted),
        finding("contracts.covariates", **effects, by_chance=by_chance),
    )


def _typed(values: pd.Series) -> pd.Series:
    """Numbers where a column holds many different ones, else its values as texts."""
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.notna().all() and values.nunique() >= NUMBERS:
        return numbers.astype(np.float64)
    if values.nunique() > LEVELS:
        raise InputError(
            f"the covariate {values.name!r} has {values.nunique()} values, at most "
            f"{LEVELS}: an identifier or free text.",
            hint="put them into classes, or leave the column out.",
        )
    return values


def model_at(fitted: ContractModel, covariates: Mapping[str, object]) -> ContractModel:
    """The ordinary model of customers with these covariates, as sure as the fit is of them."""
    model, sure = fitted.at(**covariates), fitted.covariance_
    coding = fitted._coding()
    z = coding.patterns(pd.DataFrame([covariates])).z[0]
    moved = np.zeros((len(model.params_), len(coding.names)))
    names = list(model.params_)
    for (_, name, power), of_effect in zip(coding.moves, coding.design, strict=True):
        moved[names.index(name)] += power * (z @ of_effect)
    by_log: Floats = np.hstack([np.eye(len(names)), moved])
    if sure is not None:
        matrix = by_log @ sure.matrix @ by_log.T
        model.covariance_ = Covariance(coordinate_names(model), matrix, sure.kind, sure.notes)
    return model


def _effects(fitted: ContractModel) -> dict[str, tuple[float, float, float]]:
    """Each factor with its interval."""
    if fitted.covariance_ is None:
        return {}
    errors = list(fitted.covariance_.standard_errors.values())
    values = list(fitted.params_.items())
    k = len(type(fitted).names)
    return {
        name: (value, value * float(np.exp(-END * se)), value * float(np.exp(END * se)))
        for (name, value), se in zip(values[k:], errors[k:], strict=True)
    }
