"""From two files to the figures of each channel: what a new customer costs, and is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clv.app.outlook import has_draws
from clv.app.spend_file import read_spend_file
from clv.data.summary import summarize
from clv.decide.acquisition.channels import ChannelCosts, channel_costs
from clv.decide.acquisition.concentration import concentration, repeat_revenue
from clv.decide.acquisition.payback import cac_draws, payback_interval
from clv.decide.acquisition.ratios import channel_table
from clv.decide.acquisition.segments import segment_costs
from clv.decide.response.curves import ResponseCurves, response_curves
from clv.errors import ClvError, InputError
from clv.findings import Finding, finding, within
from clv.intake.fingerprint import read_as_trained
from clv.scorer import CustomerScorer
from clv.value.by_channel import ChannelModels, models_by_channel, value_by_channel
from clv.value.value import Terms, known_unit

if TYPE_CHECKING:
    import pyarrow as pa

COSTS = ("channel", "loaded_spend", "new_customers", "cac", "cac_low", "cac_high")
COSTS_MORE = ("incremental_cac", "new_customers_are")
NEXT = ("marginal_cac", "marginal_cac_low", "marginal_cac_high")
VALUES = ("new_customer_value", "new_customer_value_low", "new_customer_value_high")
RATIOS = ("ltv_to_cac", "horizon", "payback", "payback_low", "payback_high", "payback_unit")
NOT_SEGMENTS = ("customer_id", "date", "amount", "orders", "margin", "channel")
ENOUGH = 8  # periods with spend from which on a marginal CAC is estimated
AGES = 60  # at which what a customer has earned is worked out; straight lines join them


@dataclass(frozen=True)
class ChannelFigures:
    """What is known of each channel over all periods; PyArrow tables, money in their currency.

    Parameters
    ----------
    table
        One row per channel, best LTV:CAC first: channel, loaded_spend, new_customers, cac with
        cac_low and cac_high (90%), incremental_cac, new_customers_are ("attributed, not
        incremental" or "incremental"). With enough periods marginal_cac with _low and _high, from
        response curves. Where orders were given new_customer_value with _low and _high (90%),
        ltv_to_cac, horizon, payback (empty if not within the horizon) with _low and _high,
        payback_unit, own_share and value_basis (whose history the value rests on).
    paid_cac, blended_cac
        Over all channels and periods: spend over the customers of channels with spend, and over
        all new customers.
    terms
        What the values are stated under; None without orders.
    segments
        CAC by customer segment, where one was asked for; see ``segment_costs``.
    base
        How concentrated revenue is and how much of it is repeat business, in sentences.
    notes
        What the figures rest on.
    currency
        Of all money; empty if it is not known.
    """

    table: pa.Table
    paid_cac: float | None
    blended_cac: float | None
    terms: str | None
    segments: pa.Table | None
    base: tuple[Finding, ...]
    notes: tuple[Finding, ...]
    currency: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain values."""
        return {
            "channels": self.table.to_pylist(),
            "paid_cac": self.paid_cac,
            "blended_cac": self.blended_cac,
            "terms": self.terms,
            "segments": None if self.segments is None else self.segments.to_pylist(),
            "base": [each.to_dict() for each in self.base],
            "notes": [each.to_dict() for each in self.notes],
        }


def channel_figures(
    spend_path: str,
    log_path: str | None = None,
    scorer: CustomerScorer | None = None,
    *,
    columns: Mapping[str, str | None] | None = None,
    as_of: str | None = None,
    segment: str | None = None,
    config: Path | None = None,
    anyway: bool = False,
) -> ChannelFigures:
    """CAC of each channel and, with an order log and a scorer, what a new customer is worth.

    New customers are counted in the log where the spend table does not give them.

    Parameters
    ----------
    segment
        A column of the log, such as country: adds CAC by customer segment.
    config
        The TOML whose ``[spend]`` says how the spend table is read.
    anyway
        Read a log that does not look like the scorer's own.

    Raises
    ------
    InputError
        A file cannot be read or used; see :func:`clv.decide.acquisition.channels.channel_costs`.
    """
    if segment in NOT_SEGMENTS:
        raise InputError(f"{segment} is no segment.", hint="name a column such as country.")
    currency = scorer.terms.currency if scorer else None
    file = read_spend_file(spend_path, currency, config=config, what="the model is")
    if log_path is None or scorer is None:
        if segment is not None:
            raise InputError("a segment needs an order log.", hint="give one with --log.")
        figures = figures_of(file.rows)
        return replace(figures, notes=(*file.notes, *figures.notes), currency=file.table.currency)
    log, last = _read_log(log_path, columns, as_of, scorer.training, anyway=anyway)
    summary = summarize(log, last, scorer.unit).to_arrow_table()
    file = file.beside(summary["channel"].unique().to_pylist())
    spend, figures = file.rows, figures_of(file.rows, log, summary, scorer)
    figures = replace(figures, notes=(*file.notes, *figures.notes))
    if segment is None:
        return figures
    uncounted = spend
    if "new_customers" in spend.column_names:
        uncounted = spend.drop_columns(["new_customers"])
    by_segment = segment_costs(
        uncounted, _with(log, segment, log_path, columns, as_of, scorer.training), segment
    )
    return replace(figures, segments=by_segment.table)


def figures_of(
    spend: pa.Table,
    log: Any = None,
    summary: pa.Table | None = None,
    scorer: CustomerScorer | None = None,
) -> ChannelFigures:
    """The figures of tables that were read already.

    Parameters
    ----------
    spend
        As :func:`clv.decide.acquisition.channels.channel_costs` takes it.
    log, summary, scorer
        A clean log with a channel, its summary in the scorer's unit, and the scorer: all of them
        to know what a new customer is worth, none to know costs alone.

    Raises
    ------
    ClvError
        As :func:`channel_figures`.
    """
    if summary is None or scorer is None:
        return _figures(spend, channel_costs(spend), None)
    counted = None if "new_customers" in spend.column_names else summary
    costs = channel_costs(spend, counted)
    models = models_by_channel(summary, scorer.purchases, scorer.spend, channels=_paid(costs))
    return _figures(spend, costs, counted, _ChannelValues(models, scorer.terms), base=_base(log))


def read_summary(
    path: str, scorer: CustomerScorer, columns: Mapping[str, str | None] | None, as_of: str | None
) -> pa.Table:
    """The summary of an order log in the scorer's unit, with the channel of each customer."""
    log, last = _read_log(path, columns, as_of, scorer.training)
    return summarize(log, last, scorer.unit).to_arrow_table()


def _read_log(
    path: str,
    columns: Mapping[str, str | None] | None,
    as_of: str | None,
    training: Mapping[str, Any] | None,
    *,
    anyway: bool = False,
) -> tuple[Any, Any]:
    """The clean log and its last day."""
    orders = read_as_trained(path, training, columns=columns, as_of=as_of, anyway=anyway)
    return orders.purchases, as_of or orders.report.last_date


def _with(
    log: Any,
    segment: str,
    path: str,
    columns: Mapping[str, str | None] | None,
    as_of: str | None,
    training: Mapping[str, Any] | None,
) -> pa.Table:
    """The log with a further column, which cleaning carries in the place of the channel."""
    by_segment = {**(columns or {}), "channel": segment}
    carried, _ = _read_log(path, by_segment, as_of, training, anyway=True)  # asked before
    table = carried.to_arrow_table().select(["customer_id", "date", "channel"])
    rows = log.to_arrow_table().select(["customer_id", "date", "channel"])
    named = table.rename_columns(["customer_id", "date", segment])
    return rows.join(named, ["customer_id", "date"], join_type="left outer")


@dataclass(frozen=True)
class _ChannelValues:
    """What customers are worth by channel, and the terms of that."""

    models: Mapping[str, ChannelModels]
    terms: Terms


def _figures(
    spend: pa.Table,
    costs: ChannelCosts,
    counted: pa.Table | None,
    values: _ChannelValues | None = None,
    *,
    base: Sequence[Finding] = (),
) -> ChannelFigures:
    """All figures, from the tables that they rest on."""
    curves, why = _curves(spend, counted)
    table = _with_values(costs, values) if values else _costs_alone(costs)
    if curves is not None:
        table = _joined(table, _next_customers(curves))
    currency = (values.terms.currency or "") if values else ""
    periods = costs.by_period.to_pydict()
    loaded, paid, everybody = (
        sum(periods[name]) for name in ("loaded_spend", "paid_customers", "all_customers")
    )
    return ChannelFigures(
        table=_ordered(table),
        paid_cac=loaded / paid if paid else None,
        blended_cac=loaded / everybody if everybody else None,
        terms=None if values is None else str(values.terms),
        segments=None,
        base=within(base, currency),
        notes=(*costs.notes, why),
        currency=currency,
    )


def _costs_alone(costs: ChannelCosts) -> pa.Table:
    # no value is known, so the horizon of the ratio is never shown
    return channel_table(costs, {}, horizon="1 year").select((*COSTS, *COSTS_MORE))


def _with_values(costs: ChannelCosts, channel_values: _ChannelValues) -> pa.Table:
    """Costs beside values, best LTV:CAC first."""
    import pyarrow as pa

    terms = channel_values.terms
    values = value_by_channel(channel_values.models, terms).set_index("channel")
    earned = {name: model.earned(terms) for name, model in channel_values.models.items()}
    unit = next(known_unit(model.purchases) for model in channel_values.models.values())
    value = {
        str(name): float(channel_values)
        for name, channel_values in values["new_customer_clv"].items()
    }
    table = channel_table(costs, value, horizon=terms.horizon, earned=earned, unit=unit)
    rows = {
        "channel": list(values.index),
        "new_customer_value_low": values["new_customer_clv_low"].tolist(),
        "new_customer_value_high": values["new_customer_clv_high"].tolist(),
        "own_share": values["own_share"].tolist(),
        "value_basis": values["basis"].tolist(),
    }
    return _joined(_joined(table, pa.table(rows)), _paybacks(table, costs, channel_values))


def _paybacks(table: pa.Table, costs: ChannelCosts, values: _ChannelValues) -> pa.Table:
    """The 5 and 95% points of payback, by channel, over draws of the CAC and of the curve."""
    import pyarrow as pa

    rows = []
    for row in table.to_pylist():
        model = values.models.get(row["channel"])
        if row["cac"] and model and has_draws(model):
            low, high = _payback(row, model, values.terms, costs.dispersion)
            rows.append({"channel": row["channel"], "payback_low": low, "payback_high": high})
    names = ("channel", "payback_low", "payback_high")
    kinds = (pa.string(), pa.float64(), pa.float64())
    return pa.Table.from_pylist(rows, pa.schema(list(zip(names, kinds, strict=True))))


def _payback(
    row: Mapping[str, Any], model: ChannelModels, terms: Terms, phi: float | None
) -> tuple[float | None, float | None]:
    share = row["cac"] / row["incremental_cac"]
    cac = cac_draws(row["loaded_spend"], row["new_customers"], phi) / share
    unit = known_unit(model.purchases)
    age = terms.horizon.to(unit) * np.linspace(0.0, 1.0, AGES) ** 2
    earned = model.earned_draws(terms, age, len(cac))
    interval = payback_interval(cac, age, earned, within=terms.horizon, unit=unit)
    return interval.low, interval.high


def _curves(spend: pa.Table, counted: pa.Table | None) -> tuple[ResponseCurves | None, Finding]:
    """Response curves where there are periods enough, and what a marginal CAC rests on."""
    try:
        curves = response_curves(spend, counted)
    except ClvError as error:
        return None, finding("acquisition.no_next_cac", why=error.message.splitlines()[0])
    except np.linalg.LinAlgError:  # hundreds of channels with next to no customers
        return None, finding("acquisition.curves_failed")
    most = max(curve.periods for curve in curves.channels)
    if most < ENOUGH:
        return None, finding("acquisition.too_few_periods", enough=ENOUGH, periods=most)
    return curves, finding("acquisition.next_cac", shape=curves.shape.lower(), periods=most)


def _next_customers(curves: ResponseCurves) -> pa.Table:
    return curves.to_frame("pyarrow").select(["channel", *NEXT])


def _base(log: Any) -> tuple[Finding, ...]:
    """How few customers carry the revenue of a log, and how much of it is repeat business."""
    try:
        spread = replace(concentration(log, "amount"), measure="revenue so far")
        return spread.finding, repeat_revenue(log).finding
    except ClvError as error:  # a log whose refunds outweigh its sales
        why = error.message.splitlines()[0]
        return (finding("acquisition.concentration_unknown", why=why),)


def _paid(costs: ChannelCosts) -> list[str]:
    rows = costs.by_channel.select(["channel", "loaded_spend"]).to_pylist()
    return sorted({row["channel"] for row in rows if row["loaded_spend"] > 0})


def _joined(table: pa.Table, more: pa.Table) -> pa.Table:
    """``table``, in its own order, with the columns of ``more`` in the place of any such."""
    import pyarrow as pa

    rows = {row["channel"]: row for row in more.to_pylist()}
    unchanged = [n for n in table.column_names if n == "channel" or n not in more.column_names]
    table = table.select(unchanged)
    for name, kind in zip(more.schema.names, more.schema.types, strict=True):
        if name != "channel":
            values = [rows.get(c, {}).get(name) for c in table["channel"].to_pylist()]
            table = table.append_column(name, pa.array(values, kind))
    return table


def _ordered(table: pa.Table) -> pa.Table:
    """Its columns in reading order."""
    order = (*COSTS, *COSTS_MORE, *NEXT, *VALUES, *RATIOS, "own_share", "value_basis")
    return table.select([name for name in order if name in table.column_names])
