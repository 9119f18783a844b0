"""Charts of referrals: what the channel earns by who would not have come otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clv.format import NONE, count, money, percent
from clv.report.charts import (
    Chart,
    Column,
    Series,
    Table,
    line_chart,
    money_axis,
    share_axis,
)

POINTS = (0.0, 0.25, 0.5, 0.75, 1.0)


def plot_referrals(referrals: Mapping[str, Any], currency: str = "") -> Chart | None:
    """Credit less rewards by the share who would not have come otherwise; None without values.

    Parameters
    ----------
    referrals
        ``to_dict()`` of what ``clv.value_referrals`` gives, or what ``clv referrals --json`` says.
    currency
        Of its money.
    """
    if referrals["value"] is None:
        return None
    saved, worth, rewards = (referrals[name] for name in ("saved", "worth", "rewards"))
    nets = [share * worth + (1 - share) * saved - rewards for share in POINTS]
    shares, even = list(POINTS), referrals["break_even"]
    series = [Series("credit less rewards", shares, nets)]
    if even is not None:
        series.append(Series("break-even", [even], [max(saved - rewards, 0.0)], "dots", "2"))
    said = (
        "No share of them makes the rewards pay."
        if even is None
        else f"The rewards pay if {percent(even)} of those referred would not have come otherwise."
    )
    rows = [(percent(share), money(net, currency)) for share, net in zip(shares, nets, strict=True)]
    columns = (Column("Would not have come otherwise", "number"), Column("Earned", "number"))
    return line_chart(
        "What referrals earn",
        said,
        series,
        share_axis("Of those referred, who would not have come otherwise"),
        money_axis(min(0.0, *nets), max(0.0, *nets), currency, "Credit less rewards"),
        Table("Credit less rewards", columns, rows),
        f"{said} Which share it is nobody has measured: it is assumed.",
    )


def referral_table(referrals: Mapping[str, Any], currency: str = "") -> Table:
    """By how many customers a referrer brought: how many such referrers, and what they earn."""
    columns = (
        Column("Brought", "number"),
        Column("Referrers", "number"),
        Column("Credit less rewards", "number"),
    )
    rows = [
        (count(row["brought"]), count(row["referrers"]), money(row["net"], currency))
        for row in referrals["brought"]
    ]
    even = NONE if referrals["break_even"] is None else percent(referrals["break_even"])
    cost, worth = (money(referrals[name], currency) for name in ("cac", "value"))
    caption = (
        f"{count(referrals['referred'])} customers referred at {cost} each, worth {worth} each; "
        f"break-even share {even}"
    )
    return Table(caption, columns, rows)
