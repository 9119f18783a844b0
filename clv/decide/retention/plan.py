"""A campaign of several offers: who gets which, who is left alone and why, who is held out.

::

    scores -> rules -> every offer's cost and gain -> control group by chance -> one budget

The control group is drawn first and goes through the same choice as the others, but takes no money
and no place: its ``action`` is the offer that its customers would have got. So whoever is listed
was contacted with the stated ``propensity``, and the list, with the orders that follow, is a
randomised campaign log for :func:`clv.uplift.fit_uplift`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame

from clv.decide.budget.gain_curve import GainCurve
from clv.decide.retention.actions import AnyOffer, made_to_gone
from clv.decide.retention.campaign import CONTACTED, EVERYBODY, Campaign
from clv.decide.retention.campaign_summary import CampaignSummary, summarise
from clv.decide.retention.eligibility import Rules
from clv.decide.retention.hull import NOBODY, Assignment, Flags, Index, best_first
from clv.decide.retention.offer import ENDS
from clv.decide.scores import IF_BACK, RISK, STAKE, TERMS, Scores
from clv.defaults import CONTROL_SHARE, SEED
from clv.errors import InputError
from clv.notebook import InNotebook
from clv.schema import Floats, as_frame, column, require_columns, with_arrays

REASONS = ("reason_1", "reason_2", "reason_3")


@dataclass(frozen=True)
class CampaignPlan(InNotebook):
    """A campaign within its budget: the list, its totals, and why the others are not on it.

    Attributes
    ----------
    table
        One row per customer of the audience, the most gain per cost first, the same kind of frame
        as the scores: rank, customer_id, action (name of the offer), group ("treat" or
        "control"), treated (1 or 0), propensity, date, churn_probability and value_at_stake (if
        the scores have them; of offers to those who have left value_if_back too), cost,
        expected_gain, gain_low, gain_high, expected_profit, gain_per_cost, break_even_save_rate,
        save_rate (both null where the gain is measured), save_rate_source, the constants of the
        scores, and the reasons given. The control group is not contacted: its cost, gains and
        profit are 0, its action is the one forgone.
    summary
        Totals, intervals, what a bigger budget would earn, and findings in words.
    eligibility, gain_curve
        What became of everybody; what other budgets would gain.
    """

    campaign: Campaign = field(repr=False)
    choice: Assignment = field(repr=False)
    budget: float
    reasons: nw.DataFrame[Any] | None = field(default=None, repr=False)

    @classmethod
    def within(
        cls, campaign: Campaign, budget: float | None = None, reasons: IntoFrame | None = None
    ) -> CampaignPlan:
        """The best plan within ``budget``, None for no limit.

        Raises
        ------
        InputError
            The budget is no amount of money.
        """
        money = np.inf if budget is None else budget
        if not money >= 0:
            raise InputError(f"a budget of {budget} is not an amount of money.")
        texts = None if reasons is None else _read_reasons(reasons)
        return cls(campaign, campaign.choose(money), money, texts)

    def __str__(self) -> str:
        return str(self.summary)

    @cached_property
    def summary(self) -> CampaignSummary:
        """Totals, intervals, what a bigger budget would earn, and findings in words."""
        return summarise(self.campaign, self.choice, self.budget)

    @cached_property
    def table(self) -> Any:
        """Whom to contact with what, the whole list."""
        return self.campaign.scores.same_kind(self.best())

    def best(self, most: int | None = None) -> nw.DataFrame[Any]:
        """The first ``most`` rows of the list, all by default."""
        table = _table(self.campaign, self.choice, most)
        return table if self.reasons is None else _with_reasons(table, self.reasons)

    @cached_property
    def eligibility(self) -> Any:
        """Everybody: customer_id, status ("treat", "control", "not contacted"), reason if not."""
        scores, held = self.campaign.scores, self.campaign.held_out & (self.choice.action != NOBODY)
        texts, code = self.campaign.reasons(self.choice, bool(np.isfinite(self.budget)))
        reason = np.array([*texts, None], dtype=object)[code]  # CONTACTED is the None at the end
        status = np.where(code == CONTACTED, "treat", "not contacted").astype(object)
        reason[self.campaign.candidates[held]] = "held out by chance"
        status[self.campaign.candidates[held]] = "control"
        table = scores.rows.select(
            nw.col("customer_id"),
            column(scores.rows, "status", status.tolist(), nw.String),
            column(scores.rows, "reason", reason.tolist(), nw.String),
        )
        return scores.same_kind(table)

    @property
    def gain_curve(self) -> GainCurve:
        """What a budget of any size would gain, as an option for ``allocate``."""
        return self.campaign.gain_curve


def plan_campaign(
    scores: IntoFrame | Scores,
    offers: AnyOffer | Sequence[AnyOffer],
    budget: float | None = None,
    *,
    rules: Rules = EVERYBODY,
    control_share: float = CONTROL_SHARE,
    stratify: str | None = None,
    seed: int = SEED,
    date: dt.date | None = None,
    reasons: IntoFrame | None = None,
) -> CampaignPlan:
    """Who should get which offer within one budget, and who is held out.

    Each customer's offers enter by their upper hull of gain against cost; all steps are funded
    from the steepest down, see ``clv.decide.retention.hull``. A capacity adds a price for each
    place, see ``clv.decide.retention.capacity``. Nobody whom an offer would lose is contacted
    with it. The plan never exceeds budget or capacity and never earns less than one of its
    offers alone.

    Parameters
    ----------
    scores
        Any dataframe with customer_id, for assumed save rates also churn_probability and
        value_at_stake, and whatever the rules read.
    offers
        ``Offer`` (its save rate is assumed or measured) and ``MeasuredOffer`` (the gain of each
        customer is measured), in any mixture.
    budget
        Money for the campaign, in currency. None: everybody who pays.
    rules
        Whom not to contact.
    control_share
        Chance of being held out.
    stratify
        Hold out the same share of every level (of every tenth, for a number) of this column of the
        scores, or of "expected_profit". None: everybody is drawn alone, by id and seed.
    seed
        Another seed draws another control group.
    date
        Day of the campaign; by default the day after the scores' as_of.
    reasons
        What ``churn_reasons`` gave, to be shown beside each customer.

    Returns
    -------
    CampaignPlan
        ``table`` (who is contacted with which offer, and who is held out; cost, expected gain and
        profit in currency, the same kind of frame as the scores), ``eligibility`` (why not, for
        everybody else), ``summary``, and a gain curve for ``allocate``.

    Raises
    ------
    ColumnError, RowError, InputError
        A column is missing, a value makes no sense, an id is repeated, constants are mixed, or the
        budget, control share or date make no sense.

    Examples
    --------
    >>> import pandas as pd
    >>> from clv.decide.retention.offer import Offer
    >>> scores = pd.DataFrame({
    ...     "customer_id": ["ann", "bob", "cem", "dia"],
    ...     "churn_probability": [0.9, 0.5, 0.4, 0.6],
    ...     "value_at_stake": [20.0, 200.0, 10.0, 100.0],
    ... })
    >>> letter = Offer(contact_cost=2, save_rate=0.2, name="letter")
    >>> call = Offer(contact_cost=8, save_rate=0.4, name="call")
    >>> plan = plan_campaign(scores, [letter, call], budget=10, control_share=0)
    >>> plan.table[["rank", "customer_id", "action", "cost", "expected_profit"]]
       rank customer_id  action  cost  expected_profit
    0     1         dia  letter   2.0             10.0
    1     2         bob    call   8.0             32.0
    >>> plan.eligibility["reason"].tolist()[2]
    'the expected gain does not exceed the cost'
    """
    campaign = Campaign.prepare(
        scores,
        offers,
        rules=rules,
        control_share=control_share,
        stratify=stratify,
        seed=seed,
        date=date,
    )
    return CampaignPlan.within(campaign, budget, reasons)


def retention_targets(
    scores: IntoFrame | Scores,
    offer: AnyOffer,
    budget: float | None = None,
    *,
    control_share: float = CONTROL_SHARE,
    seed: int = SEED,
) -> CampaignPlan:
    """Whom one offer should go to within a budget: :func:`plan_campaign` in short.

    Parameters
    ----------
    scores, offer, budget, control_share, seed
        As for :func:`plan_campaign`, with one offer.

    Returns
    -------
    CampaignPlan
        The list, its totals, and its gain curve for ``allocate``.

    Raises
    ------
    ColumnError, RowError, InputError
        As :func:`plan_campaign` does.

    Examples
    --------
    >>> import pandas as pd
    >>> from clv.decide.retention.offer import Offer
    >>> scores = pd.DataFrame({
    ...     "customer_id": ["ann", "bob", "cem", "dia"],
    ...     "churn_probability": [0.9, 0.5, 0.4, 0.6],
    ...     "value_at_stake": [20.0, 200.0, 10.0, 100.0],
    ... })
    >>> campaign = retention_targets(scores, Offer(contact_cost=2), budget=5, control_share=0)
    >>> campaign.table[["rank", "customer_id", "group", "expected_profit"]]
       rank customer_id  group  expected_profit
    0     1         bob  treat             28.0
    1     2         dia  treat             16.0
    >>> campaign.summary.unspent
    1.0
    """
    return plan_campaign(scores, offer, budget, control_share=control_share, seed=seed)


def gain_curve(
    scores: IntoFrame | Scores,
    offer: AnyOffer,
    *,
    control_share: float = CONTROL_SHARE,
    seed: int = SEED,
) -> GainCurve:
    """What a retention budget of any size would gain, as an option for ``allocate``.

    The control group of ``retention_targets`` with the same share and seed is left out, so the
    spend that ``allocate`` decides on can be handed to it as a budget.

    Examples
    --------
    >>> import pandas as pd
    >>> from clv.decide.retention.offer import Offer
    >>> scores = pd.DataFrame({
    ...     "customer_id": [1, 2], "churn_probability": [0.5, 0.4], "value_at_stake": [90.0, 50.0]
    ... })
    >>> gain_curve(scores, Offer(contact_cost=2), control_share=0).gain_at(4)
    19.5
    """
    return Campaign.prepare(scores, offer, control_share=control_share, seed=seed).gain_curve


def _table(campaign: Campaign, choice: Assignment, most: int | None) -> nw.DataFrame[Any]:
    listed, action, ratio = _listed(campaign, choice, most)
    rows, held = campaign.candidates[listed], campaign.held_out[listed]
    table = campaign.scores.rows[rows]
    names = [campaign.actions[k].name for k in action.tolist()]
    selected = table.select(
        column(table, "rank", np.arange(1, len(rows) + 1), nw.Int64),
        nw.col("customer_id"),
        column(table, "action", names, nw.String),
        column(table, "group", np.where(held, "control", "treat").tolist(), nw.String),
        column(table, "treated", (~held).astype(np.int64), nw.Int64),
        nw.lit(1 - campaign.control_share).alias("propensity"),
        nw.lit(campaign.date, dtype=nw.Date).alias("date"),
        *(nw.col(name) for name in _measures(campaign) if name in table.columns),
        *_money(campaign, table, rows, action, held),
        column(table, "gain_per_cost", ratio, nw.Float64),
        *_rates(campaign, table, rows, action),
        *(nw.col(name) for name in table.columns if name in TERMS),
    )
    return with_arrays(selected, {}, **campaign.terms)


def _measures(campaign: Campaign) -> tuple[str, ...]:
    """The measures that a list shows: what a save is worth once back where an offer is of that."""
    gone = any(made_to_gone(action.offer) for action in campaign.actions)
    return (RISK, STAKE, IF_BACK) if gone else (RISK, STAKE)


def _listed(
    campaign: Campaign, choice: Assignment, most: int | None
) -> tuple[Index, Index, Floats]:
    """The candidates of the list, most gain per cost first, with their action and that ratio."""
    listed = np.flatnonzero(choice.action != NOBODY)
    action = choice.action[listed]
    with np.errstate(divide="ignore", over="ignore"):
        ratio = campaign.gain[action, listed] / campaign.cost[action, listed]
    if most is not None and most < len(ratio):
        first = ratio >= -np.partition(-ratio, most)[most]
        listed, action, ratio = listed[first], action[first], ratio[first]
    best = best_first(ratio, campaign.draw[listed])[:most]
    return listed[best], action[best], ratio[best]


def _of_action(values: Sequence[Floats], action: Index) -> Floats:
    """Of the arrays of the offers, what the action of each row has; shape (rows,)."""
    return np.array(values)[action, np.arange(len(action))]


def _money(
    campaign: Campaign, table: nw.DataFrame[Any], rows: Index, action: Index, held: Flags
) -> list[nw.Series[Any]]:
    """Cost, gain and profit; nothing is spent on the control group, and nothing gained."""
    low, high = ([a.at_end(end, rows)[1] for a in campaign.actions] for end in ENDS)
    money = {
        "cost": [a.cost[rows] for a in campaign.actions],
        "expected_gain": [a.gain[rows] for a in campaign.actions],
        "gain_low": low,
        "gain_high": high,
    }
    spent = {name: np.where(held, 0.0, _of_action(v, action)) for name, v in money.items()}
    spent["expected_profit"] = spent["expected_gain"] - spent["cost"]
    return [column(table, name, values, nw.Float64) for name, values in spent.items()]


def _rates(
    campaign: Campaign, table: nw.DataFrame[Any], rows: Index, action: Index
) -> list[nw.Series[Any]]:
    rate = np.array([getattr(a.offer, "mean_save_rate", np.nan) for a in campaign.actions])
    source = [campaign.actions[k].source for k in action.tolist()]
    even = _of_action([a.break_even_of(rows) for a in campaign.actions], action)
    return [
        column(table, "break_even_save_rate", even, nw.Float64),
        column(table, "save_rate", rate[action], nw.Float64),
        column(table, "save_rate_source", source, nw.String),
    ]


def _read_reasons(reasons: IntoFrame) -> nw.DataFrame[Any]:
    """The texts of ``churn_reasons``, a row for each customer."""
    frame = as_frame(reasons, "the reasons")
    require_columns(frame, ("customer_id", REASONS[0]), "the reasons")
    present = [name for name in REASONS if name in frame.collect_schema().names()]
    texts = frame.select("customer_id", *present).collect()
    if texts["customer_id"].n_unique() < len(texts):
        raise InputError("customer_id is repeated in the reasons.", hint="one row a customer.")
    return texts


def _with_reasons(table: nw.DataFrame[Any], reasons: nw.DataFrame[Any]) -> nw.DataFrame[Any]:
    """The reasons of the listed customers, null for those without."""
    import pandas as pd

    ids = pd.Index(reasons["customer_id"].to_list())
    places = ids.get_indexer_for(table["customer_id"].to_list()).tolist()
    for name in reasons.columns[1:]:
        texts = [*reasons[name].to_list(), None]  # -1, of whom has no reasons, is the last
        values = [texts[place] for place in places]
        table = table.with_columns(column(table, name, values, nw.String))
    return table
