"""From two files to the figures of each channel: what a new customer costs, and is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clv.data.summary import summarize
from clv.data.transactions import clean
from clv.decide.channels import ChannelCosts, channel_costs
from clv.decide.ratios import channel_table
from clv.scorer import CustomerScorer
from clv.serve.files import read_log, read_table
from clv.value import ChannelModels, Terms, models_by_channel, new_customer_value

if TYPE_CHECKING:
    import pyarrow as pa

COSTS = ("channel", "loaded_spend", "new_customers", "cac", "incremental_cac")
VALUES = ("new_customer_value", "ltv_to_cac", "horizon", "payback", "payback_unit")
WORTH = (*COSTS, *VALUES, "value_basis")


@dataclass(frozen=True)
class ChannelFigures:
    """What is known of each channel over all periods; PyArrow tables, money in their currency.

    Parameters
    ----------
    table
        One row per channel, best LTV:CAC first: channel, loaded_spend, new_customers, cac,
        incremental_cac and, where orders were given, new_customer_value, ltv_to_cac, horizon,
        payback (empty if not within the horizon), payback_unit and value_basis (whose history the
        value rests on).
    paid_cac, blended_cac
        Over all channels and periods: spend over the customers of channels with spend, and over
        all new customers.
    terms
        What the values are stated under; None without orders.
    notes
        What the figures rest on.
    """

    table: pa.Table
    paid_cac: float | None
    blended_cac: float | None
    terms: str | None
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain values."""
        return {
            "channels": self.table.to_pylist(),
            "paid_cac": self.paid_cac,
            "blended_cac": self.blended_cac,
            "terms": self.terms,
            "notes": list(self.notes),
        }


def channel_figures(
    spend_path: str,
    log_path: str | None = None,
    scorer: CustomerScorer | None = None,
    *,
    columns: Mapping[str, str | None] | None = None,
    as_of: str | None = None,
) -> ChannelFigures:
    """CAC of each channel and, with an order log and a scorer, what a new customer is worth.

    New customers are counted in the log where the spend table does not give them.

    Raises
    ------
    InputError
        A file cannot be read or used; see :func:`clv.decide.channels.channel_costs`.
    """
    spend = read_table(spend_path)
    if log_path is None or scorer is None:
        costs = channel_costs(spend)
        # no value is known, so the horizon of the ratio is never shown
        table = channel_table(costs, {}, horizon="1 year").select(COSTS)
        return _figures(table, costs, None)
    summary = _summary(log_path, scorer, columns, as_of)
    counted = None if "new_customers" in spend.column_names else summary
    costs = channel_costs(spend, counted)
    models = models_by_channel(summary, scorer.purchases, scorer.spend)
    table = channel_table(
        costs,
        {name: _worth(model, scorer.terms) for name, model in models.items()},
        horizon=scorer.terms.horizon,
        earned={name: model.earned(scorer.terms) for name, model in models.items()},
        unit=scorer.unit,
    )
    basis = [
        models[name].basis if name in models else None for name in table["channel"].to_pylist()
    ]
    table = table.append_column("value_basis", [basis]).select(WORTH)
    return _figures(table, costs, str(scorer.terms))


def _summary(
    path: str, scorer: CustomerScorer, columns: Mapping[str, str | None] | None, as_of: str | None
) -> pa.Table:
    log, report = clean(read_log(path), columns=columns, as_of=as_of)
    return summarize(log, as_of or report.last_date, scorer.unit).to_arrow_table()


def _worth(model: ChannelModels, terms: Terms) -> float:
    value = new_customer_value(model.purchases, model.spend, terms, model.first_amount)
    return value.new_customer_clv


def _figures(table: pa.Table, costs: ChannelCosts, terms: str | None) -> ChannelFigures:
    periods = costs.by_period.to_pydict()
    loaded, paid, everybody = (
        sum(periods[name]) for name in ("loaded_spend", "paid_customers", "all_customers")
    )
    return ChannelFigures(
        table=table,
        paid_cac=loaded / paid if paid else None,
        blended_cac=loaded / everybody if everybody else None,
        terms=terms,
        notes=costs.notes,
    )
