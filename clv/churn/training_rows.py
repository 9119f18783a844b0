"""Labelled examples of churn: what was known of customers at a cutoff, and who bought next.

At each cutoff, features and the purchase model see only what came before; the label is "no
purchase in (cutoff, cutoff + h]". A table that knows more than its cutoff is refused.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame

from clv.churn.classifier import bounded_logit
from clv.data.features import (
    FEATURES,
    LOG_FEATURES,
    PRODUCTS,
    YEAR,
    Columns,
    channels,
    extra_features,
    features,
    in_memory,
    log_features,
    refuse_future,
    with_behaviour,
)
from clv.data.log import read_log
from clv.data.summary import split_holdout
from clv.errors import FitError, InputError
from clv.history import History, read_history
from clv.periods import Duration, Unit
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.estimator import PurchaseModel
from clv.schema import Floats, as_frame, numbers

MODEL_FEATURES = ("alive", "buys_if_alive")
PLAIN = (*FEATURES, *MODEL_FEATURES)
FEWEST = 20  # customers of either outcome that a cutoff needs to teach anything
LEAST = 1e-3  # probabilities are kept this far from 0 and 1 before their logarithm is taken


@dataclass(frozen=True)
class Examples:
    """Labelled customers at one cutoff.

    Attributes
    ----------
    cutoff
        The last day that the features know.
    names, features
        The k inputs and their values, shape (n, k).
    churned
        1 for no purchase in h, shape (n,).
    no_purchase, alive, since_last
        The baselines: P(no purchase in h), P(alive), days since the last purchase.
    """

    cutoff: dt.date
    names: tuple[str, ...]
    features: Floats
    churned: Floats
    no_purchase: Floats
    alive: Floats
    since_last: Floats

    def columns(self, names: Sequence[str]) -> Floats:
        """The inputs ``names``, shape (n, len(names))."""
        return self.features[:, [self.names.index(name) for name in names]]


def collect_examples(
    log: IntoFrame,
    days: Sequence[dt.date],
    horizon: Duration,
    unit: Unit,
    model: type[PurchaseModel] = BetaGeoNBD,
) -> list[Examples]:
    """Examples at the cutoffs that have enough of both outcomes, and repeat buyers before them."""
    extras = _extras(log, days)
    panel = []
    for cutoff in days:
        with suppress(FitError):
            cutoff_examples = examples(log, cutoff, horizon, unit, extras, model)
            if FEWEST <= cutoff_examples.churned.sum() <= len(cutoff_examples.churned) - FEWEST:
                panel.append(cutoff_examples)
    return panel


def cutoffs(
    log: IntoFrame, horizon: Duration, step: Duration, most: int
) -> tuple[dt.date, list[dt.date]]:
    """The test cutoff, h before the end of the log, and the training cutoffs, oldest first.

    A training cutoff ends its label window by the test cutoff and has at least h of history.
    """
    _, first, last = read_log(log)
    h, gap = dt.timedelta(round(horizon.to("day"))), dt.timedelta(round(step.to("day")))
    if gap.days < 1:
        raise InputError(f"a step of {step} between cutoffs is less than a day.")
    test = last - h
    training = [test - h - i * gap for i in range(most) if test - h - i * gap >= first + h]
    return test, training[::-1]


def examples(
    log: IntoFrame,
    cutoff: dt.date,
    horizon: Duration,
    unit: Unit,
    extras: Sequence[str] = (),
    model: type[PurchaseModel] = BetaGeoNBD,
) -> Examples:
    """Features at ``cutoff`` and what happened in the next h.

    The purchase model behind some of the features is fitted on the summary as of the cutoff.
    ``extras`` are optional inputs, see :func:`clv.data.features.extra_features`.

    Raises
    ------
    InputError
        A feature was computed from days after the cutoff.
    """
    end = cutoff + dt.timedelta(round(horizon.to("day")))
    held: Any = split_holdout(log, cutoff, end, unit)
    table: Any = with_behaviour(held, log, cutoff, horizon, unit)
    return labelled(as_frame(table).collect().to_native(), cutoff, horizon, unit, extras, model)


def labelled(
    table: IntoFrame,
    cutoff: dt.date,
    horizon: Duration,
    unit: Unit,
    extras: Sequence[str] = (),
    model: type[PurchaseModel] = BetaGeoNBD,
) -> Examples:
    """Examples from a wide summary beside what happened; refused if it knows more than the cutoff.

    Raises
    ------
    InputError
        The table was computed from days after the cutoff.
    """
    refuse_future(table, cutoff)
    rows, h = as_frame(table).collect().sort("customer_id"), horizon.to(unit)
    table = rows.to_native()
    purchases = model(unit=unit).fit(table)
    no_purchase = purchases.probability_of_no_purchase(h, table)
    names = (*PLAIN, *LOG_FEATURES, *extras)
    return Examples(
        cutoff=cutoff,
        names=names,
        features=inputs(table, purchases, h, names, no_purchase),
        churned=(numbers(rows, "holdout_frequency") == 0).astype(np.float64),
        no_purchase=no_purchase,
        alive=purchases.probability_alive(table),
        since_last=numbers(rows, "days_since_last"),
    )


def inputs(
    summary: IntoFrame | Columns,
    purchases: PurchaseModel,
    h: float,
    names: Sequence[str],
    no_purchase: Floats,
    history: History | None = None,
) -> Floats:
    """The inputs ``names`` of a classifier, shape (n, len(names)), in row order.

    The purchase model's P(purchase in h) enters as its two factors, the log of P(alive) and the
    log odds of P(purchase in h | alive): one speaks of the silence, the other of the pace.
    """
    rows = in_memory(summary)
    history = history or read_history(rows)
    alive = purchases.probability_alive(history)
    buys = buys_if_alive(alive, no_purchase)
    model = np.column_stack([np.log(np.maximum(alive, LEAST)), bounded_logit(buys, LEAST)])
    available, parts = [*PLAIN], [features(rows, history), model]
    if set(LOG_FEATURES) & set(names):
        available += LOG_FEATURES
        parts.append(log_features(rows, history))
    rest = [name for name in names if name not in available]
    if rest:
        parts.append(extra_features(rows, rest))
    place = {name: i for i, name in enumerate([*available, *rest])}
    columns = np.column_stack(parts)[:, [place[name] for name in names]]
    return np.round(columns, 9)  # engines add in another order; trees would split on the last bit


def buys_if_alive(alive: Floats, no_purchase: Floats) -> Floats:
    """P(purchase in h | alive), shape (n,), from P(alive) and P(no purchase in h).

    >>> buys_if_alive(np.array([0.5]), np.array([0.75]))
    array([0.5])
    """
    return np.clip((1 - no_purchase) / np.maximum(alive, 1e-12), 0.0, 1.0)


def _extras(log: IntoFrame, days: Sequence[dt.date]) -> tuple[str, ...]:
    """Optional inputs that the log has: products, the channels known by the first cutoff, season.

    The channels are those of the first cutoff's customers, so that their names see no future.
    """
    frame = as_frame(log, "the log")
    products = (PRODUCTS,) if "product" in frame.collect_schema().names() else ()
    first_log = frame.filter(nw.col("date").cast(nw.Date) <= nw.lit(days[0])).to_native()
    season = YEAR if (days[-1] - days[0]).days >= 365 else ()
    return (*products, *channels(first_log), *season)
