"""The offers of every customer: reminders, new items and upsell, ranked by what they bring."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clv.errors import InputError
from clv.findings import Finding, finding, saved
from clv.format import count as figure_count
from clv.format import counted, number
from clv.notebook import InNotebook
from clv.offers.because import contributions, words_for_new, words_for_repeat
from clv.offers.candidates import Pairs, blocks, places, reaches
from clv.offers.interactions import Interactions
from clv.offers.offer_backtest import OfferBacktest, offers_backtest
from clv.offers.offer_model import OfferModel, fit_offer_model
from clv.offers.order_lines import EPOCH, Codes, Flags, OrderLines
from clv.offers.price_levels import DEARER, PriceLevels
from clv.offers.terms_of_offers import KINDS, NextOfferTerms
from clv.schema import Floats
from clv.threads import side_by_side

CHUNK = 100_000  # offers that are put in words at a time
LOSES = "loses money"
OUT_OF_STOCK, EXCLUDED_ITEM = "not in stock", "on the list of exclusions"


@dataclass(frozen=True)
class NextOffers(InNotebook):
    """Offers, and what they rest on.

    Attributes
    ----------
    table
        A PyArrow table, a row per offer: customer_id, rank, item, kind, chance (of a purchase
        within the horizon, whether it is offered or not), spend (of such a purchase), margin
        (per unit of revenue), value (chance x margin x spend - cost), because; name, due (of
        reminders), increment (chance x the assumed share; null if none is), break_even (share of
        the purchases that must be due to the offer to pay for it), horizon, currency, as_of.
    items_out, customers_out
        Items that are not offered and customers who get no offer, by reason.
    backtest
        How good such offers were one horizon earlier.
    """

    table: pa.Table
    terms: NextOfferTerms
    items_out: Mapping[str, int]
    customers_out: Mapping[str, int]
    backtest: OfferBacktest
    order_lines: OrderLines = field(repr=False)
    model: OfferModel = field(repr=False)

    def __str__(self) -> str:
        kinds = pc.value_counts(self.table["kind"]).to_pylist()
        listed = ", ".join(f"{figure_count(kind['counts'])} {kind['values']}" for kind in kinds)
        customers = len(pc.unique(self.table["customer_id"]))
        out = [f"  {counted(n, 'item')}: {why}" for why, n in self.items_out.items()]
        out += [f"  {counted(n, 'customer')}: {why}" for why, n in self.customers_out.items()]
        heading = f"{counted(self.table.num_rows, 'offer')} to "
        heading += f"{counted(customers, 'customer')} ({listed})"
        return "\n".join([heading, *out, *map(str, self.notes)])

    @property
    def notes(self) -> tuple[Finding, ...]:
        """What must be known beside the figures, in sentences."""
        said = [self.backtest.verdict, self._catalogue]
        if (self.table["margin"].to_numpy() == 1).all():
            said.append(finding("next_offers.revenue"))
        shares = self.table["break_even"].to_numpy()
        if self.terms.contact_cost and len(shares):
            said.append(finding("next_offers.break_even", share=float(np.median(shares))))
        share = self.terms.incremental_share
        said.append(
            finding("next_offers.not_measured")
            if share is None
            else finding("next_offers.share_assumed", share=share)
        )
        return tuple(said)

    @property
    def _catalogue(self) -> Finding:
        """How many items new offers are drawn from."""
        bought, drawn = len(np.unique(self.model.history.orders.indices)), self.model.ease.items
        if drawn == bought:
            return finding("next_offers.catalogue", items=bought)
        return finding("next_offers.catalogue_part", drawn=drawn, items=bought)

    def contributions(self, customer_id: object, item: object) -> pd.DataFrame:
        """What each purchase of a customer says for a new item; the points sum to its score.

        Raises
        ------
        InputError
            There is no such customer or item.
        """
        codes = []
        for what, value, values in (
            ("customer", customer_id, self.order_lines.customers),
            ("item", item, self.order_lines.items["item"].to_numpy()),
        ):
            place = np.flatnonzero(values == value)
            if not len(place):
                raise InputError(f"there is no {what} {value!r} in the order lines.")
            codes.append(place[:1].astype(np.int32))
        points = contributions(self.model.history, self.model.ease, *codes)
        items = self.order_lines.items["item"].to_numpy()
        table = pd.DataFrame({"item": items[points.indices], "points": points.data})
        return table.sort_values("points", ascending=False, ignore_index=True)

    def to_dict(self) -> dict[str, Any]:
        """Terms, counts and backtest as JSON values; no customer is in it."""
        kinds = pc.value_counts(self.table["kind"]).to_pylist()
        terms = asdict(self.terms) | {"horizon": str(self.terms.horizon)}
        return {
            "as_of": str(self.order_lines.as_of),
            "currency": self.order_lines.currency or None,
            "terms": terms,
            "offers": {count["values"]: count["counts"] for count in kinds},
            "customers": len(pc.unique(self.table["customer_id"])),
            "value": float(pc.sum(self.table["value"]).as_py() or 0.0),
            "rows_out": {part.reason: part.rows for part in self.order_lines.left_out},
            "items_out": dict(self.items_out),
            "customers_out": dict(self.customers_out),
            "new_items_from": self.model.ease.items,
            "backtest": self.backtest.to_dict(),
            "notes": saved(self.notes),
        }


def next_best_offers(
    order_lines: OrderLines,
    terms: NextOfferTerms | None = None,
    *,
    exclude_items: Iterable[object] = (),
    in_stock: Iterable[object] | None = None,
    barred: Mapping[str, Flags] | None = None,
) -> NextOffers:
    """What to offer to each customer next.

    Parameters
    ----------
    order_lines
        From ``read_order_lines``.
    terms
        Horizon, margin, cost and what is assumed; those of ``NextOfferTerms()`` if not given.
    exclude_items, in_stock
        Items not to offer, and the only ones to offer.
    barred
        Whom not to contact, by reason: flags of shape (customers,).

    Returns
    -------
    NextOffers
        At most ``terms.top`` offers a customer, those worth more than their cost.

    Raises
    ------
    FitError
        Below 200 customers with two items or 50 items there is no more than chance.

    Examples
    --------
    >>> import clv
    >>> lines = clv.read_order_lines(clv.simulate_order_lines().lines)
    >>> offers = next_best_offers(lines, NextOfferTerms(horizon="8 weeks", top=1))
    >>> offers.table.column_names[:9]  # doctest: +NORMALIZE_WHITESPACE
    ['customer_id', 'rank', 'item', 'kind', 'chance', 'spend', 'margin', 'value', 'because']
    """
    terms = terms or NextOfferTerms()
    day, horizon = (order_lines.as_of - EPOCH).days + 1, terms.horizon_days
    rate, most = terms.margin_rate, terms.most_items
    fit = partial(fit_offer_model, order_lines, horizon=horizon, margin_rate=rate, most_items=most)
    earlier = fit(day - horizon)
    cutoff = EPOCH + dt.timedelta(days=day - horizon)
    backtest = offers_backtest(order_lines, cutoff, f"{horizon} days", model=earlier)
    model = fit(day, earlier=earlier)
    del earlier  # it is as large as the model
    allowed, items_out = _allowed(order_lines, model, exclude_items, in_stock)
    customers, customers_out = _addressed(model.history, barred or {})
    chosen = _chosen(order_lines, model, customers, allowed, terms)
    without = len(customers) - len(np.unique(chosen.customer))
    if without:
        customers_out["no offer is worth more than its cost"] = without
    parts = (chosen.where(slice(n, n + CHUNK)) for n in range(0, len(chosen.item) or 1, CHUNK))
    table = pa.concat_tables(_table(order_lines, model, part, terms) for part in parts)
    return NextOffers(table, terms, items_out, customers_out, backtest, order_lines, model)


class _Chosen(NamedTuple):
    """Offers as arrays of shape (offers,), ranked; ``kind`` is the place in ``KINDS``."""

    customer: NDArray[Any]
    rank: NDArray[Any]
    item: NDArray[Any]
    kind: NDArray[Any]
    chance: NDArray[Any]
    spend: NDArray[Any]
    value: NDArray[Any]
    dearer: NDArray[Any]

    def where(self, rows: Any) -> _Chosen:
        """The offers that are chosen."""
        return _Chosen(*(column[rows] for column in self))


def _allowed(
    order_lines: OrderLines,
    model: OfferModel,
    exclude: Iterable[object],
    in_stock: Iterable[object] | None,
) -> tuple[Flags, dict[str, int]]:
    """Which items may be offered, and how many may not, by reason; 7 and "7" are the same."""
    codes = order_lines.items["item"].astype(str)
    reasons = {EXCLUDED_ITEM: codes.isin({str(item) for item in exclude}).to_numpy()}
    if in_stock is not None:
        reasons[OUT_OF_STOCK] = ~codes.isin({str(item) for item in in_stock}).to_numpy()
    reasons[LOSES] = model.spending.losing
    allowed, out = np.ones(len(codes), dtype=bool), {}
    for reason, concerned in reasons.items():
        if count := int((allowed & concerned).sum()):
            out[reason] = count
        allowed &= ~concerned
    bought = len(np.unique(model.history.orders.indices))
    if bought > model.ease.items:
        out["too little revenue to be offered as new"] = bought - model.ease.items
    return allowed, out


def _addressed(history: Interactions, barred: Mapping[str, Flags]) -> tuple[Codes, dict[str, int]]:
    """Who gets offers, and how many do not, by reason."""
    lines = history.lines
    stated = np.isfinite(lines.margin)
    margin = np.bincount(
        lines.customer[stated], weights=lines.margin[stated], minlength=len(history.order_count)
    )
    reasons = {"returned all they bought": history.order_count == 0, **barred, LOSES: margin < 0}
    open_to, out = np.ones(len(history.order_count), dtype=bool), {}
    for reason, concerned in reasons.items():
        if count := int((open_to & concerned).sum()):
            out[reason] = count
        open_to &= ~concerned
    return np.flatnonzero(open_to).astype(np.int32), out


def _chosen(
    order_lines: OrderLines,
    model: OfferModel,
    customers: Codes,
    allowed: Flags,
    terms: NextOfferTerms,
) -> _Chosen:
    """The best offers of each customer."""
    prices = PriceLevels.of(order_lines, model.history)
    together = blocks(model.history, model.ease, customers)
    parts = side_by_side(
        together, lambda block: _best(model, prices, *model.pairs(block, allowed), terms)
    )
    columns: Any = zip(*parts, strict=True)
    best = _Chosen(*map(np.concatenate, columns))
    del parts, columns
    return best.where(np.lexsort((best.rank, best.customer)))


def _best(
    model: OfferModel,
    prices: PriceLevels | None,
    pairs: Pairs,
    chance: Floats,
    new: Flags,
    terms: NextOfferTerms,
) -> _Chosen:
    """The best of all that may be offered to some customers."""
    spend = model.spending.expected(pairs.customer, pairs.item)
    value = chance * model.spending.margin[pairs.item] * spend - terms.contact_cost
    good = value > 0
    if len({"new", "upsell"} & set(terms.kinds)) != 1:  # else all must be told apart first
        good[new] &= reaches(pairs.customer[new], value[new], terms.top)
    rows = np.flatnonzero(good)
    customer, item, new = pairs.customer[rows], pairs.item[rows], new[rows]
    dearer = np.zeros(len(rows)) if prices is None else prices.dearer(customer, item)
    up = new & (dearer >= DEARER[0]) & (dearer <= DEARER[1])
    kind = np.where(up, 2, np.where(new, 1, 0)).astype(np.int8)
    asked = np.flatnonzero(np.isin(kind, [KINDS.index(k) for k in terms.kinds]))
    order = asked[np.lexsort((item[asked], -value[rows[asked]], customer[asked]))]
    rank = np.arange(len(order)) - np.searchsorted(customer[order], customer[order]) + 1
    order, rank = order[rank <= terms.top], rank[rank <= terms.top]
    best = rows[order]
    figures = chance[best], spend[best], value[best], dearer[order]
    return _Chosen(customer[order], rank, item[order], kind[order], *figures)


def _table(
    order_lines: OrderLines, model: OfferModel, chosen: _Chosen, terms: NextOfferTerms
) -> pa.Table:
    """The offers as a table."""
    size, names = len(chosen.item), pa.array(order_lines.names).cast(pa.string())
    because, due = _reasons(model, chosen, names)
    if (dear := chosen.kind == 2).any():
        times, which = np.unique(chosen.dearer.clip(*DEARER).round(1), return_inverse=True)
        words = [f"; {number(x, 1)} times what the customer usually pays" for x in times]
        said = pc.if_else(pa.array(dear), pa.array(words).take(pa.array(which)), "")
        because = pc.binary_join_element_wise(because, said, "")
    margin = model.spending.margin[chosen.item]
    worth = chosen.chance * margin * chosen.spend
    share = terms.incremental_share
    increment = None if share is None else chosen.chance * share
    return pa.table(
        {
            "customer_id": order_lines.customer_ids.take(pa.array(chosen.customer)),
            "rank": pa.array(chosen.rank, pa.int32()),
            "item": pa.array(order_lines.items["item"].to_numpy()).take(pa.array(chosen.item)),
            "kind": pa.array(KINDS).take(pa.array(chosen.kind)),
            "chance": chosen.chance,
            "spend": chosen.spend,
            "margin": margin,
            "value": chosen.value,
            "because": because,
            "name": names.take(pa.array(chosen.item)),
            "due": due,
            "increment": pa.nulls(size, pa.float64()) if increment is None else increment,
            "break_even": terms.contact_cost / worth,
            "horizon": pa.repeat(str(terms.horizon), size),
            "currency": pa.repeat(pa.scalar(order_lines.currency or None, pa.string()), size),
            "as_of": pa.repeat(pa.scalar(order_lines.as_of, pa.date32()), size),
        }
    )


def _reasons(model: OfferModel, chosen: _Chosen, names: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Why each item is offered, and when reminders are due."""
    history, old = model.history, chosen.kind == 0
    pair = places(history.orders, chosen.customer[old], chosen.item[old])
    reminder, due = words_for_repeat(history, pair)
    new = words_for_new(history, model.ease, chosen.customer[~old], chosen.item[~old], names)
    place = np.empty(len(old), dtype=np.int64)
    place[old] = np.arange(int(old.sum()))
    place[~old] = int(old.sum()) + np.arange(int((~old).sum()))
    words = pa.concat_arrays([reminder, new]).take(pa.array(place))
    days = pa.concat_arrays([due, pa.nulls(int((~old).sum()), due.type)]).take(pa.array(place))
    return words, days
