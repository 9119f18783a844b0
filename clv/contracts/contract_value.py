"""What each customer under contract is still worth: the columns of every table of scores.

All contracts of one plan, age and day of renewal are worth the same per unit of price, so that is
worked out once for each such cell and joined to the customers where they are. Payments already made
are not in it: the first that counts is the next renewal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from clv.contracts.billing_tables import Interval
from clv.contracts.contract_covariates import attach_covariates
from clv.contracts.contract_fit import PARTS, ContractModels, PeriodModels
from clv.contracts.contract_payments import FACTORS, NEXT, unit_values
from clv.contracts.contract_tables import ContractTable
from clv.contracts.price_growth import LENGTHS, PriceAge
from clv.defaults import LEVEL, SHRINK
from clv.errors import InputError
from clv.io.queries import sql_text
from clv.periods import DAYS, Duration
from clv.schema import Floats
from clv.shares import check_share
from clv.value.summed_intervals import summed_quantiles
from clv.value.value import Terms, stated

SUMMED = ("clv", "expected_purchases", "value_at_stake")
ENDS = ("clv_low", "clv_median", "clv_high")
MONTH = DAYS["month"]
UNNAMED = "contract"  # the plan of who has one without a name: it tells them from buyers


def contract_scores(
    table: ContractTable,
    models: ContractModels,
    terms: Terms,
    *,
    churn_horizon: str | Duration = "13 weeks",
    shrink: float = SHRINK,
) -> Any:
    """What every customer under contract is still worth, as ``CustomerScorer.predict`` says it.

    Parameters
    ----------
    table
        From ``read_contract_table``.
    models
        From ``fit_contracts``.
    terms
        Margin, discounting, horizon and currency; of several currencies, the one that is scored.
    churn_horizon
        Churn is a renewal that is not made within so long; who has none due has no such risk.
    shrink
        Factor on the value at stake.

    Returns
    -------
    A pyarrow table, a row per customer with a contract that runs: plan, ``clv`` (renewals within
    the horizon, discounted, from the next one on; prices grow as the plan's did), its interval
    (the customer's own chances, of leaving and of moves of the price, and the uncertainty of the
    parameters of both),
    ``expected_purchases`` (payments), ``next_purchases`` with its interval and ``next_revenue``
    (payments within the churn horizon),
    ``churn_probability``, ``value_at_stake`` and the constants of ``SCORE_COLUMNS``. A customer
    with several contracts has their sum, and leaves when all are over.

    Raises
    ------
    InputError
        The table holds no customers, several currencies of which none is named, or the churn
        horizon is not shorter than the horizon.

    Examples
    --------
    >>> from clv.contracts.contract_fit import fit_contracts
    >>> from clv.contracts.contract_tables import read_contract_table
    >>> starts = pd.date_range("2023-01-05", periods=60, freq="D")
    >>> ends = [day + pd.DateOffset(months=1 + k % 9) for k, day in enumerate(starts)]
    >>> rows = pd.DataFrame({"customer_id": range(60), "interval": "month", "amount": 10.0,
    ...                      "start": starts, "end": [*ends[:30], *[None] * 30]})
    >>> table = read_contract_table(rows, as_of="2024-01-31")
    >>> scores = contract_scores(table, fit_contracts(table), Terms(0.8))
    >>> scores.num_rows, bool(scores["clv"][0].as_py() < 0.8 * 10 * 36)
    (30, True)
    """
    check_share("shrink", shrink, "(0, 1]")
    horizon = Duration.parse(churn_horizon)
    terms.require_beyond(horizon)
    currency = _currency(table, terms)
    db = table.source.connection
    assert table.contracts is not None
    assert table.as_of is not None
    if models.covariates:
        attach_covariates(table, models.covariates)
    factors, nodes = _factors(table, models, terms, horizon, shrink)
    db.register("factor_cells", factors)
    try:
        _value_contracts(table, terms.margin_rate, currency, models.by)
        scores = _by_customer(db, table.contracts.several, nodes)
    finally:
        db.unregister("factor_cells")
    if not len(scores):
        of = f"in {currency} " if currency else ""
        raise InputError(
            f"no contract {of}runs on {table.as_of}, so nobody can be scored.",
            hint="see the last day that is read (as_of), or name another currency.",
        )
    constants = stated(terms) | {
        "currency": currency,
        "interval": LEVEL,
        "churn_horizon": str(horizon),
        "model_version": models.version,
        "unit": "month",
        "as_of": str(table.as_of),
    }
    return _with_constants(scores, constants)


def _currency(table: ContractTable, terms: Terms) -> str:
    if table.contracts is None:
        raise InputError(
            "counts of cohorts hold no customers, so nobody can be scored.",
            hint="give the subscriptions or the lines of invoices.",
        )
    currency = terms.currency.upper()
    if currency in table.currencies:
        return currency
    if len(table.currencies) == 1 and not currency:
        return table.currencies[0]
    if table.currencies == ("",):
        raise InputError(
            f"the contracts name no currency, and the terms are in {currency}.",
            hint=f'say what the table is in: read_contract_table(..., currency="{currency}").',
        )
    listed = ", ".join(code or "none stated" for code in table.currencies)
    raise InputError(
        f"the contracts are in {listed}"
        + (f", not in {currency}." if currency else ", which cannot be added."),
        hint="name one of them as the currency; score the others apart.",
    )


def _factors(
    table: ContractTable, models: ContractModels, terms: Terms, churn: Duration, shrink: float
) -> tuple[pd.DataFrame, Floats]:
    """Per cell of contracts that run, the scores of one unit of price; a row per cell."""
    day = f"DATE '{table.as_of}'"
    group = PARTS[models.by].format("")
    lasted = _lasted(table)
    names = ["unit", "length", "plan_now", "part", "again", "lasted"]
    cells = table.contracts.rows.filter("active").project(  # type: ignore[union-attr]
        f"unit, length, plan_now, {group} AS part, {lasted}, periods, next_day - {day} AS days"
    )
    cells = cells.aggregate(", ".join([*names, "periods", "days"])).df()
    parts, nodes = [], []
    for (unit, length, plan, part, again, months), rows in cells.groupby(names):
        interval = Interval(unit, int(length))
        if interval not in models.periods:
            continue
        age = PriceAge(_middle(months), bool(again))
        fitted = models.periods[interval]
        values = _of_cells(fitted, interval, (plan, part), age, rows, terms, churn)
        values["stake"] *= shrink
        nodes.append(values.pop("nodes"))
        parts.append(rows.assign(**values))
    if not parts:
        raise InputError(
            "no contract that runs has a model.", hint="; ".join(map(str, models.notes)) or None
        )
    factors: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return factors.assign(cell=np.arange(len(factors))), np.concatenate(nodes)


def _lasted(table: ContractTable) -> str:
    """SQL: whether a contract's price is not its first, and how many months it has been paid.

    Where nobody has several rows no price ever moved, and neither matters.
    """
    if not table.contracts.several:  # type: ignore[union-attr]
        return "false AS again, 0 AS lasted"
    months = f"datesub('month', priced, DATE '{table.as_of}')"
    lengths = "".join(f" WHEN {months} >= {least} THEN {least}" for least in reversed(LENGTHS))
    return f"again, (CASE{lengths} ELSE 0 END) AS lasted"


def _middle(least: int) -> float:
    """The middle of the months at a price that are not told apart."""
    longer = [length for length in LENGTHS if length > least]
    return (least + (longer[0] if longer else 1.5 * least)) / 2


def _of_cells(
    models: PeriodModels,
    interval: Interval,
    names: tuple[str, str],
    age: PriceAge,
    rows: pd.DataFrame,
    terms: Terms,
    churn: Duration,
) -> dict[str, Floats]:
    plan, part = names
    return unit_values(
        models.model_of(part),
        rows["periods"].to_numpy() + 1,
        rows["days"].to_numpy(dtype=np.float64),
        interval.months * MONTH,
        delta=terms.delta("day"),
        growth=np.log1p(models.growth.of(plan, age)) / MONTH,
        prices=lambda steps: (
            models.growth.mean(plan, interval.months, steps, age),
            models.growth.paths(plan, interval.months, steps, age),
        ),
        horizon=terms.horizon.to("day"),
        churn_horizon=churn.to("day"),
    )


def _value_contracts(table: ContractTable, margin: float, currency: str, by: str) -> None:
    """The view ``valued``: contracts that run, with their scores in money."""
    day = f"DATE '{table.as_of}'"
    # a contract that will not be renewed is lost at its next renewal, and its stake is what keeps
    money = ", ".join(
        f"CASE WHEN leaving THEN 0 ELSE f.{name} * {margin!r} * c.amount / 100 END AS {name}"
        for name in FACTORS[:4]
    )
    soon = ", ".join(
        f"CASE WHEN leaving THEN 0 ELSE f.{name}{scale} END AS {name}"
        for name, scale in zip(NEXT, ("", "", "", " * c.amount / 100"), strict=True)
    )
    part = PARTS[by].format("c.")
    several = table.contracts.several  # type: ignore[union-attr]
    price = " AND f.again = c.again AND f.lasted = c.lasted" if several else ""
    period = f"(CASE c.unit WHEN 'month' THEN c.length * {MONTH!r} ELSE c.length END)"
    table.source.connection.execute(
        "CREATE OR REPLACE TEMP VIEW valued AS SELECT c.customer, "
        f"coalesce(nullif(c.plan_now, ''), '{UNNAMED}') AS plan, "
        f"c.periods, f.cell, CASE WHEN leaving THEN 0 ELSE {margin!r} * c.amount / 100 END AS "
        f"scale, {money}, "
        "CASE WHEN leaving THEN 0 ELSE f.payments END AS payments, c.amount / 100 AS spend, "
        f"{soon}, "
        "CASE WHEN leaving THEN 1 ELSE f.churn END AS churn, "
        f"f.stake * {margin!r} * c.amount / 100 AS stake, "
        f"greatest(0, {period} - (c.next_day - {day}))::DOUBLE AS since FROM (SELECT "
        f"* EXCLUDE (leaving{', again' if several else ''}), {_lasted(table)}, "
        "until IS NOT NULL OR coalesce(leaving, false) AS leaving "
        f"FROM contracts WHERE active AND currency = {sql_text(currency)}) c "
        "JOIN factor_cells f ON f.unit = c.unit AND f.length = c.length AND "
        f"f.plan_now = c.plan_now AND f.part = {part} AND "
        f"f.periods = c.periods AND f.days = c.next_day - {day}{price}"
    )


def _by_customer(db: Any, several: bool, nodes: Floats) -> Any:
    """A row per customer; what several contracts come to together."""
    names = "customer AS customer_id, plan, periods AS frequency, since AS days_since_last"
    scores = "clv, clv_low, clv_median, clv_high, payments AS expected_purchases"
    risk = "spend AS expected_spend, churn AS churn_probability, stake AS value_at_stake"
    count = "SELECT count(*) > count(DISTINCT customer) FROM valued"
    if not several or not db.execute(count).fetchall()[0][0]:
        parts = [  # one after the other: what is sorted is held twice
            db.sql(f"SELECT {columns} FROM valued ORDER BY customer").to_arrow_table()
            for columns in (f"{names}, {scores}, {risk}", ", ".join(NEXT))
        ]
        for name in NEXT:
            parts[0] = parts[0].append_column(name, parts[1][name])
        return parts[0]
    db.register("together", _together(db, nodes))
    ends = ", ".join(f"coalesce(first(t.{end}), first(v.{end})) AS {end}" for end in ENDS)
    return db.sql(
        "SELECT customer AS customer_id, arg_max(plan, clv) AS plan, max(periods) AS frequency, "
        f"min(since) AS days_since_last, sum(clv) AS clv, {ends}, sum(payments) AS "
        "expected_purchases, "
        f"sum(spend * payments) / nullif(sum(payments), 0) AS expected_spend, {summed_next()}, "
        "product(churn) AS churn_probability, sum(stake) AS value_at_stake FROM valued v "
        "LEFT JOIN together t USING (customer) GROUP BY customer ORDER BY customer"
    ).to_arrow_table()


def summed_next() -> str:
    """SQL for what several come to within the churn horizon, which are independent of each other.

    The interval of their payments is put together from the distances of its ends from the mean
    (Zou and Donner 2008).
    """
    mean, low, high, revenue = NEXT
    return (
        f"sum({mean}) AS {mean}, greatest(sum({mean}) - sqrt(sum(({mean} - {low}) ^ 2)), 0) AS "
        f"{low}, sum({mean}) + sqrt(sum(({high} - {mean}) ^ 2)) AS {high}, "
        f"sum({revenue}) AS {revenue}"
    )


def _together(db: Any, nodes: Floats) -> Any:
    """The intervals of customers with several contracts, which are independent of each other."""
    import pyarrow as pa

    rows = db.sql(
        "SELECT customer, cell, scale FROM valued WHERE customer IN (SELECT customer FROM valued "
        "GROUP BY customer HAVING count(*) > 1)"
    ).to_arrow_table()
    cell, scale = rows["cell"].to_numpy(), rows["scale"].to_numpy()
    customers = rows["customer"].combine_chunks().dictionary_encode()
    of_sum = customers.indices.to_numpy(zero_copy_only=False)
    names, ends = summed_quantiles(of_sum, lambda at: nodes[cell[at]] * scale[at, None])
    table = {"customer": customers.dictionary.take(names)}
    return pa.table(table | dict(zip(ENDS, ends, strict=True)))


def _with_constants(scores: Any, constants: dict[str, Any]) -> Any:
    """The scores with what is the same in every row; texts are stored once."""
    import pyarrow as pa

    alive, n = pa.repeat(pa.scalar(1.0), len(scores)), len(scores)
    scores = scores.append_column("probability_alive", alive)
    scores = scores.append_column("probability_no_purchase", scores["churn_probability"])
    nought = pa.repeat(pa.scalar(0, pa.int8()), n)
    for name, value in constants.items():
        once = pa.array([value])
        column = pa.DictionaryArray.from_arrays(nought, once)
        scores = scores.append_column(name, column if isinstance(value, str) else once.take(nought))
    return scores
