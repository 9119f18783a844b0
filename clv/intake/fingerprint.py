"""Whether a log is of the firm that a model learned from: its currency, customers and amounts.

A model keeps a few figures of its log, and short digests of a sample of its customers: 32 bits,
which many ids share, so that they say whether two lists overlap and not who is on one.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from clv.data.days import Day
from clv.errors import ColumnError, InputError
from clv.format import number
from clv.intake.check import Intake, read_files
from clv.intake.new_columns import new_columns, written_otherwise
from clv.intake.recipe import Recipe
from clv.io.queries import sql_text

ANYWAY = "Taken, though it does not look like the log that the model learned from:"
SAMPLE = 512  # digests that are kept, the smallest: the same customers in every log that has them
FEW = 0.02  # of the sample, below which a log is another firm's
TYPICAL = 1_000_000  # purchases, of which the usual amount is taken where there are more
FAR = 5.0  # how many times the usual order may grow or shrink before it is worth a word


def fingerprint(purchases: Any, currency: str, columns: Sequence[str] = ()) -> dict[str, Any]:
    """What a model keeps of the log that it learned from.

    Parameters
    ----------
    purchases
        A clean log as a DuckDB relation.
    currency
        Of its amounts; "" if nothing says it.
    columns
        What the columns of its files are called.

    Returns
    -------
    dict
        currency, customers, first_day, last_day, median_amount, orders_per_customer, columns if
        they are stated, and sample: 512 digests at most.
    """
    customers, sample = _digests(purchases, f"min(digest, {2 * SAMPLE})")
    first, last, median, orders = _figures(purchases)
    return {
        "currency": currency,
        "customers": customers,
        "first_day": str(first),
        "last_day": str(last),
        "median_amount": round(median, 4),
        "orders_per_customer": round(orders / customers, 4),
        "sample": sorted({*sample})[:SAMPLE],
    } | ({"columns": list(columns)} if columns else {})


def mismatches(model: Mapping[str, Any], purchases: Any, currency: str) -> Iterator[str]:
    """What speaks against scoring a log by a model that learned from another, in sentences."""
    if currency and model["currency"] and currency.upper() != model["currency"].upper():
        yield f"Its amounts are in {currency}, the model learned in {model['currency']}."
    sample = set(model["sample"])
    smallest = f"digest <= {sql_text(max(sample, default=''))}"
    customers, digests = _digests(purchases, f"list(digest) FILTER ({smallest})")
    present = {*digests}
    if sample and len(present & sample) < FEW * len(sample):
        yield (
            "None of the customers that the model learned from is in it."
            if not present & sample
            else f"Only {len(present & sample)} of {len(sample)} customers looked for are in it."
        )
    first, last, median, orders = _figures(purchases)
    yield from _of_span(model, first, last)
    usual = {
        "usual order": (median, model["median_amount"]),
        "number of orders a customer": (orders / customers, model.get("orders_per_customer")),
    }
    for what, (value, learned) in usual.items():
        if learned and not 1 / FAR <= value / learned <= FAR:
            yield f"Its {what} is {number(value)}, that of the model's log {number(learned)}."


def _of_span(model: Mapping[str, Any], first: dt.date, last: dt.date) -> Iterator[str]:
    """What its days say: of another time, or only the end of the histories that belong to it."""
    begin, end = (dt.date.fromisoformat(model[day]) for day in ("first_day", "last_day"))
    if last < begin:
        yield f"It ends on {last}, before the first order that the model learned from, {begin}."
    elif first > begin + (end - begin) / 2:
        yield (
            f"It begins on {first}, the model's log on {begin}: without their earlier orders old "
            "customers look new. Give the whole history, or all files of it."
        )


def recipe_of(training: Mapping[str, Any] | None) -> Recipe | None:
    """The recipe that a model was trained by, out of what it says of its training; or None."""
    fields = (training or {}).get("data")
    return None if fields is None else Recipe.model_validate(fields)


def read_as_trained(
    files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    training: Mapping[str, Any] | None,
    *,
    as_of: Day | None = None,
    anyway: bool = False,
    **stated: Any,
) -> Intake:
    """Files of orders, read as those that a model was trained on, if they are of the same firm.

    Parameters
    ----------
    files, as_of, stated
        As :func:`clv.intake.check.read_files` takes them.
    training
        What the model says of its training; None if there is no model.
    anyway
        Read files of another firm, and amounts of another currency, all the same; what speaks
        against it is in the assumptions of the report.

    Raises
    ------
    InputError
        As ``read_files`` and ``require_same_firm``.
    """
    recipe = recipe_of(training)
    if anyway and recipe is not None:
        fields = recipe.model_dump(exclude_unset=True, exclude={"currency"})
        recipe = Recipe.model_validate(fields)
    try:
        intake = read_files(files, recipe=recipe, as_of=as_of, **stated)
    except ColumnError as error:
        if recipe is None:
            raise
        raise ColumnError(
            f"{error.message} It is read as the files that the model was trained on.",
            hint=f"{(error.hint or '').rstrip('.')}: say which is which, as in -c date=THEIRS, or "
            "train a model on it (clv init, clv train).",
        ) from error
    new = _require_written_alike(intake, recipe, stated, anyway=anyway)
    new += _require_no_new_columns(intake, training, stated.get("columns", {}), anyway=anyway)
    doubts = require_same_firm(training, intake.purchases, intake.check.currency, anyway=anyway)
    doubts = [*new, *doubts]
    if not doubts:
        return intake
    beside = tuple(f"{ANYWAY} {doubt}" for doubt in doubts)
    report = replace(intake.report, assumptions=(*intake.report.assumptions, *beside))
    return replace(intake, check=replace(intake.check, cleaning=report))


def _require_written_alike(
    intake: Intake, recipe: Recipe | None, stated: Collection[str], *, anyway: bool
) -> list[str]:
    """What is written otherwise than in the files of the model, if it is to be done anyway.

    Raises
    ------
    InputError
        Something is, and nobody said anyway.
    """
    settled = recipe is None or {"decimal", "date_order"} & set(stated)
    reasons = [] if settled or recipe is None else list(written_otherwise(intake.source, recipe))
    return _unless_refused(
        reasons,
        f"is written otherwise than the one that the model learned from. {' '.join(reasons)}",
        hint="write amounts and dates as there, say --date-format, or train a model on it "
        "(clv init, clv train).",
        anyway=anyway,
    )


def _require_no_new_columns(
    intake: Intake, training: Mapping[str, Any] | None, stated: Collection[str], *, anyway: bool
) -> list[str]:
    """What new columns say that would change sums, if it is to be done anyway.

    Raises
    ------
    InputError
        Something does, and nobody said anyway.
    """
    model = (training or {}).get("fingerprint")
    reasons = list(new_columns(intake.source, model, stated)) if model else []
    return _unless_refused(
        reasons,
        f"has more to say than the one that the model learned from. {' '.join(reasons[:1])}",
        hint="say what it is, as in -c currency=COLUMN (-c currency= keeps it out), leave such "
        "rows out of the file, train a model on it (clv init, clv train), or say --anyway.",
        anyway=anyway,
    )


def require_same_firm(
    training: Mapping[str, Any] | None, purchases: Any, currency: str, *, anyway: bool = False
) -> list[str]:
    """What speaks against it, if it is to be done anyway; none for a model that kept nothing.

    Raises
    ------
    InputError
        Something does, and nobody said anyway.
    """
    model = (training or {}).get("fingerprint")
    reasons = list(mismatches(model, purchases, currency)) if model else []
    return _unless_refused(
        reasons,
        f"does not look like the one that the model learned from. {' '.join(reasons)}",
        hint="train a model on it (clv init, clv train), or say --anyway.",
        anyway=anyway,
    )


def _unless_refused(reasons: list[str], text: str, hint: str, *, anyway: bool) -> list[str]:
    """The reasons, where there are none or it is to be done anyway; else an error."""
    if reasons and not anyway:
        raise InputError(f"this log {text}", hint=hint)
    return reasons


def _figures(purchases: Any) -> tuple[dt.date, dt.date, float, int]:
    """First and last day, the usual amount, and the number of purchases.

    The engine holds all amounts for a median, so of many purchases a part by their hashes is taken.
    """
    days = "min(date)::DATE, max(date)::DATE, count(*)"
    first, last, orders = purchases.aggregate(days).fetchall()[0]
    some = f"hash(customer_id, date) % {max(1, orders // TYPICAL)} = 0"
    ((median,),) = purchases.filter(some).aggregate("median(amount)").fetchall()
    return first, last, float(median), int(orders)


def _digests(purchases: Any, question: str) -> tuple[int, list[str]]:
    """The number of customers, and the answer to a question in SQL on the digests of their ids."""
    digests = purchases.aggregate("customer_id").project("md5(customer_id::VARCHAR)[1:8] AS digest")
    customers, answer = digests.aggregate(f"count(*), {question}").fetchall()[0]
    return int(customers), list(answer or ())
