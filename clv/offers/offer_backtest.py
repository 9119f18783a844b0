"""Offers of an earlier day held against what was bought after it, beside popularity and habit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from clv.data.days import Day, as_day
from clv.findings import Finding, finding, saved
from clv.format import money, number, percent
from clv.notebook import InNotebook
from clv.offers.interactions import bought_after
from clv.offers.largest import largest_of_rows
from clv.offers.offer_model import OfferModel, fit_offer_model
from clv.offers.order_lines import EPOCH, Codes, OrderLines
from clv.periods import Duration
from clv.schema import Floats

TOP = 10
JUDGED, CELLS = 5_000, 20_000_000  # customers, and customers x items, at most
SURE = 1.645  # standard errors: 95% one-sided
Over = Literal["all", "new"]
POPULAR, HABIT, EASE = "popularity", "personal frequency", "EASE"
CHANCE, VALUE = "by chance", "by value"


@dataclass(frozen=True)
class Hits:
    """How good the first ten of a ranking were.

    Attributes
    ----------
    method, over
        The ranking, and whether it was of all items or of those new to the customer.
    recall, recall_se
        Mean over customers of hits over the most that ten could hit, with its standard error.
    money, money_se
        Mean over customers of what they spent on the ten.
    coverage
        Share of the items that stood in anybody's ten.
    customers
        How many bought something within the horizon.
    """

    method: str
    over: Over
    recall: float
    recall_se: float
    money: float
    money_se: float
    coverage: float
    customers: int


@dataclass(frozen=True)
class RankingGain:
    """One ranking less another, customer by customer: the mean and its standard error."""

    better: str
    than: str
    over: Over
    measure: Literal["recall", "money"]
    mean: float
    se: float

    @property
    def sure(self) -> bool:
        """Whether it is better beyond chance (95%, one-sided)."""
        return self.mean > SURE * self.se


@dataclass(frozen=True)
class OfferBacktest(InNotebook):
    """What offers of an earlier day would have hit.

    Attributes
    ----------
    cutoff, horizon
        The day of the offers, and the days after it.
    hits, differences
        By method, and between methods.
    promised, happened
        Purchases of the ten best by value: sum of chances, and how many were made.
    """

    cutoff: dt.date
    horizon: int
    hits: tuple[Hits, ...]
    differences: tuple[RankingGain, ...]
    promised: float
    happened: int
    currency: str

    def of(self, method: str, over: Over) -> Hits:
        """The figures of a method."""
        return next(hit for hit in self.hits if (hit.method, hit.over) == (method, over))

    @property
    def verdict(self) -> Finding:
        """In a sentence, whether ranking new items is worth it."""
        gain = next(d for d in self.differences if d.than == POPULAR)
        if not gain.sure:
            return finding("next_offers.not_better")
        ours, theirs = (self.of(method, gain.over).recall for method in (gain.better, POPULAR))
        return finding("next_offers.better", ours=ours, theirs=theirs)

    def __str__(self) -> str:
        lines = [f"offers of {self.cutoff} against the {self.horizon} days after it"]
        for hit in self.hits:
            spent = money(hit.money, self.currency)
            lines.append(
                f"  {hit.method}, {hit.over} items: recall@10 {number(hit.recall, 3)} "
                f"({number(hit.recall_se, 3)}), money@10 {spent}, "
                f"{percent(hit.coverage)} of the items"
            )
        return "\n".join([*lines, f"  {self.verdict}"])

    def to_dict(self) -> Mapping[str, Any]:
        """As JSON values."""
        stated = {"cutoff": str(self.cutoff), "currency": self.currency or None}
        plain = asdict(self) | stated | {"verdict": saved([self.verdict])[0]}
        plain["differences"] = [asdict(d) | {"sure": d.sure} for d in self.differences]
        return plain


def offers_backtest(
    order_lines: OrderLines,
    cutoff: Day,
    horizon: str | Duration = "13 weeks",
    *,
    model: OfferModel | None = None,
) -> OfferBacktest:
    """Hold offers as of a day against what was bought after it.

    Everything is learned from before the day; chances one horizon earlier still.

    Parameters
    ----------
    order_lines
        From ``read_order_lines``, at least a horizon beyond the day.
    cutoff
        The day.
    horizon
        How far ahead.
    model
        Fitted on that day, if it was.

    Returns
    -------
    OfferBacktest
        By ranking, what its first ten hit, over all items and over those new to the customer.

    Raises
    ------
    FitError
        Too few customers or items.

    Examples
    --------
    >>> import clv
    >>> lines = clv.read_order_lines(clv.simulate_order_lines().lines)
    >>> print(clv.offers_backtest(lines, "2023-12-01", "8 weeks").verdict)
    New items: of what customers bought next, ten offers named 62%, the ten best sellers 16%.
    """
    day = (as_day(cutoff, "cutoff") - EPOCH).days
    days = round(Duration.parse(horizon).to("day"))
    model = model or fit_offer_model(order_lines, day, days)
    history = model.history
    after = bought_after(order_lines, day, days)
    sold = np.bincount(history.orders.indices, minlength=after.shape[1]) > 0
    after.data[~sold[after.indices]] = 0.0
    after.eliminate_zeros()
    customers = np.flatnonzero((np.diff(after.indptr) > 0) & (history.order_count > 0))
    most = max(min(JUDGED, CELLS // after.shape[1]), 1)
    if len(customers) > most:
        customers = np.sort(np.random.default_rng(0).choice(customers, most, replace=False))
    judged = _Judged(model, customers.astype(np.int32), after[customers].toarray())
    return judged.backtest(as_day(cutoff, "cutoff"), days, order_lines.currency)


class _Judged:
    """The customers whom offers are judged by, with what they bought."""

    def __init__(self, model: OfferModel, customers: Codes, spent: Floats) -> None:
        self.model, self.customers, self.spent = model, customers, spent
        self.before = model.history.orders[customers].toarray()
        self.by_method: dict[tuple[str, Over], tuple[Floats, Floats, NDArray[np.int64]]] = {}

    def backtest(self, cutoff: dt.date, days: int, currency: str) -> OfferBacktest:
        popularity = self.model.history.popularity
        tie = popularity / (1.0 + popularity.max(initial=0))
        plain = np.broadcast_to(popularity.astype(np.float32), self.before.shape)
        ease = (self.model.history.bought()[self.customers] @ self.model.ease.weights).toarray()
        chance, value = self._ranks()
        ranks = {POPULAR: plain, HABIT: self.before + tie, EASE: ease}
        ranks |= {CHANCE: chance, VALUE: value}
        for method, scores in ranks.items():
            for over in ("all", "new"):
                self._judge(method, scores, over)
        ten = self.by_method[VALUE, "all"][2]
        differences = (
            self._difference(EASE, POPULAR, "new", "recall"),
            self._difference(VALUE, EASE, "new", "money"),
            self._difference(CHANCE, HABIT, "all", "recall"),
            self._difference(VALUE, HABIT, "all", "money"),
        )
        rows = np.arange(len(ten))[:, None]
        hits = tuple(self._hits(method, over) for method, over in self.by_method)
        return OfferBacktest(
            cutoff,
            days,
            hits,
            differences,
            float(np.maximum(chance[rows, ten], 0).sum()),
            int((self.spent[rows, ten] > 0).sum()),
            currency,
        )

    def _ranks(self) -> tuple[Floats, Floats]:
        """Chance, and chance times money, of every pair that may be offered; -1 for the others."""
        model, everything = self.model, np.ones(self.before.shape[1], dtype=bool)
        pairs, chances, _ = model.pairs(self.customers, everything)
        row = np.searchsorted(self.customers, pairs.customer)
        chance, value = (np.full(self.before.shape, -1.0) for _ in range(2))
        chance[row, pairs.item] = chances
        value[row, pairs.item] = chances * model.spending.expected(pairs.customer, pairs.item)
        return chance, value

    def _judge(self, method: str, scores: Floats, over: Over) -> None:
        old = self.before > 0 if over == "new" else np.zeros(self.before.shape, dtype=bool)
        truth = (self.spent > 0) & ~old
        best = largest_of_rows(np.where(old, -np.inf, scores), TOP)
        ten = np.nonzero(best)[1].reshape(len(best), -1)
        hits = np.take_along_axis(truth, ten, axis=1).sum(axis=1)
        possible = np.minimum(truth.sum(axis=1), TOP)
        recall = np.where(possible > 0, hits / np.maximum(possible, 1), np.nan)
        spent = np.take_along_axis(np.where(truth, self.spent, 0.0), ten, axis=1).sum(axis=1)
        self.by_method[method, over] = recall, np.where(possible > 0, spent, np.nan), ten

    def _hits(self, method: str, over: Over) -> Hits:
        recall, spent, ten = self.by_method[method, over]
        coverage = len(np.unique(ten)) / self.before.shape[1]
        figures = (*_mean(recall), *_mean(spent))
        return Hits(method, over, *figures, coverage, int(np.isfinite(recall).sum()))

    def _difference(
        self, better: str, than: str, over: Over, measure: Literal["recall", "money"]
    ) -> RankingGain:
        (recall, spent, _), (other_recall, other_spent, _) = (
            self.by_method[method, over] for method in (better, than)
        )
        gain = recall - other_recall if measure == "recall" else spent - other_spent
        return RankingGain(better, than, over, measure, *_mean(gain))


def _mean(values: Floats) -> tuple[float, float]:
    """Mean and its standard error, of those that count."""
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 0.0
    return float(values.mean()), float(values.std() / np.sqrt(len(values)))
