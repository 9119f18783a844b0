"""Why each customer is at risk, in words, where a classifier says how much.

A purchase model's reasons follow from the model card and the orders, so a page works them out when
it is asked; a classifier's cannot, so they are written down when scores are published.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clv.reasons import churn_reasons
from clv.scorer import CustomerScorer

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN = 3  # reasons that a page tells of a customer
BLOCK = 50_000  # customers at a time


def reasons_of(summary: pa.Table, scorer: CustomerScorer) -> pa.Table | None:
    """customer_id, reason_1, reason_2 ... of every customer; None where no classifier is in use.

    ``summary`` is in the scorer's unit, with what its churn model reads of the log.
    """
    import pyarrow as pa

    if scorer.churn.classifier is None:
        return None
    names = ["customer_id", *(f"reason_{place}" for place in range(1, SHOWN + 1))]
    blocks = [
        churn_reasons(scorer.churn, block, scorer.purchases, scorer.unit, SHOWN).select(names)
        for block in (summary.slice(at, BLOCK) for at in range(0, len(summary), BLOCK))
    ]
    return pa.concat_tables(blocks)
