"""What a new customer is worth by channel or country, from first orders: for CAC and budgets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from clv.defaults import LEVEL
from clv.errors import ColumnError
from clv.probability.covariance import draws, with_parameters
from clv.prospects.first_order_model import FirstOrderModel
from clv.schema import Floats
from clv.value.common_factor import check_level

DRAWS = 60  # of the parameters
FEWEST = 5  # first orders of a segment


def segment_values(
    model: FirstOrderModel, first: pd.DataFrame, by: Sequence[str], level: float = LEVEL
) -> pd.DataFrame:
    """What winning a customer of each segment is worth on average, by the first orders it brings.

    Customers of any age count alike: those who came last week say whom the segment brings now.

    Parameters
    ----------
    model
        From ``fit_first_orders``.
    first
        From ``first_orders``, of the customers to count, with its covariates and the columns of
        ``by``.
    by
        Columns that make a segment, such as ["channel"].
    level
        Chance that the interval holds the mean.

    Returns
    -------
    pandas.DataFrame
        The columns of ``by``, customers, first_amount (mean), new_customer_value: margin of the
        first order and of what follows within the horizon, discounted, the most valuable first;
        its _low and _high, by the parameters and by how much customers differ; basis. Segments of
        fewer than five customers are not in it.

    Raises
    ------
    ColumnError
        A column of ``by`` is not in ``first``.

    Examples
    --------
    >>> from clv.data.cdnow import cdnow_log
    >>> from clv.prospects.first_order_model import fit_first_orders
    >>> from clv.prospects.first_orders import first_orders
    >>> from clv.value.value import Terms
    >>> log = cdnow_log(sample=True)
    >>> model = fit_first_orders(log, Terms(0.3), ["amount", "month"])
    >>> table = segment_values(model, first_orders(log, ["amount", "month"]), ["month"])
    >>> table["month"].tolist()
    ['February', 'January', 'March']
    """
    check_level(level)
    if missing := [name for name in by if name not in first.columns]:
        raise ColumnError(
            f"first orders have no column {missing[0]}.", hint="name it in the covariates."
        )
    value = model.predict(first, level)["new_customer_clv"].to_numpy()
    groups = first.groupby(list(by), sort=True, observed=True).indices
    members = {name: rows for name, rows in groups.items() if len(rows) >= FEWEST}
    drawn = np.array(list(_drawn_values(model, first)))
    records = []
    for name, rows in members.items():
        mean, error = value[rows].mean(), value[rows].std(ddof=1) / np.sqrt(len(rows))
        means = drawn[:, rows].mean(axis=1) - drawn[:, rows].mean()
        chance = np.random.default_rng(0).standard_normal(len(means)) * error
        low, high = mean + np.quantile(means + chance, [(1 - level) / 2, (1 + level) / 2])
        keys = name if isinstance(name, tuple) else (name,)
        records.append(
            dict(zip(by, keys, strict=True))
            | {
                "customers": len(rows),
                "first_amount": float(first["first_amount"].to_numpy()[rows].mean()),
                "new_customer_value": float(mean),
                "new_customer_value_low": float(low),
                "new_customer_value_high": float(high),
                "basis": "estimated from first orders",
            }
        )
    table = pd.DataFrame(records)
    return table.sort_values("new_customer_value", ascending=False, ignore_index=True)


def _drawn_values(model: FirstOrderModel, first: pd.DataFrame) -> Iterator[Floats]:
    """New-customer value of each first order at draws of the parameters, shape (n,) each."""
    z, margin = model.coding.z(first), model.terms.margin_rate
    amount = first["first_amount"].to_numpy(dtype=np.float64)
    thetas = zip(draws(model.purchases, DRAWS, 1), draws(model.spend, DRAWS, 2), strict=True)
    for rates, amounts in thetas:
        other = replace(
            model,
            purchases=with_parameters(model.purchases, rates),
            spend=with_parameters(model.spend, amounts),
        )
        u, log_scale = other.effects(z)
        det = other.curves(u, None).read("discounted", u)
        yield margin * (amount + other.mean_spend * np.exp(log_scale) * det)
