"""Count what each step of cleaning did, with examples, on any engine.

``ACTIONS`` holds all that cleaning may report, in the order in which it deals with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw

from clv.data.cleaning_report import CleaningFinding
from clv.data.reading import FUTURE, REASONS
from clv.errors import InputError, RowError
from clv.format import count

# What became of an order once refunds were netted; 0 is an order that stays as it was.
UNDONE, REFUND, UNMET, REFUNDED, REDUCED = 1, 2, 3, 4, 5
OUTCOMES = {
    UNDONE: ("order undone by its own lines", "dropped"),
    REFUND: ("refund of earlier orders", "netted"),
    UNMET: ("refund of more than the customer's earlier orders", "rest dropped"),
    REFUNDED: ("order refunded in full, so no purchase", "dropped"),
    REDUCED: ("order refunded in part", "reduced"),
}
REPEATED, SPREAD = "row equal to another in every column", "order number seen on several days"
ACTIONS = {
    **dict.fromkeys(REASONS, "dropped"),
    REPEATED: "kept, as two real ones can look alike",  # or dropped, see drops_repeats
    SPREAD: "kept as one order, on the first day",
    **dict(OUTCOMES.values()),
    "line of an order with several": "joined",
    "further order of one day": "joined",
}
LINES, FURTHER = tuple(ACTIONS)[-2:]

Tally = dict[int, dict[str, float]]
Examples = dict[int, tuple[str, ...]]
MIDNIGHT = r"(?:[ T]00:00:00)?(?:\.0+)?$"  # what engines write behind a day, and behind a second
Survey = tuple[Tally, Examples]
OrderSurvey = tuple[Survey, Survey]  # by outcome, and of those with lines on several days


def survey(rows: Any, code: str, sums: Sequence[str], labels: Mapping[str, str]) -> Survey:
    """Number of rows and sums of columns for each value of ``code``, and examples of those above 0.

    The examples are the least and the greatest row as text, the same on every engine; ``labels``
    says which columns they are made of, under which label. Tables and DuckDB are read twice, which
    is quick; another query, which would run again from its source, says both in one pass.

    >>> import pandas as pd
    >>> frame = nw.from_native(pd.DataFrame({"why": [0, 0, 2], "amount": [1.0, 2.0, 5.0]}))
    >>> survey(frame, "why", ["amount"], {"of": "amount"})
    ({0: {'amount': 3.0, 'rows': 2.0}, 2: {'amount': 5.0, 'rows': 1.0}}, {2: ('of 5.0',)})
    """
    counted_code = nw.col(code) > 0
    text = nw.when(counted_code).then(_as_text(rows.collect_schema(), labels))
    least, most = nw.col("_text").min().alias("_least"), nw.col("_text").max().alias("_most")
    counted = [*(nw.col(name).sum() for name in sums), nw.len().alias("rows")]
    if isinstance(rows, nw.LazyFrame) and not rows.implementation.is_duckdb():
        grouped = rows.with_columns(_text=text).group_by(code).agg(*counted, least, most)
        table = examples = grouped.collect()
    else:
        table = rows.group_by(code).agg(*counted).lazy().collect()
        examples = None
        if (table[code] > 0).any():  # else there are none, and looking takes as long
            named = rows.filter(counted_code).with_columns(_text=text)
            examples = named.group_by(code).agg(least, most).lazy().collect()
    lines = table.select(code, *sums, "rows").sort(code).iter_rows(named=True)
    tally = {int(line[code]): _floats(line, (*sums, "rows")) for line in lines}
    if examples is None:
        return tally, {}
    texts = examples.filter(counted_code).select(code, "_least", "_most").iter_rows()
    return tally, {int(key): tuple(dict.fromkeys((low, high))) for key, low, high in texts}


def _floats(line: Mapping[str, Any], names: Sequence[str]) -> dict[str, float]:
    return {name: float(line[name] or 0) for name in names}


def _as_text(schema: Mapping[str, Any], labels: Mapping[str, str]) -> nw.Expr:
    fields = []
    for label, column in labels.items():
        value = nw.col(column)
        value = value.round(4) if schema[column].is_float() else value
        text = value.cast(nw.String).fill_null("missing")
        if schema[column] == nw.Datetime:
            text = text.str.replace_all(MIDNIGHT, "")
        fields.append(nw.concat_str(nw.lit(f"{label} "), text))
    return nw.concat_str(*fields, separator=", ")


def rejections(rows: Any, names: Mapping[str, str]) -> tuple[Tally, list[CleaningFinding]]:
    """The counts by ``_reason``, and the rows that cannot be used as findings.

    Raises
    ------
    InputError
        The log has no rows.
    RowError
        No row can be used, dates are text with a UTC offset, or days are still to come.
    """
    fields = ("customer_id", "date", "amount", "quantity", "price")
    labels = {names[name]: f"_raw_{name}" for name in fields if name in names}
    counts, examples = survey(rows, "_reason", ("_amount", "_refund"), labels)
    if not counts:
        raise InputError("the log has no rows.", hint="check how it was read or filtered.")
    reasons = list(REASONS)
    findings = []
    for code, sums in counts.items():
        if code:
            dropped, why = int(sums["rows"]), reasons[code - 1]
            findings.append(
                CleaningFinding(why, dropped, "dropped", dropped, sums["_amount"], examples[code])
            )
    _check_rejections(findings, none_left=0 not in counts, date=names["date"])
    return counts, findings


def survey_orders(orders: Any) -> OrderSurvey:
    """What joining lines and netting refunds did to orders, and which had lines on several days."""
    labels = {name: name for name in ("customer_id", "date", "amount")}
    counts, examples = survey(orders, "_outcome", ("amount", "_left", "_spread"), labels)
    if not any(count["_spread"] for count in counts.values()):
        return (counts, examples), ({}, {})
    labels = {"customer_id": "customer_id", "order_id": "order_id", "first day": "date"}
    return (counts, examples), survey(orders, "_spread", (), labels)


def outcomes(surveys: Sequence[OrderSurvey]) -> list[CleaningFinding]:
    """What became of the orders of all parts, as findings."""
    counts, examples = _together([outcome for outcome, _ in surveys])
    removed = {code: count["amount"] - count["_left"] for code, count in counts.items()}
    if UNMET in counts:  # of those refunds a part can have met an order, the rest has not
        removed[REFUND] = removed.get(REFUND, 0.0) + removed[UNMET]
        removed[UNMET] = counts[UNMET]["_left"]
    findings = _spread(*_together([spread for _, spread in surveys]))
    for code, (reason, action) in OUTCOMES.items():
        if code in removed:
            rows = int(counts[code]["rows"]) if code in counts else 0
            rows_out = 0 if code == REDUCED else rows
            money, rows_shown = removed[code], examples.get(code, ())
            findings.append(CleaningFinding(reason, rows, action, rows_out, money, rows_shown))
    return findings


def _spread(counts: Tally, examples: Examples) -> list[CleaningFinding]:
    """Orders with lines on several days: kept, but an order number that is reused looks so too."""
    if 1 not in counts:
        return []
    return [CleaningFinding(SPREAD, int(counts[1]["rows"]), ACTIONS[SPREAD], 0, 0.0, examples[1])]


def _together(parts: Sequence[Survey]) -> Survey:
    """Surveys of parts as one of the whole."""
    counts: Tally = {}
    examples: dict[int, list[str]] = {}
    for tally, texts in parts:
        for code, sums in tally.items():
            total = counts.setdefault(code, dict.fromkeys(sums, 0.0))
            counts[code] = {name: total[name] + value for name, value in sums.items()}
        for code, rows in texts.items():
            examples.setdefault(code, []).extend(rows)
    ends = {code: tuple(dict.fromkeys((min(r), max(r)))) for code, r in examples.items()}
    return dict(sorted(counts.items())), ends


def _check_rejections(findings: list[CleaningFinding], *, none_left: bool, date: str) -> None:
    for finding in findings:
        if finding.reason == "date carries a UTC offset":
            what = (
                f"column {date!r} is text with a UTC offset, so it is not settled whose days count,"
            )
            raise RowError.of(what, finding.rows, finding.examples, hint=REASONS[finding.reason])
        if finding.reason == FUTURE:
            what = f"column {date!r} has days that are still to come"
            raise RowError.of(what, finding.rows, finding.examples, hint=REASONS[FUTURE])
    if none_left:
        most = max(findings, key=lambda finding: finding.rows)
        total = sum(finding.rows for finding in findings)
        listed = "; ".join(f"{f.reason} ({count(f.rows)}: {f.examples[0]})" for f in findings)
        raise RowError(
            f"no row of the log can be used, of {count(total)}: {listed}.",
            hint=REASONS[most.reason],
        )
