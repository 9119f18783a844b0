"""One randomised retention offer to SIMULATED customers: what it changes, and what that is worth.

The offer really changes the orders: whoever it brings back goes on buying, whoever it drives away
stops. Each customer's purchases after the offer are drawn once, as if alive, and used or not, so
that both outcomes of every customer are known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from clv.shares import check_share
from clv.simulate.process import (
    CDNOW,
    Flags,
    Floats,
    Purchases,
    Random,
    discounted_purchases,
    purchases_while_alive,
)

TRUE_EFFECTS = (
    "alive",
    "lift_alive",
    "lift_margin",
    "expected_cost",
    "margin_if_treated",
    "margin_if_not",
)


@dataclass(frozen=True)
class SimulatedOffer:
    """A randomised offer to customers who bought within ``active`` weeks before it.

    Who has left comes back with the chance ``save`` of the channel, halved every ``fades`` weeks
    since the last purchase, and buys as before. Who is still there and bought within ``recent``
    weeks is driven away with the chance ``harm``: a sleeping dog. Nobody else changes.
    """

    weeks_before_end: int = 26
    active: float = 26.0
    propensity: float = 0.5
    contact_cost: float = 0.5
    incentive: float = 3.0  # for every treated customer who buys within ``redeem`` weeks
    redeem: float = 4.0
    fades: float = 26.0
    recent: float = 4.0
    harm: float = 0.05

    def __post_init__(self) -> None:
        check_share("propensity", self.propensity)
        check_share("harm", self.harm)

    def chances(self, save: Floats, since: Floats) -> tuple[Floats, Floats]:
        """Chance to come back if gone, chance to leave if not, ``since`` weeks after buying."""
        return save * 0.5 ** (since / self.fades), np.where(since <= self.recent, self.harm, 0.0)

    def cost(self, redeems: Floats | Flags) -> Floats:
        """Cost of treating customers who redeem with these chances (1: did, 0: did not)."""
        return np.asarray(self.contact_cost + self.incentive * redeems, dtype=np.float64)


OFFER = SimulatedOffer()
NO_OFFER = SimulatedOffer(weeks_before_end=0, active=0.0)


@dataclass(frozen=True)
class Sent:
    """The campaign's customers and everybody's state right after it; arrays of shape (n,)."""

    eligible: Flags
    treated: Flags
    save: Floats
    since: Floats  # weeks since the last purchase
    churned: Flags  # just before the offer
    alive_if_treated: Flags

    @property
    def alive(self) -> Flags:
        """Alive right after the campaign, as it was sent."""
        alive: Flags = np.where(self.treated, self.alive_if_treated, ~self.churned)
        return alive


def send(
    rng: Random, offer: SimulatedOffer, save: Floats, first: Floats, early: Purchases, day: float
) -> Sent:
    """Send the offer at week ``day`` to a random part of the active customers.

    ``early`` are the purchases from ``first`` (week of the first purchase) to ``day``.
    """
    since = day - np.floor(7 * (first + last_offset(early))) / 7  # as the log will show it
    eligible = (first < day) & (since <= offer.active)
    treated = eligible & (rng.random(len(first)) < offer.propensity)
    back, leave = offer.chances(save, since)
    luck = rng.random(len(first))
    alive_if_treated = np.where(early.churned, luck < back, luck >= leave)
    return Sent(eligible, treated, save, since, early.churned, alive_if_treated)


def campaign_tables(
    offer: SimulatedOffer,
    sent: Sent,
    latent: pd.DataFrame,
    late: pd.DataFrame,
    margin: float,
    weeks: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The campaign log and the truth about it, a row per customer of the campaign.

    ``latent`` has customer_id, rate, dropout and mean_spend of everybody; ``late`` the purchases
    (who, week, margin) after the offer of everybody who is alive then.
    """
    day, who = weeks - offer.weeks_before_end, np.flatnonzero(sent.eligible)
    if_alive = _margin_before(weeks, late, len(latent))[who]
    redeems = _margin_before(day + offer.redeem, late, len(latent))[who] > 0
    alive_1, alive_0, treated = sent.alive_if_treated[who], ~sent.churned[who], sent.treated[who]
    log = pd.DataFrame(
        {
            "customer_id": latent["customer_id"].to_numpy()[who],
            "treated": treated.astype(np.int64),
            "propensity": offer.propensity,
            "cost": np.where(treated, offer.cost(redeems & alive_1), 0.0),
            "outcome_margin": if_alive * np.where(treated, alive_1, alive_0),
        }
    )
    state = latent.iloc[who].assign(save=sent.save[who], since=sent.since[who], alive=alive_0)
    truth = lift_given_state(offer, state, margin, weeks - day).reset_index(drop=True)
    truth = truth.assign(margin_if_treated=if_alive * alive_1, margin_if_not=if_alive * alive_0)
    return log, truth[["customer_id", *TRUE_EFFECTS]]


def last_offset(purchases: Purchases) -> Floats:
    """Time of each customer's last purchase from the start of the span; 0 where there is none."""
    time = np.concatenate([[0.0], purchases.time])
    return np.where(purchases.count > 0, time[np.cumsum(purchases.count)], 0.0)


def lift_given_state(
    offer: SimulatedOffer, people: pd.DataFrame, margin: float, H: float, delta: float = 0.0
) -> pd.DataFrame:
    """What the offer is worth over H weeks to someone who sees each customer's latent state.

    ``people`` has save, since (weeks), alive, rate, dropout, mean_spend. Adds lift_alive,
    lift_margin and expected_cost.
    """
    back, leave = offer.chances(people["save"].to_numpy(), people["since"].to_numpy())
    alive = people["alive"].to_numpy()
    rate, lift = people["rate"].to_numpy(), np.where(alive, -leave, back)
    stays = purchases_while_alive(rate, people["dropout"].to_numpy(), H, delta)
    return people.assign(
        lift_alive=lift,
        lift_margin=margin * people["mean_spend"] * stays * lift,
        expected_cost=offer.cost((alive + lift) * -np.expm1(-rate * offer.redeem)),
    )


def lift_given_history(
    offer: SimulatedOffer, people: pd.DataFrame, margin: float, H: float, delta: float = 0.0
) -> pd.DataFrame:
    """The same to someone who knows all parameters, but of each customer only the history.

    This bounds what any targeting rule learned from the log can reach. ``people`` has save, since,
    frequency, recency, T, monetary_value (weeks) and the parameters of its channel. Given that a
    customer is gone, lambda ~ Gamma(r + x, alpha + t_x) and p ~ Beta(a + 1, b + x - 1); given
    alive, Gamma(r + x, alpha + T) and Beta(a, b + x). Adds probability_alive, expected_lift and
    expected_cost.
    """
    r, alpha, a, b, p, q, v = (people[name].to_numpy() for name in CDNOW)
    x, t_x, T, zbar = (
        people[name].to_numpy(dtype=float)
        for name in ("frequency", "recency", "T", "monetary_value")
    )
    back, leave = offer.chances(people["save"].to_numpy(), people["since"].to_numpy())
    b_gone = np.where(x > 0, b + x - 1, b)  # nobody with x = 0 is gone
    odds = a / b_gone * ((alpha + T) / (alpha + t_x)) ** (r + x)
    alive = np.where(x > 0, 1 / (1 + odds), 1.0)
    saved, lost = (1 - alive) * back, alive * leave
    gain = saved * discounted_purchases(r + x, alpha + t_x, a + 1, b_gone, H, delta)
    gain -= lost * discounted_purchases(r + x, alpha + T, a, b + x, H, delta)
    quiet = ((alpha + t_x) / (alpha + t_x + offer.redeem)) ** (r + x)
    quiet_alive = ((alpha + T) / (alpha + T + offer.redeem)) ** (r + x)
    spend = p * (v + x * zbar) / (p * x + q - 1)
    return people.assign(
        probability_alive=alive,
        expected_lift=margin * spend * gain,
        expected_cost=offer.cost(saved * (1 - quiet) + (alive - lost) * (1 - quiet_alive)),
    )


def _margin_before(week: float, purchases: pd.DataFrame, n: int) -> Floats:
    """Each customer's margin from the ``purchases`` before ``week``."""
    earlier = purchases[purchases["week"] < week]
    total: Floats = np.bincount(earlier["who"], weights=earlier["margin"], minlength=n).astype(
        float
    )
    return total
