"""Why a customer has the churn score they have, in words a marketer reads.

The effects behind the words are exact: over all topics they add up to the customer's score minus
the base's average (see ``clv.churn.attribution``). The few largest are told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrameT
from numpy.typing import NDArray

from clv.churn.model import ChurnModel
from clv.churn.score_effects import ChurnEffects
from clv.data.features import BEHAVIOUR, FEATURES, LOG_FEATURES, usual_gap
from clv.errors import InputError
from clv.format import counted, number, whole_number
from clv.history import read_history, read_unit, same_unit
from clv.locales import one_locale
from clv.periods import DAYS, Duration, Unit
from clv.probability.estimator import PurchaseModel
from clv.schema import collect, column, numbers, same_kind, with_arrays

Facts = Mapping[str, Any]  # what the words quote, one value per customer
RAISES, LOWERS = "raises the risk", "lowers the risk"


def churn_reasons(
    churn: ChurnModel, summary: IntoFrameT, purchases: PurchaseModel, unit: Unit, top: int = 3
) -> IntoFrameT:
    """The topics that moved each customer's churn score most, in words and in numbers.

    Parameters
    ----------
    churn, purchases, unit
        The churn model, the purchase model behind it, and the time unit of the summary.
    summary
        As for :meth:`clv.churn.model.ChurnModel.predict`, which uses the same forecast.
    top
        How many reasons at most.

    Returns
    -------
    The same kind of table, in the order of its rows: customer_id (if the summary has it), reason_1
    and effect_1, reason_2 and effect_2, ... the largest first. An effect is in probability;
    positive raises the risk. Where fewer topics have an effect, the rest is null.

    Raises
    ------
    ColumnError, RowError
        A column is missing, or a history is impossible.
    UnitError
        The time unit of model and summary differ.

    Examples
    --------
    >>> import pandas as pd
    >>> from clv.probability.bg_nbd import BetaGeoNBD
    >>> model = BetaGeoNBD.from_params(r=0.243, alpha=4.414, a=0.793, b=2.426, unit="week")
    >>> churn = ChurnModel(Duration(13, "week"), None, "no labels")
    >>> two = pd.DataFrame({"customer_id": ["a", "b"], "frequency": [5, 5], "T": 40.0,
    ...     "recency": [20.0, 39.0], "monetary_value": 9.0, "first_amount": 9.0})
    >>> churn_reasons(churn, two, model, "week")["reason_1"].tolist()
    ['last order 140 days ago; usually every 28 (raises the risk)',
     'last order 7 days ago; usually every 55 (lowers the risk)']
    """
    optional = (*BEHAVIOUR, "unit")
    names = ("frequency", "recency", "T", "monetary_value", "first_amount")
    rows = collect(summary, names, "the summary", ("customer_id", *optional))
    same_unit(unit, read_unit(rows.to_native()))
    rows = rows.with_columns(nw.lit(unit).alias("unit"))  # the caller says it
    effects = churn.effects(rows.to_native(), purchases, unit)
    facts = _facts(rows, unit, churn.horizon, effects)
    ids = rows.select(name for name in ("customer_id",) if name in rows.columns)
    if not ids.columns:
        ids = rows.select("frequency")
    reasons = tell(ids, effects, facts, WORDS, top)
    return same_kind(
        reasons if "customer_id" in reasons.columns else reasons.drop("frequency"), summary
    )


def tell(
    rows: nw.DataFrame[Any],
    effects: ChurnEffects,
    facts: Facts,
    words: Mapping[str, Callable[[Facts, int], str]],
    top: int,
) -> nw.DataFrame[Any]:
    """``rows`` with reason_1, effect_1, ... added: the ``top`` largest effects of each row.

    ``words`` says, by topic, what to tell of row i from the facts.
    """
    if top < 1:
        raise InputError(f"top = {top} reasons.", hint="give 1 or more.")
    size = np.abs(effects.values)
    order = np.argsort(-size, axis=1, kind="stable")[:, :top]
    for place in range(order.shape[1]):
        topic = order[:, place]
        effect = effects.values[np.arange(len(topic)), topic]
        with one_locale():
            texts = _texts(topic, effect, effects.topics, facts, words)
        reason, moved = f"reason_{place + 1}", f"effect_{place + 1}"
        rows = rows.with_columns(column(rows, reason, texts, nw.String))
        rows = with_arrays(rows, {moved: np.where(effect == 0, np.nan, effect)})
    return rows


def _texts(
    topic: NDArray[np.intp],
    effect: NDArray[np.float64],
    topics: tuple[str, ...],
    facts: Facts,
    words: Mapping[str, Callable[[Facts, int], str]],
) -> list[str | None]:
    return [
        f"{words[topics[t]](facts, i)} ({RAISES if moved > 0 else LOWERS})" if moved else None
        for i, (t, moved) in enumerate(zip(topic.tolist(), effect.tolist(), strict=True))
    ]


def _facts(rows: nw.DataFrame[Any], unit: Unit, window: Duration, effects: ChurnEffects) -> Facts:
    """What the words quote: times in days, money as it is; lists, as they are read one by one."""
    history, days = read_history(rows.to_native()), DAYS[unit]
    repeat, first = numbers(rows, "monetary_value"), numbers(rows, "first_amount")
    facts: dict[str, Any] = {
        "repeats": history.x.astype(int),
        "age": history.T * days,
        "since": (history.T - history.t_x) * days,
        "gap": usual_gap(history) * days,
        "amount": np.where(history.x > 0, repeat, first),
    }
    scale = {"gap_spread": days, "last_gap": days}
    for name in BEHAVIOUR:
        if name in rows.columns:
            facts[name] = np.nan_to_num(numbers(rows, name)) * scale.get(name, 1.0)
    lists: dict[str, Any] = {name: values.tolist() for name, values in facts.items()}
    return lists | {"typical": effects.typical_amount, "window": str(window)}


def _silence(facts: Facts, i: int) -> str:
    if not facts["repeats"][i]:
        return f"one order only, {_days(facts['since'][i])} ago"
    return (
        f"last order {_days(facts['since'][i])} ago; usually every {whole_number(facts['gap'][i])}"
    )


def _pace(facts: Facts, i: int) -> str:
    repeats = facts["repeats"][i]
    orders = counted(repeats, "repeat order") if repeats else "no repeat order"
    return f"{orders} in {_days(facts['age'][i])}"


def _age(facts: Facts, i: int) -> str:
    return f"customer for {_days(facts['age'][i])}"


def _spend(facts: Facts, i: int) -> str:
    return f"{number(facts['amount'][i])} per order; {number(facts['typical'])} is usual"


def _rhythm(facts: Facts, i: int) -> str:
    if facts["repeats"][i] < 2:
        return "too few orders for a rhythm"
    return (
        f"{_days(facts['last_gap'][i])} between the last two orders; "
        f"usually {whole_number(facts['gap'][i])}, "
        f"give or take {whole_number(facts['gap_spread'][i])}"
    )


def _trend(facts: Facts, i: int) -> str:
    recent, earlier = facts["recent"][i], facts["earlier"][i]
    before = whole_number(earlier)
    return f"{counted(recent, 'order')} in the last {facts['window']}, {before} before that"


def _days(days: float) -> str:
    return counted(round(days), "day")


# By topic; a feature may bring the words of a topic of its own.
WORDS: Mapping[str, Callable[[Facts, int], str]] = {
    **{f.topic: f.words for f in (FEATURES | LOG_FEATURES).values() if f.words is not None},
    "silence": _silence,
    "pace": _pace,
    "age": _age,
    "spend": _spend,
    "rhythm": _rhythm,
    "trend": _trend,
}
