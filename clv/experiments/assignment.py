"""Who gets it and who does not: drawn by chance, by id and seed, evenly within strata."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrameT
from numpy.typing import NDArray

from clv.decide.retention.control_group import hold_out, levels, tenths
from clv.decide.scores import ID, draw_by_id
from clv.defaults import SEED, TEST_CONTROL_SHARE
from clv.errors import InputError
from clv.schema import Floats, as_frame, numbers, reject_rows, require_columns, same_kind
from clv.shares import check_share

TABLE = "the table of customers"


def assign_test(
    customers: IntoFrameT,
    *,
    control_share: float = TEST_CONTROL_SHARE,
    stratify: str | None = None,
    customers_in_test: int | None = None,
    seed: int = SEED,
) -> IntoFrameT:
    """Who gets it and who is held out, by chance: the assignment of a test.

    The draw of a customer depends on the id and the seed alone. With ``stratify`` the share held
    out is the same in each stratum within a customer.

    Parameters
    ----------
    customers
        One row per customer: customer_id, and the column of the strata; scores are of that kind.
    control_share
        Share held out, in (0, 1).
    stratify
        Column to make strata of: tenths of a number such as clv, or each text such as channel.
    customers_in_test
        How many take part, drawn by chance; None for all.
    seed
        Another seed, another draw.

    Returns
    -------
    The same kind of table
        customer_id, treated (1 or 0), propensity (the chance of being treated) and, with
        ``stratify``, stratum. With outcomes it is a campaign log, see ``clv.fit_uplift``.

    Raises
    ------
    InputError, ColumnError, RowError
        A column is missing, a customer is there twice, or there are fewer customers than asked for.

    Examples
    --------
    >>> import pandas as pd
    >>> from clv import assign_test
    >>> scores = pd.DataFrame({"customer_id": range(100), "clv": range(100)})
    >>> test = assign_test(scores, control_share=0.2, stratify="clv")
    >>> int((test["treated"] == 0).sum()), set(test.groupby("stratum")["treated"].sum())
    (20, {8})
    """
    check_share("control_share", control_share, "(0, 1)")
    frame = as_frame(customers, TABLE)
    require_columns(frame, [ID, *([stratify] if stratify else [])], TABLE)
    rows = frame.collect()
    _check_ids(rows)
    draw = draw_by_id(rows[ID].to_list(), seed)
    rows, draw = _taking_part(rows, draw, customers_in_test)
    strata = None if stratify is None else _strata(rows, stratify, draw)
    held = hold_out(draw, control_share, strata, seed)
    if held.all() or not held.any():
        raise InputError(
            f"of {len(rows)} customers nobody would be on one side of the test.",
            hint="take more customers, or another control_share.",
        )
    chance = np.full(len(rows), 1.0 - control_share)
    arrays: dict[str, Any] = {"treated": (~held).astype(np.int64), "propensity": chance}
    arrays |= {} if strata is None else {"stratum": strata.astype(np.int64)}
    added = [
        nw.new_series(name, values, backend=rows.implementation) for name, values in arrays.items()
    ]
    return same_kind(rows.select(ID).with_columns(*added), customers)


def _check_ids(rows: nw.DataFrame[Any]) -> None:
    if len(rows) == 0:
        raise InputError(f"{TABLE} is empty.")
    ids = rows[ID]
    labels = {ID: ids.to_numpy()}
    reject_rows(ids.is_null().to_numpy(), "customer_id is missing", labels)
    if ids.n_unique() < len(rows):
        reject_rows(ids.is_duplicated().to_numpy(), "customer_id is repeated", labels)


def _taking_part(
    rows: nw.DataFrame[Any], draw: Floats, wanted: int | None
) -> tuple[nw.DataFrame[Any], Floats]:
    """Those drawn to be in the test, by a draw that says nothing of which side they are on."""
    if wanted is None:
        return rows, draw
    if not 2 <= wanted <= len(rows):
        raise InputError(
            f"{wanted} customers are asked for, {len(rows)} are there.",
            hint="plan_test() says which lift those whom there are would show.",
        )
    apart = draw_by_id([f"in {place}" for place in draw.tolist()], seed=0)
    chosen = np.sort(np.argsort(apart, kind="stable")[:wanted])
    return rows[chosen.tolist()], draw[chosen]


def _strata(rows: nw.DataFrame[Any], stratify: str, draw: Floats) -> NDArray[np.intp]:
    if stratify == ID:
        raise InputError("customer_id differs from customer to customer: it makes no strata.")
    if rows[stratify].dtype.is_numeric():
        return tenths(numbers(rows, stratify, TABLE), draw)
    return levels(rows[stratify].to_list())
