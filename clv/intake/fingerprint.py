"""Whether a log is of the firm that a model learned from: its currency, customers and amounts.

A model keeps a few figures of its log, and short digests of a sample of its customers: 32 bits,
which many ids share, so that they say whether two lists overlap and not who is on one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from clv.errors import InputError
from clv.intake.sources import sql_text

SAMPLE = 512  # digests that are kept, the smallest: the same customers in every log that has them
FEW = 0.02  # of the sample, below which a log is another firm's
FAR = 5.0  # how many times the usual order may grow or shrink before it is worth a word


def fingerprint(purchases: Any, currency: str) -> dict[str, Any]:
    """What a model keeps of the log that it learned from.

    Parameters
    ----------
    purchases
        A clean log as a DuckDB relation.
    currency
        Of its amounts; "" if nothing says it.

    Returns
    -------
    dict
        currency, customers, first_day, last_day, median_amount, and sample: 512 digests at most.
    """
    customers, first, last, median = purchases.aggregate(
        "count(DISTINCT customer_id), min(date)::DATE, max(date)::DATE, median(amount)"
    ).fetchall()[0]
    return {
        "currency": currency,
        "customers": int(customers),
        "first_day": str(first),
        "last_day": str(last),
        "median_amount": round(float(median), 4),
        "sample": [digest for (digest,) in _digests(purchases).limit(SAMPLE).fetchall()],
    }


def mismatches(model: Mapping[str, Any], purchases: Any, currency: str) -> Iterator[str]:
    """What speaks against scoring a log by a model that learned from another, in sentences."""
    if currency and model["currency"] and currency.upper() != model["currency"].upper():
        yield f"Its amounts are in {currency}, the model learned in {model['currency']}."
    sample = set(model["sample"])
    digests = _digests(purchases).filter(f"digest <= {sql_text(max(sample))}") if sample else None
    present = {digest for (digest,) in digests.fetchall()} if digests is not None else set()
    if sample and len(present & sample) < FEW * len(sample):
        yield (
            "None of the customers that the model learned from is in it."
            if not present & sample
            else f"Only {len(present & sample)} of {len(sample)} customers looked for are in it."
        )
    median = float(purchases.aggregate("median(amount)").fetchall()[0][0])
    ratio = median / model["median_amount"] if model["median_amount"] else 1.0
    if not 1 / FAR <= ratio <= FAR:
        usual = f"{model['median_amount']:,.2f}"
        yield f"Its usual order is {median:,.2f}, that of the model's log {usual}."


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
    if reasons and not anyway:
        raise InputError(
            f"this log does not look like the one that the model learned from. {' '.join(reasons)}",
            hint="train a model on it (clv init, clv train), or say --anyway.",
        )
    return reasons


def _digests(purchases: Any) -> Any:
    """The digests of all customers, the smallest first."""
    digest = "md5(customer_id::VARCHAR)[1:8] AS digest"
    return purchases.aggregate("customer_id").project(digest).aggregate("digest").order("digest")
