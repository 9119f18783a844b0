"""From a table of contracts to its book, models and scores, and to what is shown of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from clv.contracts.billing_tables import Interval
from clv.contracts.contract_fit import (
    PARTS,
    ContractModels,
    Group,
    PeriodModels,
    fit_contracts,
)
from clv.contracts.contract_payments import NEXT
from clv.contracts.contract_tables import ContractTable
from clv.contracts.contract_value import ENDS, SUMMED, contract_scores, summed_next
from clv.contracts.revenue_book import MOVEMENTS, RevenueBook, RevenueRatios
from clv.decide.scores import IF_BACK
from clv.defaults import LEVEL
from clv.errors import InputError
from clv.findings import Finding, finding, saved
from clv.io.engine import connect
from clv.io.queries import sql_text
from clv.periods import DAYS, Duration
from clv.probability.contract_model import ContractModel
from clv.schema import Floats, as_frame, numbers, require_columns
from clv.value.summed_intervals import nodes_between, summed_quantiles
from clv.value.value import Terms

DRAWS = 200  # of parameters, for the intervals of curves
YEARS, MOST = 10, 60  # of a curve: years, and renewals
CONSTANT = (  # of all scores; of a firm with both kinds, those of buyers
    *("as_of", "horizon", "currency", "money", "annual_discount_rate", "churn_horizon"),
    *("margin_rate", "interval", "unit"),
)
BUYERS = (  # of scores that those of subscribers are added to
    *(*SUMMED, *ENDS, "frequency", "days_since_last", "expected_spend", "churn_probability"),
    *("probability_alive", "probability_no_purchase"),
)
WORDS = ("channel", "plan")  # that one kind of customer has


@dataclass(frozen=True)
class ContractRun:
    """What was made of a table of contracts.

    Attributes
    ----------
    table, models, terms
        What was read, fitted, and how values are stated.
    book, scores
        None for counts of cohorts, which hold neither revenue nor customers.
    """

    table: ContractTable
    models: ContractModels
    terms: Terms
    book: RevenueBook | None
    scores: Any


def run_contracts(
    table: ContractTable,
    terms: Terms,
    *,
    by: Group = "plan",
    churn_horizon: str | Duration = "13 weeks",
    models: ContractModels | None = None,
    covariates: Sequence[str] = (),
) -> ContractRun:
    """Book, models and scores of a table.

    Parameters
    ----------
    table
        From ``read_contract_table``.
    terms
        Margin, discounting, horizon and currency.
    by
        What shares a model in part.
    churn_horizon
        Churn is a renewal that is not made within so long.
    models
        Fitted before; fitted on the table if not given.
    covariates
        Columns by which customers may differ, in place of ``by``.

    Raises
    ------
    FitError, InputError
        As ``fit_contracts`` and ``contract_scores``.
    """
    fitted = models or fit_contracts(table, by=by, covariates=covariates)
    if table.contracts is None:
        return ContractRun(table, fitted, terms, None, None)
    scores = contract_scores(table, fitted, terms, churn_horizon=churn_horizon)
    return ContractRun(table, fitted, terms, table.book(), scores)


def contract_document(run: ContractRun) -> dict[str, Any]:
    """All that report, page and API show of a run, as JSON values; no customer is in it."""
    currency = "" if run.scores is None else str(run.scores["currency"][0].as_py())
    terms = replace(run.terms, currency=currency)
    prices = _prices(run, currency)
    periods = [
        _period(interval, models, run, prices.get(interval, {}))
        for interval, models in run.models.periods.items()
    ]
    left_out = [
        finding("contracts.left_out", rows=part.rows, why=part.reason)
        for part in run.table.left_out
    ]
    moved = None if run.book is None else run.book.year.get(currency)
    return {
        "as_of": run.models.as_of,
        "currency": currency,
        "terms": str(terms),
        "horizon": str(run.terms.horizon),
        "money": run.terms.money,
        "margin_rate": run.terms.margin_rate,
        "annual_discount_rate": run.terms.annual_discount_rate,
        "version": run.models.version,
        "interval": LEVEL,
        "findings": saved(_kept(moved)),
        "notes": saved([*run.table.notes, *run.models.notes, *left_out]),
        "periods": periods,
        "book": None if run.book is None else run.book.to_dict(),
    }


def _kept(year: RevenueRatios | None) -> list[Finding]:
    """What of the revenue of a year ago is still there."""
    if year is None:
        return []
    kept = {"gross": year.gross_retention, "net": year.net_retention}
    return [finding("contracts.year", **kept)]


def _prices(run: ContractRun, currency: str) -> dict[Interval, dict[str, tuple[float, int]]]:
    """By billing period and what a model is of, the mean price of what runs, and how many do."""
    if run.table.contracts is None:
        return {}
    rows = run.table.source.connection.execute(
        f"SELECT unit, length, {PARTS[run.models.by].format('')}, avg(amount) / 100, count(*) "
        "FROM contracts "
        "WHERE active AND currency = $1 GROUP BY ALL",
        [currency],
    ).fetchall()
    prices: dict[Interval, dict[str, tuple[float, int]]] = {}
    for unit, length, part, price, n in rows:
        prices.setdefault(Interval(unit, length), {})[part] = (float(price), int(n))
    return prices


def _period(
    interval: Interval,
    models: PeriodModels,
    run: ContractRun,
    prices: Mapping[str, tuple[float, int]],
) -> dict[str, Any]:
    """The curves and plans of one billing period."""
    most = int(run.table.cells[interval]["periods"].max())
    renewals = np.arange(min(max(most + 2, 6), int(YEARS * 12 / interval.months), MOST) + 1)
    active = sum(n for _, n in prices.values())
    price = sum(p * n for p, n in prices.values()) / active if active else None
    observed = observed_survival(run.table.cells[interval])
    payments = int(run.terms.horizon.to("month") / interval.months) + 1
    rate = float(np.expm1(run.terms.delta("day") * interval.months * DAYS["month"]))
    return {
        "interval": str(interval),
        "months": interval.months,
        "model": models.base.to_dict() | {"report": None, "covariance": None},
        "reason": saved([models.reason])[0],
        "active": active,
        "price": price,
        "survival": _curve(models.base, renewals, lambda m: m.survival(renewals))
        | {"observed": [observed.get(int(t)) for t in renewals]},
        "payments": _curve(models.base, renewals, lambda m: _paid(m, renewals, rate)),
        "plans": [
            _plan(name, models, prices, payments, rate)
            for name in (models.groups or models.customers)
        ],
        "effects": [
            dict(zip(("effect", "factor", "low", "high"), (name, *three), strict=True))
            for name, three in models.effects.items()
        ],
    }


def _curve(model: ContractModel, renewals: Any, quantity: Any) -> dict[str, list[float]]:
    low, high = model.interval(quantity, n=DRAWS)
    return {
        "renewal": [int(t) for t in renewals],
        "value": np.round(quantity(model), 6).tolist(),
        "low": np.round(low, 6).tolist(),
        "high": np.round(high, 6).tolist(),
    }


def _paid(model: ContractModel, renewals: Any, rate: float) -> Floats:
    """Payments of a new customer up to each renewal, discounted."""
    return np.cumsum(model.survival(renewals) * (1 + rate) ** -renewals.astype(np.float64))


def _plan(
    name: str,
    models: PeriodModels,
    prices: Mapping[str, tuple[float, int]],
    payments: int,
    rate: float,
) -> dict[str, Any]:
    model = models.model_of(name)
    price, active = prices.get(name, (None, 0))
    low, high = model.interval(lambda m: m.discounted_expected_lifetime(rate, payments), n=DRAWS)
    return {
        "plan": name,
        "customers": models.customers.get(name, 0),
        "active": active,
        "price": price,
        "own_share": None if models.effects else models.own_share.get(name, 1.0),
        "parameters": model.params_,
        "first_renewal": float(model.retention_rate(1)),
        "twelfth_renewal": float(model.retention_rate(12)),
        "payments": model.discounted_expected_lifetime(rate, payments),
        "payments_low": float(low),
        "payments_high": float(high),
        "growth": models.growth.of(name),
    }


def observed_survival(cells: pd.DataFrame) -> dict[int, float]:
    """The share still there after each renewal that was observed (Kaplan and Meier), by renewal.

    >>> cells = pd.DataFrame({"entered": 0, "periods": [1, 2, 2], "churned": [True, True, False],
    ...                       "customers": [4, 3, 3]})
    >>> observed_survival(cells)
    {0: 1.0, 1: 0.6, 2: 0.3}
    """
    e, t = (cells[name].to_numpy(dtype=np.int64) for name in ("entered", "periods"))
    flag, n = cells["churned"].to_numpy(), cells["customers"].to_numpy(dtype=np.float64)
    lost = np.where(flag, n, 0.0) if flag.dtype == bool else flag.astype(np.float64)
    last = int(t.max(initial=0))
    starts = np.bincount(e + 1, n, last + 3)
    ends = np.bincount(t + 1, n, last + 3)
    at_risk = np.cumsum(starts - ends)[1 : last + 1]
    ended = np.bincount(t, lost, last + 3)[1 : last + 1]
    observed = at_risk > 0
    share = np.cumprod(np.where(observed, 1 - ended / np.where(observed, at_risk, 1), 1.0))
    curve = {0: 1.0} if (e == 0).any() else {}
    if (e == 0).any():
        curve |= {k + 1: float(share[k]) for k in range(last) if observed[k]}
    return {k: round(value, 12) for k, value in curve.items()}


def book_table(book: RevenueBook) -> pd.DataFrame:
    """The months of a book in currency, with retention and quick ratio, as a file has them."""
    rows = book.ratios()
    money = ["start", *MOVEMENTS, "end"]
    return rows.assign(month=rows["month"].dt.date, **{name: rows[name] / 100 for name in money})


def stated_under(scores: Any) -> dict[str, Any]:
    """The day and the terms of scores of buyers, those of them that subscribers have too."""
    if not len(scores):
        raise InputError("there are no scores to add to.", hint="give what clv score wrote.")
    names = ("as_of", "horizon", "currency", "annual_discount_rate", "churn_horizon")
    stated = {name: _first(scores, name) for name in names if name in scores.column_names}
    return {n: value if isinstance(value, float) else str(value) for n, value in stated.items()}


def in_both(buyers: Any, subscribers: Any, joined: Any) -> Finding:
    """How many buy and subscribe, of tables joined by ``joined_scores``."""
    both = len(buyers) + len(subscribers) - len(joined)
    each = {"buyers": len(buyers) - both, "subscribers": len(subscribers) - both}
    if not both:
        return finding("contracts.in_neither", **each)
    return finding("contracts.in_both", both=both, **each)


def joined_scores(scores: Any, contracts: Any) -> Any:
    """Scores of buyers and of subscribers as one table, of a firm that has both.

    Who is in both has the sum of both values, and is lost when both are.

    Raises
    ------
    InputError
        They are stated under other terms, or as of another day.
    """
    kinds = as_frame(scores, "the scores").head(0)
    require_columns(kinds, ("customer_id", *BUYERS), "the scores")
    for name in BUYERS:
        numbers(kinds.select(name).collect(), name, "the scores")
    for name in CONSTANT[:6]:
        one, other = (_first(table, name) for table in (scores, contracts))
        if str(one) != str(other):
            raise InputError(
                f"the scores have {name} {one}, those of contracts {other}.",
                hint="give both the same, as in --as-of, --horizon and --margin-rate.",
            )
    db = connect()
    db.register("buyers", scores)
    db.register("subscribers", contracts)
    db.register("together", _together(db))
    sums = ", ".join(f"sum({name}) AS {name}" for name in SUMMED)
    if set(NEXT) <= set(scores.column_names) & set(contracts.column_names):
        sums += f", {summed_next()}"
    if IF_BACK in scores.column_names:  # of subscribers, and so of who is in both, nothing tells it
        sums += f", CASE WHEN count(*) = 1 THEN any_value({IF_BACK}) END AS {IF_BACK}"
    same = (*CONSTANT[:6], "unit")
    kept = [n for n in CONSTANT if n in same or _first(scores, n) == _first(contracts, n)]
    kept = [n for n in kept if n in scores.column_names]  # a margin of each kind is none of all
    rest = ", ".join(f"first(buyers.{name}) AS {name}" for name in kept)
    words = [n for n in WORDS if n in (*scores.column_names, *contracts.column_names)]
    named = "".join(f"any_value({name}) AS {name}, " for name in words)
    version = "+".join(str(_first(t, "model_version")) for t in (scores, contracts))
    ends = ", ".join(f"coalesce(first(together.{e}), first(every.{e})) AS {e}" for e in ENDS)
    return db.sql(
        f"SELECT * FROM (SELECT customer_id, {named} max(frequency) AS frequency, "
        f"min(days_since_last) AS days_since_last, {sums}, {ends}, arg_max(expected_spend, clv) AS "
        "expected_spend, max(probability_alive) AS probability_alive, product(churn_probability) "
        "AS churn_probability, product(probability_no_purchase) AS probability_no_purchase FROM "
        "(SELECT * REPLACE (customer_id::VARCHAR AS customer_id) FROM buyers UNION ALL BY NAME "
        "SELECT * REPLACE (customer_id::VARCHAR AS customer_id) FROM subscribers) every "
        "LEFT JOIN together USING (customer_id) GROUP BY customer_id) CROSS JOIN "
        f"(SELECT {rest}, {sql_text(version)} AS model_version FROM buyers) ORDER BY customer_id"
    ).to_arrow_table()


def _together(db: Any) -> Any:
    """The intervals of who is in both, as of values that do not depend on each other."""
    import pyarrow as pa

    columns = ("clv", *ENDS)
    named = ", ".join(f"{{0}}.{name} AS {{0}}_{name}" for name in columns)
    rows = db.sql(
        f"SELECT buyers.customer_id::VARCHAR AS id, {named.format('buyers')}, "
        f"{named.format('subscribers')} FROM buyers JOIN subscribers "
        "ON buyers.customer_id::VARCHAR = subscribers.customer_id::VARCHAR"
    ).to_arrow_table()
    each = [
        np.concatenate([rows[f"{kind}_{name}"].to_numpy() for kind in ("buyers", "subscribers")])
        for name in columns
    ]
    mean, quantiles, n = each[0], np.array(each[1:]), len(rows)
    paid_to_the_end = np.arange(2 * n) >= n  # no subscriber pays beyond the horizon's last payment
    nodes = nodes_between(mean, quantiles, paid_to_the_end)
    names, ends = summed_quantiles(np.tile(np.arange(n), 2), nodes.__getitem__)
    found = {"customer_id": rows["id"].combine_chunks().take(pa.array(names))}
    return pa.table(found | dict(zip(ENDS, ends, strict=True)))


def _first(table: Any, name: str) -> Any:
    """What stands in the first row, of a day without its hour; "" without such a column."""
    value = table[name][0].as_py() if name in table.column_names else ""
    return value.date() if isinstance(value, dt.datetime) else value
