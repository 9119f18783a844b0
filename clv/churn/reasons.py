"""Why a customer has the churn score they have, in words a marketer reads.

The effects behind the words are exact: over all topics they add up to the customer's score minus
the base's average (see ``clv.churn.attribution``). The few largest are told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame, IntoFrameT
from numpy.typing import NDArray

from clv.churn.model import ChurnModel
from clv.churn.score_effects import ChurnEffects
from clv.data.features import BEHAVIOUR, FEATURES, LOG_FEATURES, usual_gap
from clv.errors import InputError
from clv.findings import Finding, finding
from clv.history import read_history, read_unit, same_unit
from clv.locales import one_locale
from clv.periods import DAYS, Duration, Unit
from clv.probability.estimator import PurchaseModel
from clv.schema import collect, column, numbers, same_kind, with_arrays

if TYPE_CHECKING:
    import pyarrow as pa

Facts = Mapping[str, Any]  # what the words quote, one value per customer
Words = Callable[[Facts, int], Finding]


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
    rows = _rows(summary, unit)
    effects, facts = _told(churn, rows.to_native(), purchases, unit)
    ids = rows.select(name for name in ("customer_id",) if name in rows.columns)
    if not ids.columns:
        ids = rows.select("frequency")
    reasons = tell(ids, effects, facts, WORDS, top)
    return same_kind(
        reasons if "customer_id" in reasons.columns else reasons.drop("frequency"), summary
    )


def _rows(summary: IntoFrame, unit: Unit) -> nw.DataFrame[Any]:
    names = ("frequency", "recency", "T", "monetary_value", "first_amount")
    rows = collect(summary, names, "the summary", ("customer_id", *BEHAVIOUR, "unit"))
    same_unit(unit, read_unit(rows.to_native()))
    return rows.with_columns(nw.lit(unit).alias("unit"))  # the caller says it


def _told(
    churn: ChurnModel, summary: IntoFrame, purchases: PurchaseModel, unit: Unit
) -> tuple[ChurnEffects, Facts]:
    """What moved each score, and what the words quote."""
    rows = _rows(summary, unit)
    effects = churn.effects(rows.to_native(), purchases, unit)
    return effects, _facts(rows, unit, churn.horizon, effects)


def tell(
    rows: nw.DataFrame[Any],
    effects: ChurnEffects,
    facts: Facts,
    words: Mapping[str, Words],
    top: int,
) -> nw.DataFrame[Any]:
    """``rows`` with reason_1, effect_1, ... added: the ``top`` largest effects of each row.

    ``words`` says, by topic, what to tell of row i from the facts.
    """
    for place, (topic, effect) in enumerate(_largest(effects, top), start=1):
        with one_locale():
            texts = [
                str(_moved(words[effects.topics[t]](facts, i), moved)) if moved else None
                for i, (t, moved) in enumerate(zip(topic.tolist(), effect.tolist(), strict=True))
            ]
        rows = rows.with_columns(column(rows, f"reason_{place}", texts, nw.String))
        moves = {f"effect_{place}": np.where(effect == 0, np.nan, effect)}
        rows = with_arrays(rows, moves)
    return rows


def reason_table(
    churn: ChurnModel, summary: pa.Table, purchases: PurchaseModel, unit: Unit, top: int
) -> pa.Table:
    """The same as figures, from which ``reasons_of_row`` makes the sentences when they are read.

    The parameters are those of ``churn_reasons``. A row per customer: customer_id, topic_1 and
    effect_1, ..., and the facts that the words of a topic quote.
    """
    import pyarrow as pa

    effects, facts = _told(churn, summary, purchases, unit)
    columns: dict[str, Any] = {"customer_id": summary["customer_id"]}
    for place, (topic, effect) in enumerate(_largest(effects, top), start=1):
        codes = pa.DictionaryArray.from_arrays(pa.array(topic, pa.int32()), list(effects.topics))
        columns[f"topic_{place}"] = codes.cast(pa.string())
        columns[f"effect_{place}"] = effect
    each = {name: fact for name, fact in facts.items() if isinstance(fact, list)}
    whole = {name: pa.repeat(facts[name], len(summary)) for name in facts if name not in each}
    return pa.table(columns | each | whole)


def reasons_of_row(row: Mapping[str, Any], currency: str = "") -> Iterator[Finding]:
    """The reasons of one customer, from a row of ``reason_table``.

    >>> row = {"topic_1": "age", "effect_1": -0.1, "age": 40.0}
    >>> [str(reason) for reason in reasons_of_row(row)]
    ['customer for 40 days (lowers the risk)']
    """
    facts = {name: [value] for name, value in row.items()} | {n: row.get(n) for n in OF_ALL}
    for name, topic in row.items():
        if name.startswith("topic_") and topic in WORDS:
            effect = row[f"effect_{name.rpartition('_')[2]}"]
            if effect:
                yield _moved(WORDS[topic](facts, 0), effect).within(currency)


def _largest(
    effects: ChurnEffects, top: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    """By place, the topic of each row and its effect, the largest first."""
    if top < 1:
        raise InputError(f"top = {top} reasons.", hint="give 1 or more.")
    order = np.argsort(-np.abs(effects.values), axis=1, kind="stable")[:, :top]
    for topic in order.T:
        yield topic, effects.values[np.arange(len(topic)), topic]


def _moved(reason: Finding, effect: float) -> Finding:
    return finding("churn_reason.raises" if effect > 0 else "churn_reason.lowers", reason=reason)


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


def _silence(facts: Facts, i: int) -> Finding:
    since = round(facts["since"][i])
    if not facts["repeats"][i]:
        return finding("churn_reason.one_order", since=since)
    return finding("churn_reason.silence", since=since, gap=round(facts["gap"][i]))


def _pace(facts: Facts, i: int) -> Finding:
    repeats, age = facts["repeats"][i], round(facts["age"][i])
    if not repeats:
        return finding("churn_reason.no_repeat", age=age)
    return finding("churn_reason.pace", repeats=repeats, age=age)


def _age(facts: Facts, i: int) -> Finding:
    return finding("churn_reason.age", age=round(facts["age"][i]))


def _spend(facts: Facts, i: int) -> Finding:
    return finding("churn_reason.spend", amount=facts["amount"][i], typical=facts["typical"])


def _rhythm(facts: Facts, i: int) -> Finding:
    if facts["repeats"][i] < 2:
        return finding("churn_reason.few_gaps")
    names = {"last": "last_gap", "gap": "gap", "spread": "gap_spread"}
    return finding("churn_reason.rhythm", **{n: round(facts[of][i]) for n, of in names.items()})


def _trend(facts: Facts, i: int) -> Finding:
    counts = {name: round(facts[name][i]) for name in ("recent", "earlier")}
    return finding("churn_reason.trend", window=facts["window"], **counts)


OF_ALL = ("typical", "window")  # facts that are the same for every customer
# By topic; a feature may bring the words of a topic of its own.
WORDS: Mapping[str, Words] = {
    **{f.topic: f.words for f in (FEATURES | LOG_FEATURES).values() if f.words is not None},
    "silence": _silence,
    "pace": _pace,
    "age": _age,
    "spend": _spend,
    "rhythm": _rhythm,
    "trend": _trend,
}
