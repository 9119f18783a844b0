"""What each offer would cost and earn with each customer, assumed or measured, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from clv.decide.retention.offer import Action, Index, Offer, Treatment, check_name, treat
from clv.decide.scores import ALIVE, IF_BACK, RISK, STAKE, Scores
from clv.errors import InputError, RowError
from clv.schema import Floats, as_frame, collect, numbers, reject_rows, require_columns

EFFECTS = ("customer_id", "cost", "expected_gain")
WITHIN_WINDOW = "margin within the window"  # as ``UpliftModel.value_source`` calls it


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
        what = f"the effects of {self.name}"
        require_columns(as_frame(self.effects, what), EFFECTS, what)


AnyOffer = Offer | MeasuredOffer
SOURCES = ("assumed", "measured", "assumed and measured")


@dataclass(frozen=True)
class MeasuredAction(Action):
    """An offer whose gain from each customer a randomised campaign has shown.

    Parameters
    ----------
    source
        One of ``SOURCES``.
    gain_low, gain_high
        The interval of the gain.
    """

    source: str
    gain_low: Floats
    gain_high: Floats

    def break_even_of(self, rows: Index) -> Floats:
        """NaN: no save rate is behind it."""
        return np.full(len(rows), np.nan)

    def at_end(self, end: Literal[0, 1], rows: Index) -> tuple[Floats, Floats]:
        """Cost and gain of some customers at the low (0) or high (1) end of the interval."""
        return self.cost[rows], (self.gain_low, self.gain_high)[end][rows]


AnyAction = Treatment | MeasuredAction


def needed_columns(offers: Sequence[AnyOffer]) -> tuple[str, ...]:
    """What the scores must have for these offers, beside customer_id."""
    assumed = [offer for offer in offers if isinstance(offer, Offer)]
    gone = any(map(made_to_gone, offers))
    return (*((RISK, STAKE) if assumed else ()), *((ALIVE,) if gone else ()))


def make_actions(scores: Scores, offers: Sequence[AnyOffer]) -> tuple[AnyAction, ...]:
    """Every offer to every customer of the scores.

    Raises
    ------
    InputError, ColumnError, RowError
        Two offers share a name, or a customer has no measured effect or one that makes no sense.
    """
    names = [offer.name for offer in offers]
    if not names or len(set(names)) < len(names):
        raise InputError(
            f"the offers are called {', '.join(names) or 'nothing'}.",
            hint="give one offer or more, each with a name of its own.",
        )
    actions = tuple(
        treat_customers(scores, offer) if isinstance(offer, Offer) else _measured(scores, offer)
        for offer in offers
    )
    _check_bases(actions)
    return actions


def _check_bases(actions: Sequence[AnyAction]) -> None:
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


def treat_customers(scores: Scores, offer: Offer, rows: Index | slice = slice(None)) -> Treatment:
    """``treat`` of some customers of the scores.

    Of those who have left, a save is worth what they are worth once back.
    """
    dropout = 1 - scores.measures[ALIVE][rows] if offer.leavers == "gone" else None
    stake = value_of_a_save(scores, offer)[rows]
    return treat(scores.churn_probability[rows], stake, offer, dropout)


def value_of_a_save(scores: Scores, offer: AnyOffer) -> Floats:
    """What each customer saved by an offer is worth, shape (customers,), in currency.

    It is the value at stake; of an offer to those who have left what they are worth once back,
    where the scores say that.
    """
    lacking = without_if_back(scores, offer)
    if lacking.all():
        return scores.value_at_stake
    return np.where(lacking, scores.value_at_stake, scores.measures[IF_BACK])


def without_if_back(scores: Scores, offer: AnyOffer) -> NDArray[np.bool_]:
    """Of whom the scores do not say what a save by this offer is worth once back: (customers,).

    Everybody, where it is not made to those who have left.
    """
    if not made_to_gone(offer) or IF_BACK not in scores.measures:
        return np.ones(len(scores), dtype=bool)
    return ~np.isfinite(scores.measures[IF_BACK])


def made_to_gone(offer: AnyOffer) -> bool:
    """Whether an offer brings back who has left for good."""
    return isinstance(offer, Offer) and offer.leavers == "gone"


def _measured(scores: Scores, offer: MeasuredOffer) -> MeasuredAction:
    what = f"the effects of {offer.name}"
    optional = ("gain_low", "gain_high")
    table = collect(offer.effects, EFFECTS, what, (*optional, "lift_source", "value_source"))
    place = same_customers(scores.ids, table, what)
    cost, gain = (numbers(table, name, what)[place] for name in EFFECTS[1:])
    low, high = (
        numbers(table, name, what)[place] if name in table.columns else gain for name in optional
    )
    examples: dict[str, Any] = {"customer_id": scores.ids, "cost": cost, "gain": gain}
    fine = np.isfinite(cost) & np.isfinite(gain) & np.isfinite(low) & np.isfinite(high)
    reject_rows(~fine, f"cost or gain of {offer.name} is missing or infinite", examples)
    reject_rows(cost < 0, f"cost of {offer.name} is negative", examples)
    source = _stated(table, "lift_source") or "measured"
    if source not in SOURCES:
        raise InputError(f"lift_source of {what} is {source!r}.", hint=f"say one of {SOURCES}.")
    basis = _stated(table, "value_source")
    return MeasuredAction(offer, cost, gain, source, low, high, basis=basis)


def _stated(table: nw.DataFrame[Any], name: str) -> Any:
    """What a column that is the same in every row says, None without it."""
    return table[name][0] if name in table.columns and len(table) else None


def same_customers(ids: list[Any], table: nw.DataFrame[Any], what: str) -> Index | slice:
    """Where each of ``ids`` stands in ``table``, a slice if in the same order.

    Raises
    ------
    RowError
        A customer is not in it, or twice.
    """
    theirs = table["customer_id"].to_list()
    if ids == theirs:
        return slice(None)
    import pandas as pd

    index = pd.Index(theirs)
    if not index.is_unique:
        twice = index[index.duplicated()]
        raise RowError.of(f"customer_id is repeated in {what},", len(twice), list(twice[:3]))
    place: Index = index.get_indexer(pd.Index(ids))
    if missing := [id_ for id_, row in zip(ids, place.tolist(), strict=True) if row < 0]:
        raise RowError.of(
            f"{what} lack a customer of the scores",
            len(missing),
            missing[:3],
            hint="predict for the scores that are planned with.",
        )
    return place
