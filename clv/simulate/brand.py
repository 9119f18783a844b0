"""A SIMULATED brand: channels, weeks of spend, an order log, a campaign, and the truth.

Inside, time runs in weeks and without steps; only the finished tables round it down to days. Two
orders of one customer on one day stay two rows, which ``clean()`` merges: a fit to the log sees 1
to 2% fewer repeat purchases than were drawn. The last day of the log is ``as_of``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from clv.errors import InputError
from clv.periods import DAYS, Duration, continuous_rate, periods_per_year
from clv.simulate.market import (
    CHANNELS,
    LogWeeks,
    People,
    SimulatedChannel,
    arrivals,
    channel_table,
    spend_table,
)
from clv.simulate.process import (
    Floats,
    Purchases,
    Random,
    discounted_purchases,
    draw_purchases,
    draw_spend,
)
from clv.simulate.simulated_offer import (
    NO_OFFER,
    OFFER,
    SimulatedOffer,
    campaign_tables,
    last_offset,
    lift_given_history,
    lift_given_state,
    send,
)


@dataclass(frozen=True)
class Truth:
    """What no analyst sees: parameters, latent states, effects, and what came after ``as_of``.

    ``channels``, indexed by channel: r, alpha, a, b (weeks), p, q, v, save, response_k and
    response_b (new customers a week = k spend^b), phi (NB2), weekly_spend (the usual one).
    ``customers``: customer_id, channel, rate (lambda a week), dropout (p), mean_spend, alive (at
    as_of), last_active (day of the purchase after which the customer left; missing if none).
    ``campaign``, by customer of the campaign: alive (just before), lift_alive (change in the chance
    of being alive), lift_margin (expected gain in margin up to as_of given the latent state),
    expected_cost (of treating), and both outcomes: margin_if_treated, margin_if_not.
    ``future``: orders of the same customers in the ``future_weeks`` after as_of.
    """

    channels: pd.DataFrame
    customers: pd.DataFrame
    campaign: pd.DataFrame
    future: pd.DataFrame
    future_weeks: float


@dataclass(frozen=True)
class Brand:
    """A SIMULATED order log, spend table and campaign log, with the truth beside them.

    ``orders``: order_id, customer_id, date, amount, margin (contribution), channel (the one that
    brought the customer).
    ``spend``: channel, period (first day of the week), spend, fixed_cost, new_customers.
    ``campaign``: customer_id, date, treated (0 or 1), propensity, cost, outcome_margin (of orders
    from the campaign's day to as_of, before the cost). ``as_of`` is the last day of the log,
    ``margin`` the contribution margin as a share of the amount.
    """

    orders: pd.DataFrame
    spend: pd.DataFrame
    campaign: pd.DataFrame
    truth: Truth
    as_of: pd.Timestamp
    margin: float
    offer: SimulatedOffer

    def new_customer_value(
        self, horizon: str | Duration = "3 years", annual_discount_rate: float = 0.10
    ) -> pd.Series[float]:
        """Expected discounted margin of a new customer by channel, first purchase included."""
        c = self.truth.channels
        det = discounted_purchases(
            c["r"], c["alpha"], c["a"], c["b"], *_terms(horizon, annual_discount_rate)
        )
        return self.margin * c["p"] * c["v"] / (c["q"] - 1) * (1 + det)

    def future_value(
        self, horizon: str | Duration = "3 years", annual_discount_rate: float = 0.10
    ) -> pd.Series[float]:
        """Realised discounted margin after ``as_of`` by customer_id, 0 where there is none.

        Raises ``InputError`` for a horizon beyond the simulated future.
        """
        H, delta = _terms(horizon, annual_discount_rate)
        if self.truth.future_weeks < H - 1e-9:
            raise InputError(
                f"the future was simulated for {self.truth.future_weeks:g} weeks, not {H:g}.",
                hint="call simulate_brand with a longer future.",
            )
        orders = self.truth.future
        weeks = (orders["date"] - self.as_of).dt.days / DAYS["week"]
        value = (orders["margin"] * np.exp(-delta * weeks))[weeks <= H]
        by_customer = value.groupby(orders["customer_id"]).sum()
        return by_customer.reindex(self.truth.customers["customer_id"], fill_value=0.0)

    def offer_lift(
        self, horizon: str | Duration = "26 weeks", annual_discount_rate: float = 0.0
    ) -> pd.DataFrame:
        """What the same offer would earn if it were sent at ``as_of``, by active customer.

        Columns: customer_id, channel, the history in weeks (``since`` the last purchase), alive
        and probability_alive, and what treating would add in discounted margin over ``horizon``
        and would cost: lift_margin and lift_cost given the latent state, expected_lift and
        expected_cost given the history and the true parameters, which is the most that targeting
        can know. (Exact for customers whom the campaign in the log did not treat.)
        """
        H, delta = _terms(horizon, annual_discount_rate)
        people = _history(self.orders, self.as_of).merge(self.truth.customers)
        people = people[people["since"] <= self.offer.active].reset_index(drop=True)
        public = people.drop(columns=["rate", "dropout", "mean_spend", "last_active"])
        people = people.join(self.truth.channels, on="channel")
        state = lift_given_state(self.offer, people, self.margin, H, delta)
        posterior = lift_given_history(self.offer, people, self.margin, H, delta)
        return public.assign(
            probability_alive=posterior["probability_alive"],
            lift_margin=state["lift_margin"],
            lift_cost=state["expected_cost"],
            expected_lift=posterior["expected_lift"],
            expected_cost=posterior["expected_cost"],
        )


def simulate_brand(
    seed: int = 0,
    *,
    customers: int = 20_000,
    weeks: int = 104,
    start: str = "2023-01-02",
    future: str | Duration = "3 years",
    channels: Sequence[SimulatedChannel] = CHANNELS,
    offer: SimulatedOffer | None = OFFER,
    margin: float = 0.35,
    spend_variation: float = 0.3,
    season: float = 0.0,
    phi: float = 40.0,
) -> Brand:
    """A SIMULATED brand; the same seed and settings give the same brand.

    Parameters
    ----------
    seed
        Of NumPy's default generator.
    customers
        Expected number acquired; spend grows with it, so that CAC stays what it is.
    weeks, start
        Length of the log and its first day.
    future
        How long the same customers are followed after the log.
    channels
        Where customers come from.
    offer
        The retention campaign; with None the orders are BG/NBD throughout and nobody is treated.
    margin
        Contribution margin as a share of the amount.
    spend_variation
        Coefficient of variation of the weekly spend.
    season
        Swing of acquisition over the year (0.2: a fifth more in mid-December, less in June).
    phi
        Dispersion of weekly new customers, NB2: variance mu + mu^2 / phi.

    Returns
    -------
    Brand
        ``orders``, ``spend`` and ``campaign`` as an analyst would have them (pandas), and
        ``truth``: the parameters, each customer's own rates, and what happened after the log.

    Raises
    ------
    InputError
        There are too few customers or weeks for the campaign.

    Examples
    --------
    >>> brand = simulate_brand(seed=1, customers=2000)
    >>> list(brand.orders.columns)
    ['order_id', 'customer_id', 'date', 'amount', 'margin', 'channel']
    >>> brand.new_customer_value("3 years").idxmax()
    'influencers'
    """
    offer = NO_OFFER if offer is None else offer
    _check(customers, weeks, offer)
    rng, calendar = np.random.default_rng(seed), LogWeeks(_first_day(start), weeks)
    table = channel_table(channels, customers / weeks, phi)
    spend = spend_table(rng, table, calendar, spend_variation, season)
    people = arrivals(rng, table, spend["new_customers"].to_numpy())
    day, end = weeks - offer.weeks_before_end, weeks + Duration.parse(future).to("week")
    begin = np.maximum(people.first, day)
    early = draw_purchases(rng, people.rate, people.dropout, begin - people.first)
    late = draw_purchases(rng, people.rate, people.dropout, end - begin)
    sent = send(rng, offer, table["save"].to_numpy()[people.code], people.first, early, day)
    rows = _rows(rng, people, begin, early, late, margin)
    names = table.index.to_series().iloc[people.code].reset_index(drop=True)
    log = _log(rows[~rows["late"] | sent.alive[rows["who"]]], names, calendar)
    observed = log.pop("week") < weeks
    left_at = np.where(late.churned, begin + last_offset(late), np.nan)
    left_at = np.where(sent.alive, left_at, people.first + last_offset(early))
    latent = _latent(people, names, left_at, calendar)
    campaign, effects = campaign_tables(offer, sent, latent, rows[rows["late"]], margin, weeks)
    campaign.insert(1, "date", calendar.day_one + pd.Timedelta(weeks=day))
    truth = Truth(table, latent, effects, log[~observed].reset_index(drop=True), end - weeks)
    return Brand(log[observed], spend, campaign, truth, calendar.as_of, margin, offer)


def _rows(
    rng: Random, people: People, begin: Floats, early: Purchases, late: Purchases, margin: float
) -> pd.DataFrame:
    """Every purchase drawn: the first ones, those before the offer, those after it if alive."""
    everybody = np.arange(len(begin))
    who = [everybody, np.repeat(everybody, early.count), np.repeat(everybody, late.count)]
    week = [people.first, people.first[who[1]] + early.time, begin[who[2]] + late.time]
    customer = np.concatenate(who)
    amount = draw_spend(rng, people.p[customer], people.nu[customer])
    return pd.DataFrame(
        {
            "who": customer,
            "week": np.concatenate(week),
            "amount": amount,
            "margin": np.round(margin * amount, 2),
            "late": np.arange(len(customer)) >= len(customer) - len(late.time),
        }
    )


def _log(rows: pd.DataFrame, names: pd.Series[str], calendar: LogWeeks) -> pd.DataFrame:
    """The order log in order of time, with the moment (``week``) still beside the date."""
    rows = rows.sort_values("week", ignore_index=True)
    return pd.DataFrame(
        {
            "order_id": np.arange(1, len(rows) + 1),
            "customer_id": rows["who"] + 1,
            "date": calendar.dates(rows["week"].to_numpy()),
            "amount": rows["amount"],
            "margin": rows["margin"],
            "channel": names.iloc[rows["who"]].reset_index(drop=True),
            "week": rows["week"],
        }
    )


def _latent(
    people: People, names: pd.Series[str], left_at: Floats, calendar: LogWeeks
) -> pd.DataFrame:
    """The latent state by customer; ``left_at`` is the week of leaving, NaN for who never left."""
    return pd.DataFrame(
        {
            "customer_id": np.arange(1, len(left_at) + 1),
            "channel": names,
            "rate": people.rate,
            "dropout": people.dropout,
            "mean_spend": people.p / people.nu,
            "alive": ~(left_at < calendar.weeks),
            "last_active": calendar.dates(left_at),
        }
    )


def _history(orders: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Each customer's purchase history in weeks, orders of one day counted apart as drawn."""
    by_customer = orders.groupby("customer_id")
    first, last = by_customer["date"].min(), by_customer["date"].max()
    x, amount = by_customer.size() - 1, by_customer["amount"]
    repeat_spend = amount.sum() - amount.first()
    return pd.DataFrame(
        {
            "frequency": x,
            "recency": (last - first).dt.days / DAYS["week"],
            "T": (as_of - first).dt.days / DAYS["week"],
            "monetary_value": repeat_spend / x.clip(lower=1),
            "since": (as_of - last).dt.days / DAYS["week"],
        }
    ).reset_index()


def _terms(horizon: str | Duration, annual: float) -> tuple[float, float]:
    """Horizon in weeks and continuous discount rate per week."""
    delta = continuous_rate(annual, periods_per_year("week"))
    return Duration.parse(horizon).to("week"), delta


def _first_day(start: str) -> pd.Timestamp:
    try:
        day = pd.Timestamp(start)
    except (ValueError, OverflowError) as error:
        raise InputError(f"start = {start!r} is no day.", hint="write 2023-01-02.") from error
    if pd.isna(day):
        raise InputError(f"start = {start!r} is no day.", hint="write 2023-01-02.")
    return day


def _check(customers: int, weeks: int, offer: SimulatedOffer) -> None:
    if customers < 1 or weeks < 1:
        raise InputError(f"{customers} customers in {weeks} weeks make no brand.")
    if not 0 <= offer.weeks_before_end <= weeks:
        raise InputError(
            f"the offer goes out {offer.weeks_before_end} weeks before the end of {weeks} weeks.",
            hint="SimulatedOffer(weeks_before_end=...) with a number between 0 and weeks.",
        )
