"""What SQL looks up: the expectations that have no elementary formula, for each pair (x, age).

Given that a customer is still one, the future depends on the repeat purchases x and the age T
alone. So the table has a row for each pair, ages in whole days, and the rest of a score is
arithmetic: P(alive) times what stands there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clv.errors import InputError
from clv.format import count
from clv.history import History
from clv.periods import DAYS
from clv.probability.bg_nbd import BetaGeoNBD
from clv.schema import Floats
from clv.scorer import CustomerScorer

MOST = 5_000_000  # rows: a table that is larger does not belong into a warehouse


def value_table(scorer: CustomerScorer, oldest: int, most_purchases: int) -> pa.Table:
    """What a customer brings, given that the customer is still one, by purchases and age.

    Parameters
    ----------
    scorer
        Whose purchase model is BG/NBD or MBG/NBD, without covariates.
    oldest
        Days, the highest age in the table.
    most_purchases
        The most repeat purchases in the table.

    Returns
    -------
    A row for each pair that can be, in their order: frequency, age_days, ``purchases`` and
    ``discounted_purchases`` within the horizon of the terms, ``purchase_chance`` within the churn
    horizon, and ``purchases_after``: discounted purchases from the churn horizon to the horizon,
    of who bought nothing in the first of them and is still a customer then.

    Raises
    ------
    InputError
        The purchase model is another, or the table would be too long.

    Examples
    --------
    >>> from clv import Terms
    >>> from clv.data.cdnow import cdnow_log
    >>> scorer = CustomerScorer.fit(cdnow_log(sample=True), Terms(0.3), churn_horizon="13 weeks")
    >>> value_table(scorer, oldest=30, most_purchases=2).num_rows
    90
    """
    model = require_sql_model(scorer)
    frequency, age = _pairs(oldest, most_purchases)
    T, x = age / DAYS[scorer.unit], frequency.astype(np.float64)
    delta, length = scorer.terms.delta(scorer.unit), scorer.terms.horizon.to(scorer.unit)
    h = scorer.churn.horizon.to(scorer.unit)

    def given_alive(age: Floats, verb: Callable[[History], Floats]) -> Floats:
        now = History(x, np.where(x > 0, age, 0.0), age)  # the last purchase just now
        alive, values = model.probability_alive(now), verb(now)
        return values / (alive if values.ndim == 1 else alive[:, None])

    both = given_alive(
        T, lambda now: model.discounted_expected_purchases(length, [delta, 0.0], now)
    )
    after = given_alive(
        T + h, lambda now: model.discounted_expected_purchases(length - h, delta, now)
    )
    chance = given_alive(T, lambda now: model.probability_of_purchase(h, now))
    columns = {
        "frequency": frequency,
        "age_days": age,
        "purchases": both[:, 1],
        "discounted_purchases": both[:, 0],
        "purchase_chance": chance,
        "purchases_after": np.exp(-delta * h) * after,
    }
    return pa.table(columns)


def require_sql_model(scorer: CustomerScorer) -> BetaGeoNBD:
    """The purchase model, if its P(alive) can be written with what every database knows."""
    model = scorer.purchases
    if not isinstance(model, BetaGeoNBD) or model.covariates:
        what = "has covariates" if isinstance(model, BetaGeoNBD) else "is not written as SQL"
        raise InputError(
            f"the purchase model of this scorer {what}.",
            hint='train with [model] purchase_model = "bg_nbd" or "mbg_nbd", or use clv score.',
        )
    return model


def _pairs(oldest: int, most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every (x, age in days) that can be: a purchase a day at most."""
    rows = sum(max(oldest - x + 1, 0) for x in range(most + 1))
    if rows > MOST:
        raise InputError(
            f"a table up to {count(oldest)} days and {count(most)} purchases has {count(rows)} "
            f"rows, more than {count(MOST)}.",
            hint="give a lower age or fewer purchases.",
        )
    xs, days = np.arange(min(most, oldest) + 1), np.arange(oldest + 1)
    frequency, age = np.nonzero(days[None, :] >= xs[:, None])
    return frequency, age
