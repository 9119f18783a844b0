"""What changed, as it is kept and said: a record per earlier run, and three plain sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from clv.findings import Finding, finding
from clv.monitoring.value_changes import CENTS, STEPS, ValueChange

MOVERS = 5  # customers who gained most, and as many who lost most
SMALL = 0.005  # under a cent

STEP_NAMES = {  # the sentences that name the steps
    "time": "changes.step_time",
    "silence": "changes.step_silence",
    "orders": "changes.step_orders",
    "spend": "changes.step_spend",
    "refunds": "changes.step_refunds",
    "new": "changes.step_new",
    "terms": "changes.step_terms",
    "model": "changes.step_model",
    "other": "changes.step_other",
}

Record = Mapping[str, Any]


def change_record(change: ValueChange) -> dict[str, Any]:
    """A change as JSON values: both sums, the steps in cents that add up, who moved most."""
    customers, levels = change.customers, change.levels
    then = customers["before"].where(change.was_scored)
    now = customers["after"].where(change.is_scored)
    steps = customers[list(STEPS)]
    rising = (customers["after"] >= customers["before"]).to_numpy()
    main = np.where(rising, steps.idxmax(axis=1), steps.idxmin(axis=1))
    return {
        "since": change.since,
        "until": change.until,
        "before": levels["before"],
        "after": levels[STEPS[-1]],
        "amounts": change.amounts,
        **head_counts(then, now),
        "orders": change.orders,
        "expected_orders": change.expected_orders,
        "movers": movers(then, now, pd.Series(main, index=customers.index)),
    }


def head_counts(then: pd.Series[float], now: pd.Series[float]) -> dict[str, int]:
    """How many customers there were and are, how many are new, and how many are gone.

    >>> head_counts(pd.Series([1.0, 2.0, None]), pd.Series([1.0, None, 3.0]))
    {'customers_before': 2, 'customers_after': 2, 'new': 1, 'gone': 1}
    """
    was, there = then.notna(), now.notna()
    return {
        "customers_before": int(was.sum()),
        "customers_after": int(there.sum()),
        "new": int((there & ~was).sum()),
        "gone": int((was & ~there).sum()),
    }


def movers(
    then: pd.Series[float], now: pd.Series[float], main: pd.Series[Any] | None = None
) -> list[dict[str, Any]]:
    """Customers of both runs whose value moved most, up and down; ``main`` is what moved each.

    >>> rows = movers(pd.Series({"ann": 5.0, "bob": 9.0}), pd.Series({"ann": 9.0, "bob": 1.0}))
    >>> [(row["customer_id"], row["after"] - row["before"]) for row in rows]
    [('bob', -8.0), ('ann', 4.0)]
    """
    moved = (now - then).dropna()
    moved = moved[moved.abs() >= SMALL].sort_values(kind="stable")
    chosen = pd.concat([moved[moved > 0].tail(MOVERS), moved[moved < 0].head(MOVERS)])
    ordered = chosen.reindex(chosen.abs().sort_values(ascending=False, kind="stable").index)
    return [
        {
            "customer_id": str(who),
            "before": round(float(then[who]), 2),
            "after": round(float(now[who]), 2),
            "because": None if main is None else str(main[who]),
        }
        for who in ordered.index
    ]


def longer_record(earlier: Record, last: Record, then: Any, now: Any) -> dict[str, Any]:
    """From a run before the last one until now: the steps between runs, added up in cents.

    Parameters
    ----------
    earlier
        The record of the last run, of what changed since the earlier one.
    last
        What changed since the last run.
    then, now
        Values of today's customers at the earlier run, NaN for who was not scored, and today.
    """
    new = int(then.isna().sum())
    return {
        **last,
        "since": earlier["since"],
        "model_before": earlier["model_before"],
        "before": earlier["before"],
        "amounts": {
            name: round((earlier["amounts"][name] + last["amounts"][name]) * CENTS) / CENTS
            for name in STEPS
        },
        "customers_before": earlier["customers_before"],
        "new": new,
        "gone": earlier["customers_before"] + new - last["customers_after"],
        "orders": None,
        "expected_orders": None,
        "movers": movers(then, now),
    }


def change_findings(record: Record, currency: str) -> tuple[Finding, ...]:
    """At most three sentences: by how much, what moved it most, and whether orders came."""
    moved = _moved(record["amounts"])
    orders = record["orders"]
    sentences = [_difference(record), *moved]
    if orders is not None:
        side = "more" if orders >= record["expected_orders"] else "fewer"
        expected = {"orders": orders, "expected": round(record["expected_orders"])}
        sentences.append(finding(f"changes.orders_{side}", **expected))
    elif not moved:
        sentences.append(finding("changes.nothing_moved"))
    return tuple(each.within(currency) for each in sentences)


def step_name(step: str) -> str:
    """What a step is called.

    >>> step_name("new")
    'new customers'
    """
    return finding(STEP_NAMES[step]).text


def _difference(record: Record) -> Finding:
    difference = record["after"] - record["before"]
    code = "same" if abs(difference) < SMALL else "more" if difference > 0 else "less"
    values = {} if code == "same" else {"difference": abs(difference)}
    return finding(
        f"changes.{code}",
        customers=record["customers_after"],
        after=record["after"],
        since=record["since"],
        **values,
    )


def _moved(amounts: Mapping[str, float]) -> Sequence[Finding]:
    """The step that added most and the one that took most, in one sentence."""
    up, down = max(STEPS, key=lambda n: amounts[n]), min(STEPS, key=lambda n: amounts[n])
    gain: dict[str, Any] = {"up": finding(STEP_NAMES[up]), "gain": amounts[up]}
    loss: dict[str, Any] = {"down": finding(STEP_NAMES[down]), "loss": -amounts[down]}
    if amounts[up] > 0 > amounts[down]:
        return [finding("changes.moved", **gain, **loss)]
    if amounts[up] > 0:
        return [finding("changes.moved_up", **gain)]
    return [finding("changes.moved_down", **loss)] if amounts[down] < 0 else []
