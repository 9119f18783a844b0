"""What treating a customer costs and earns: q, the churn probability, meets the offer.

::

    lift            g q                 saved by the offer: save rate g among those who would leave
    expected gain   g q stake           in currency
    P(redeem)       1 - q + g q         would-be stayers take the incentive too
    cost            f + d P(redeem)     contact cost f, incentive d
    break-even g    (f + d (1 - q)) / (q (stake - d))

The save rate of a campaign that has not been run is an assumption: by default the prior of the EMPC
measure, see ``clv.defaults``.

So is whom it applies to. By default would-be leavers are all who would not buy within the churn
horizon, which treats everybody silent alike, the nearly dead with a large stake above all. With
``leavers="gone"`` they are those who have left for good by the purchase model, 1 - P(alive), and a
slow buyer needs no saving: g (1 - P(alive)) in the place of g q. On simulated brands whose offer
brings back who has left, 8 brands of 40,000, budgets of 5%, 10% and 30%, it reached .93, .92 and
.91 of the attainable profit, g q .87, .86 and .48. BG/NBD takes one-time buyers to be alive, so
there it saves none of them; other purchase models do not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

from clv.defaults import SAVE_RATE_A, SAVE_RATE_B
from clv.errors import InputError
from clv.schema import Floats
from clv.shares import check_share

RANGE = (0.05, 0.95)  # quantiles of the save rate between which results are shown

TOO_LITTLE = "the expected gain does not exceed the cost"
NEVER_PAYS = "would not pay even if every leaver were saved"
HOPELESS = "the stake does not exceed the incentive"
DOES_HARM = "every offer is expected to lose more than it keeps"
OBSTACLES = ("", TOO_LITTLE, NEVER_PAYS, HOPELESS, DOES_HARM)  # of several offers the least counts

ENDS: tuple[Literal[0], Literal[1]] = (0, 1)  # of a range: low, high

Index = NDArray[np.intp]
Levels = NDArray[np.int8]


@dataclass(frozen=True)
class BetaRate:
    """A save rate g ~ Beta(a, b).

    After an experiment in which ``saved`` of the leavers were saved and ``lost`` were not,
    ``BetaRate(6 + saved, 14 + lost)`` is the measured one.

    >>> BetaRate().mean
    0.3
    >>> [round(BetaRate().quantile(u), 3) for u in (0.05, 0.95)]
    [0.147, 0.476]
    """

    a: float = SAVE_RATE_A
    b: float = SAVE_RATE_B

    def __post_init__(self) -> None:
        if not (0 < self.a < np.inf and 0 < self.b < np.inf):
            raise InputError(f"Beta({self.a}, {self.b}) is no distribution; a and b exceed 0.")

    @property
    def mean(self) -> float:
        """E[g] = a / (a + b)."""
        return self.a / (self.a + self.b)

    def quantile(self, u: float) -> float:
        """The rate that g stays below with probability ``u``."""
        return float(betaincinv(self.a, self.b, u))


@dataclass(frozen=True)
class Offer:
    """A retention offer: what it costs, and how well it is thought to work.

    Parameters
    ----------
    contact_cost
        f, in currency, spent on everybody who is contacted.
    incentive
        d, in currency, spent on everybody who redeems.
    save_rate
        g, the share of would-be leavers that the offer saves: a ``BetaRate``, one number, or a
        range (low, high), whose middle is taken as its mean.
    save_rate_source
        "assumed", or "measured" when g comes from a randomised campaign.
    redemption
        P(redeem), the same for everybody. Default None: the stayers and the saved, 1 - q + g q.
    name
        What to call it, where there are several.
    capacity
        Most customers that can be contacted with it; None for no limit.
    leavers
        Whom the save rate is a share of: "silent", who would not buy within the churn horizon (q),
        or "gone", who have left by the purchase model (1 - P(alive)); see the top of this module.

    Examples
    --------
    >>> Offer(contact_cost=1, incentive=10).mean_save_rate
    0.3
    >>> Offer(contact_cost=1, save_rate=(0.1, 0.4), save_rate_source="measured").save_rate_range
    (0.1, 0.4)
    """

    contact_cost: float
    incentive: float = 0.0
    save_rate: BetaRate | float | tuple[float, float] = BetaRate()
    save_rate_source: Literal["assumed", "measured"] = "assumed"
    redemption: float | None = None
    name: str = "offer"
    capacity: int | None = None
    leavers: Literal["silent", "gone"] = "silent"

    def __post_init__(self) -> None:
        for name, amount in (("contact_cost", self.contact_cost), ("incentive", self.incentive)):
            if not 0 <= amount < np.inf:
                raise InputError(f"{name} is {amount}.", hint="give an amount of money, 0 or more.")
        low, high = self.save_rate_range
        hint = "it is a share of the leavers: one number in (0, 1], or (low, high)."
        for rate in (high, low):
            check_share("save_rate", rate, "(0, 1]", hint)
        if low > high:
            raise InputError(f"save_rate = {self.save_rate} falls from low to high.", hint=hint)
        if self.save_rate_source not in ("assumed", "measured"):
            raise InputError(
                f"save_rate_source is {self.save_rate_source!r}.",
                hint='say "assumed", or "measured" when a randomised campaign was run.',
            )
        if self.redemption is not None:
            check_share("redemption", self.redemption)
        if self.leavers not in ("silent", "gone"):
            raise InputError(f'leavers is {self.leavers!r}, neither "silent" nor "gone".')
        check_name(self.name, self.capacity)

    @property
    def mean_save_rate(self) -> float:
        """E[g]."""
        if isinstance(self.save_rate, BetaRate):
            return self.save_rate.mean
        return sum(self.save_rate_range) / 2

    @property
    def save_rate_range(self) -> tuple[float, float]:
        """The 5% and 95% quantiles of a Beta, the ends of a range, twice a single number."""
        if isinstance(self.save_rate, BetaRate):
            return self.save_rate.quantile(RANGE[0]), self.save_rate.quantile(RANGE[1])
        ends = self.save_rate if isinstance(self.save_rate, tuple | list) else [self.save_rate] * 2
        try:
            low, high = map(float, ends)
        except OverflowError:  # a whole number beyond any float
            low = high = np.inf
        return low, high

    def drawn_save_rates(self, count: int, seed: int = 0) -> Floats:
        """Draws of g, evenly over its distribution and in the order of chance, shape (count,).

        A range is taken to be equally likely from end to end.

        >>> rates = Offer(contact_cost=1).drawn_save_rates(1000)
        >>> round(float(rates.mean()), 3), round(float(np.quantile(rates, 0.05)), 2)
        (0.3, 0.15)
        """
        u = (np.random.default_rng(seed).permutation(count) + 0.5) / count
        if isinstance(self.save_rate, BetaRate):
            return np.asarray(betaincinv(self.save_rate.a, self.save_rate.b, u))
        low, high = self.save_rate_range
        return low + (high - low) * u

    def redeemers(self, q: Floats, dropout: Floats | None = None) -> tuple[Floats, Floats]:
        """P(redeem) = c0 + c1 g as the pair (c0, c1), arrays of shape (customers,).

        ``dropout`` is who can be saved, where that is not q.
        """
        if self.redemption is None:
            return 1 - q, q if dropout is None else dropout
        return np.full_like(q, self.redemption), np.zeros_like(q)


@dataclass(frozen=True)
class Action:
    """An offer to each of some customers; arrays of shape (customers,), money in currency.

    Parameters
    ----------
    offer
        What is offered.
    cost, gain
        Expected.
    basis
        What a measured gain is, as the effects say: see ``UpliftModel.value_source``.
    """

    offer: Any
    cost: Floats
    gain: Floats
    basis: str | None = field(default=None, kw_only=True)

    @property
    def name(self) -> str:
        """Of the offer."""
        return str(self.offer.name)

    @property
    def capacity(self) -> float:
        """Most customers; infinite for no limit."""
        return np.inf if self.offer.capacity is None else float(self.offer.capacity)

    @property
    def profit(self) -> Floats:
        """Gain minus cost."""
        return self.gain - self.cost

    @property
    def gain_per_cost(self) -> Floats:
        """What to rank by; infinite where treating is free, 0 where it gains nothing."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return np.where(self.gain > 0, self.gain / self.cost, 0.0)

    @property
    def obstacle(self) -> Levels:
        """Why a customer is not worth it, as a place in ``OBSTACLES``; the first is none."""
        return np.where(self.gain < 0, 4, self.gain <= self.cost).astype(np.int8)


@dataclass(frozen=True)
class Treatment(Action):
    """An offer whose effect rests on a save rate g: profit is the straight line per_rate g - fixed.

    ``cost`` and ``gain`` are at its mean.

    Parameters
    ----------
    fixed
        The cost at a save rate of 0.
    per_rate
        What profit rises by from a save rate of 0 to one of 1.
    hopeless
        Where each customer saved costs as much as is at stake, whatever the rate.
    """

    offer: Offer
    fixed: Floats
    per_rate: Floats
    hopeless: NDArray[np.bool_]

    @property
    def source(self) -> str:
        """Whether the save rate is assumed or measured."""
        return self.offer.save_rate_source

    @property
    def break_even(self) -> Floats:
        """The save rate at which gain = cost; NaN where no rate up to 1 suffices."""
        return self.break_even_of(slice(None))

    def break_even_of(self, rows: Index | slice) -> Floats:
        """``break_even`` of some customers."""
        fixed, per_rate = self.fixed[rows], self.per_rate[rows]
        pays = (per_rate >= fixed) & (per_rate > 0)
        return np.divide(fixed, per_rate, out=np.full_like(fixed, np.nan), where=pays)

    def at_end(self, end: Literal[0, 1], rows: Index) -> tuple[Floats, Floats]:
        """Cost and gain of some customers at the low (0) or high (1) end of the save rate."""
        times = self.offer.save_rate_range[end] / self.offer.mean_save_rate
        fixed = self.fixed[rows]
        return fixed + (self.cost[rows] - fixed) * times, self.gain[rows] * times

    @property
    def obstacle(self) -> Levels:
        """Why a customer is not worth it, as a place in ``OBSTACLES``; the first is none."""
        never = (self.per_rate < self.fixed) | (self.per_rate <= 0)
        level = np.where(never, np.int8(2), np.int8(1))  # a byte each: there may be millions
        level[self.hopeless] = 3
        level[self.gain > self.cost] = 0
        level[self.gain < 0] = 4
        return level


def check_name(name: str, capacity: int | None) -> None:
    """``InputError`` for an offer without a name or with a capacity that is no number of people."""
    if not (isinstance(name, str) and name.strip()):
        raise InputError(f"an offer is called {name!r}.", hint="give it a name.")
    if capacity is not None and not (capacity >= 0 and int(capacity) == capacity):
        raise InputError(f"the capacity of {name} is {capacity}, not a number of customers.")


def treat(
    churn_probability: ArrayLike,
    value_at_stake: ArrayLike,
    offer: Offer,
    dropout: ArrayLike | None = None,
) -> Treatment:
    """Expected cost and gain of making ``offer`` to each customer.

    Parameters
    ----------
    churn_probability
        q, shape (customers,), in [0, 1].
    value_at_stake
        Present value of a customer who stays minus that of one who leaves, in currency.
    offer
        Its costs and save rate.
    dropout
        1 - P(alive), shape (customers,); only where ``offer.leavers`` is "gone".

    Examples
    --------
    >>> t = treat([0.67653], [25.6357], Offer(contact_cost=1, incentive=5))
    >>> round(float(t.gain[0]), 4), round(float(t.cost[0]), 4), round(float(t.break_even[0]), 4)
    (5.203, 3.6321, 0.1875)
    """
    q = np.asarray(churn_probability, dtype=np.float64)
    stake = np.asarray(value_at_stake, dtype=np.float64)
    if (dropout is None) == (offer.leavers == "gone"):
        raise InputError(
            f'leavers = "{offer.leavers}" and the probability of having left do not go together.',
            hint='leavers = "gone" takes 1 - probability_alive, "silent" takes none.',
        )
    saveable = q if dropout is None else np.asarray(dropout, dtype=np.float64)
    f, d, g = offer.contact_cost, offer.incentive, offer.mean_save_rate
    fixed, per_rate = np.full_like(q, f), saveable * stake  # profit = per_rate * g - fixed
    cost = fixed
    if d:
        c0, c1 = offer.redeemers(q, saveable)
        fixed, per_rate = f + d * c0, per_rate - d * c1
        cost = fixed + g * d * c1
    hopeless = (per_rate <= 0) & (saveable > 0)
    return Treatment(offer, cost, g * saveable * stake, fixed, per_rate, hopeless)
