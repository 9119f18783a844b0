"""What each offer would cost and earn with each customer, assumed or measured, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from clv.decide.retention.checks import WITHIN_WINDOW
from clv.decide.retention.offer import Offer, check_name, treat
from clv.errors import InputError, RowError
from clv.schema import Floats, collect, numbers, reject_rows, require_columns

RATED = ("churn_probability", "value_at_stake")  # what an assumed save rate needs
ALIVE = "probability_alive"


@dataclass(frozen=True)
class MeasuredOffer:
    """An offer whose effect a randomised campaign has shown.

    Parameters
    ----------
    name
        What to call it.
    effects
        What ``UpliftModel.predict`` gave for the customers to plan for, in any dataframe:
        customer_id, cost, expected_gain and, if known, gain_low and gain_high (an interval) and
        lift_source. For a campaign with several arms, one model and one offer each.
    capacity
        Most customers that can be contacted with it; None for no limit.

    Examples
    --------
    >>> import pandas as pd
    >>> effects = pd.DataFrame({"customer_id": [1], "cost": [2.0], "expected_gain": [5.0]})
    >>> MeasuredOffer("call", effects, capacity=100).name
    'call'
    """

    name: str
    effects: Any = field(repr=False)
    capacity: int | None = None

    def __post_init__(self) -> None:
        check_name(self.name, self.capacity)


AnyOffer = Offer | MeasuredOffer
SOURCES = ("assumed", "measured", "assumed and measured")


@dataclass(frozen=True)
class Action:
    """One offer to every customer; arrays of shape (customers,), money in currency.

    Parameters
    ----------
    cost, gain
        Expected.
    profit_low, profit_high, gain_low, gain_high
        At both ends of the save rate's range, or of the measured gain's interval.
    fixed
        The cost at a save rate of 0; NaN where the gain is measured.
    break_even
        The save rate at which gain = cost; NaN where none does, or where the gain is measured.
    basis
        What a measured gain is, as the effects say: see ``UpliftModel.value_source``.
    """

    offer: AnyOffer
    source: str
    cost: Floats
    gain: Floats
    gain_low: Floats
    gain_high: Floats
    profit_low: Floats
    profit_high: Floats
    fixed: Floats
    break_even: Floats
    basis: str | None = None

    @property
    def name(self) -> str:
        """Of the offer."""
        return self.offer.name

    @property
    def capacity(self) -> float:
        """Most customers; infinite for no limit."""
        return np.inf if self.offer.capacity is None else float(self.offer.capacity)


def needed_columns(offers: Sequence[AnyOffer]) -> tuple[str, ...]:
    """What the scores must have for these offers, beside customer_id."""
    assumed = [offer for offer in offers if isinstance(offer, Offer)]
    gone = any(offer.leavers == "gone" for offer in assumed)
    return (*(RATED if assumed else ()), *((ALIVE,) if gone else ()))


def act(rows: nw.DataFrame[Any], offers: Sequence[AnyOffer]) -> tuple[Action, ...]:
    """Every offer to every customer of the scores.

    Raises
    ------
    InputError, ColumnError, RowError
        Two offers share a name, a column is missing, a probability or amount makes no sense, or a
        customer has no measured effect.
    """
    names = [offer.name for offer in offers]
    if not names or len(set(names)) < len(names):
        raise InputError(
            f"the offers are called {', '.join(names) or 'nothing'}.",
            hint="give one offer or more, each with a name of its own.",
        )
    require_columns(rows.lazy(), needed_columns(offers), "the scores")
    actions = tuple(
        _assumed(rows, offer) if isinstance(offer, Offer) else _measured(rows, offer)
        for offer in offers
    )
    _check_bases(actions)
    return actions


def _check_bases(actions: Sequence[Action]) -> None:
    """Gains over a campaign's window cannot compete with gains over the scores' horizon."""
    within = [action.name for action in actions if action.basis == WITHIN_WINDOW]
    beyond = [action.name for action in actions if action.basis != WITHIN_WINDOW]
    if within and beyond:
        raise InputError(
            f"the gain of {within[0]} is the {WITHIN_WINDOW} of its campaign, that of {beyond[0]} "
            "is not: the two cannot be compared.",
            hint="learn it over the horizon of the scores: --gain value_at_stake, or "
            'fit_uplift(..., value="value_at_stake").',
        )


def _assumed(rows: nw.DataFrame[Any], offer: Offer) -> Action:
    q, stake = (numbers(rows, name, "the scores") for name in RATED)
    gone = 1 - numbers(rows, ALIVE, "the scores") if offer.leavers == "gone" else None
    _check_scores(rows, q, stake, gone)
    mean = treat(q, stake, offer, gone)
    g, (low, high) = offer.mean_save_rate, offer.save_rate_range
    saved = mean.gain / g  # per unit of save rate
    c1 = offer.incentive * offer.redeemers(q, gone)[1]
    fixed = mean.cost - g * c1
    return Action(
        offer,
        offer.save_rate_source,
        mean.cost,
        mean.gain,
        gain_low=low * saved,
        gain_high=high * saved,
        profit_low=low * (saved - c1) - fixed,
        profit_high=high * (saved - c1) - fixed,
        fixed=fixed,
        break_even=mean.break_even,
    )


def _check_scores(rows: nw.DataFrame[Any], q: Floats, stake: Floats, gone: Floats | None) -> None:
    shown: dict[str, Any] = {"customer_id": rows["customer_id"], RATED[0]: q, RATED[1]: stake}
    reject_rows(~((q >= 0) & (q <= 1)), "churn_probability is not in [0, 1]", shown)
    reject_rows(~np.isfinite(stake), "value_at_stake is missing or infinite", shown)
    if gone is not None:
        shown[ALIVE] = 1 - gone
        reject_rows(~((gone >= 0) & (gone <= 1)), "probability_alive is not in [0, 1]", shown)


def _measured(rows: nw.DataFrame[Any], offer: MeasuredOffer) -> Action:
    what = f"the effects of {offer.name}"
    needed, optional = ("customer_id", "cost", "expected_gain"), ("gain_low", "gain_high")
    table = collect(offer.effects, needed, what, (*optional, "lift_source", "value_source"))
    place = same_customers(rows, table, what)
    cost, gain = (numbers(table, name, what)[place] for name in needed[1:])
    low, high = (
        numbers(table, name, what)[place] if name in table.columns else gain for name in optional
    )
    shown: dict[str, Any] = {"customer_id": rows["customer_id"], "cost": cost, "gain": gain}
    fine = np.isfinite(cost) & np.isfinite(gain) & np.isfinite(low) & np.isfinite(high)
    reject_rows(~fine, f"cost or gain of {offer.name} is missing or infinite", shown)
    reject_rows(cost < 0, f"cost of {offer.name} is negative", shown)
    source = _stated(table, "lift_source") or "measured"
    if source not in SOURCES:
        raise InputError(f"lift_source of {what} is {source!r}.", hint=f"say one of {SOURCES}.")
    none = np.full(len(cost), np.nan)
    return Action(
        offer,
        source,
        cost,
        gain,
        gain_low=low,
        gain_high=high,
        profit_low=low - cost,
        profit_high=high - cost,
        fixed=none,
        break_even=none,
        basis=_stated(table, "value_source"),
    )


def _stated(table: nw.DataFrame[Any], name: str) -> Any:
    """What a column that is the same in every row says, None without it."""
    return table[name][0] if name in table.columns and len(table) else None


def same_customers(
    rows: nw.DataFrame[Any], table: nw.DataFrame[Any], what: str
) -> NDArray[np.intp] | slice:
    """Where each customer of ``rows`` stands in ``table``, a slice if in the same order.

    Raises
    ------
    RowError
        A customer is not in it, or twice.
    """
    ours, theirs = rows["customer_id"].to_list(), table["customer_id"].to_list()
    if ours == theirs:
        return slice(None)
    import pandas as pd

    index = pd.Index(theirs)
    if not index.is_unique:
        twice = index[index.duplicated()]
        raise RowError.of(f"customer_id is repeated in {what},", len(twice), list(twice[:3]))
    place: NDArray[np.intp] = index.get_indexer(pd.Index(ours))
    if missing := [id_ for id_, at in zip(ours, place.tolist(), strict=True) if at < 0]:
        raise RowError.of(
            f"{what} lack a customer of the scores",
            len(missing),
            missing[:3],
            hint="predict for the scores that are planned with.",
        )
    return place
