"""The columns of a table of scores, declared once: what each is called, holds and means.

``CustomerScorer.predict`` writes them; answers of the API take their fields from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["carried", "score", "constant"]
PLAN = "plan"  # of a subscriber's contract; who has none buys order by order


@dataclass(frozen=True)
class ScoreColumn:
    """A column of a table of scores.

    Attributes
    ----------
    name
        As in the table.
    dtype
        What a cell holds.
    unit
        What its values count: money, purchases, a share, days; or text, a date.
    role
        "carried" over from the summary, a "score" of each customer, or a "constant": the same in
        every row, so that a table cannot part from its terms.
    description
        For those who read the table.
    optional
        Whether some models do not tell it; their scores lack the column.
    """

    name: str
    dtype: Any
    unit: Literal["money", "purchases", "share", "days", "text", "date"]
    role: Role
    description: str
    optional: bool = False


_COLUMNS = (
    ScoreColumn("customer_id", str | int, "text", "carried", "As in the order log."),
    ScoreColumn("channel", str, "text", "carried", "Of the first purchase, if the log has any."),
    ScoreColumn("frequency", int, "purchases", "carried", "Repeat purchases; renewals made."),
    ScoreColumn(
        *("days_since_last", float, "days", "carried"),
        "From the last purchase, or payment of a contract, to the as-of date.",
    ),
    ScoreColumn("unit", str, "text", "carried", "Time unit of the models."),
    ScoreColumn("as_of", str, "date", "carried", "Last day that the score takes into account."),
    ScoreColumn("clv", float, "money", "score", "Still to come within the horizon, discounted."),
    ScoreColumn("clv_low", float, "money", "score", "Lower end of the interval of the value."),
    ScoreColumn(
        "clv_median", float, "money", "score", "As likely to be missed as reached; below the mean."
    ),
    ScoreColumn("clv_high", float, "money", "score", "Upper end of the interval of the value."),
    ScoreColumn(
        *("expected_purchases", float, "purchases", "score"),
        "Within the horizon, undiscounted; payments of those under contract.",
    ),
    ScoreColumn("expected_spend", float, "money", "score", "Revenue per purchase or payment."),
    ScoreColumn(
        *("next_purchases", float, "purchases", "score"),
        "Within the churn horizon; payments of those under contract.",
    ),
    ScoreColumn(
        *("next_purchases_low", float, "purchases", "score"),
        "Lower end of the interval of the purchases within the churn horizon.",
    ),
    ScoreColumn(
        *("next_purchases_high", float, "purchases", "score"),
        "Upper end of the interval of the purchases within the churn horizon.",
    ),
    ScoreColumn(
        *("next_revenue", float, "money", "score"), "Within the churn horizon, undiscounted."
    ),
    ScoreColumn(
        *("probability_alive", float, "share", "score"),
        "Still a customer. 1 for one-time buyers under BG/NBD: no churn score.",
    ),
    ScoreColumn(
        *("probability_no_purchase", float, "share", "score"),
        "Of no purchase within the churn horizon, by the purchase model.",
    ),
    ScoreColumn(
        *("churn_probability", float, "share", "score"),
        "Of no purchase within the churn horizon, by the churn model; under contract, that "
        "a renewal due by then is missed.",
    ),
    ScoreColumn(
        *("value_at_stake", float, "money", "score"),
        "What keeping a customer who would leave within the churn horizon is worth.",
    ),
    ScoreColumn(
        *("value_if_back", float, "money", "score"),
        "What a customer who had left for good is worth once brought back; of BG/NBD and MBG/NBD.",
        optional=True,
    ),
    ScoreColumn("horizon", str, "text", "constant", "How far ahead values count."),
    ScoreColumn("money", str, "text", "constant", "What values are: contribution margin, revenue."),
    ScoreColumn("margin_rate", float, "share", "constant", "Contribution margin over revenue."),
    ScoreColumn("annual_discount_rate", float, "share", "constant", "A year."),
    ScoreColumn("currency", str, "text", "constant", "Of every amount."),
    ScoreColumn("interval", float, "share", "constant", "Chance that a value is in its interval."),
    ScoreColumn("churn_horizon", str, "text", "constant", "No purchase for so long is churn."),
    ScoreColumn("model_version", str, "text", "constant", "Version of the model behind it."),
)
SCORE_COLUMNS = {column.name: column for column in _COLUMNS}
CARRIED = tuple(column.name for column in _COLUMNS if column.role == "carried")
STATED = ("model_version", "as_of", "horizon", "currency")  # what every answer and store says once


def models_behind(version: object) -> list[str]:
    """The models that scores are of: two where a firm has both buyers and subscribers.

    >>> models_behind("2024-12-29-084d145e+2024-12-29-19fb10f8")
    ['2024-12-29-084d145e', '2024-12-29-19fb10f8']
    """
    return str(version).split("+")


@dataclass(frozen=True)
class CustomerWords:
    """What is said of customers: buyers order, subscribers pay and renew.

    Attributes
    ----------
    order, orders, bought
        What they do, once and often, and in the past.
    lost
        What the churn probability is the chance of.
    """

    order: str
    orders: str
    bought: str
    lost: str


BUYERS = CustomerWords("order", "purchases", "bought", "no order")
SUBSCRIBERS = CustomerWords("payment", "payments", "paid", "a missed renewal")
BOTH = CustomerWords(
    *("order or payment", "purchases and payments", "bought or paid"),
    "no order, or of subscribers a missed renewal,",
)


def words_for(plans: int, customers: int) -> CustomerWords:
    """What is said of so many customers, of whom ``plans`` have a plan.

    >>> words_for(0, 3).lost, words_for(3, 3).lost
    ('no order', 'a missed renewal')
    """
    if not plans:
        return BUYERS
    return SUBSCRIBERS if plans == customers else BOTH
