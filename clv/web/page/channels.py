"""Channels: what a new customer costs and is worth by channel, and when that is paid back.

The table ``channels`` is what ``clv channels --output`` writes. The table ``cohorts``, where there
is one, has a row per cohort and age: cohort (such as 2011-03), age, earned (contribution margin per
customer so far, from the first purchase on) and, where known, channel, customers, cac, age_unit
("month" if not given) and mature (whether the whole cohort has reached that age).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response
from markupsafe import Markup

from clv.app.channel_findings import (
    NEEDED,
    Row,
    _rows,
    _with_figures,
    best_for_cost,
    findings,
    notes,
    overall,
    published,
)
from clv.errors import InputError
from clv.format import NONE, count, counted, money, month, number, unknown
from clv.report.charts import (
    Axis,
    Cell,
    Chart,
    Column,
    Label,
    LegendKey,
    Series,
    Table,
    heat,
    line_chart,
    money_axis,
)
from clv.spans import span
from clv.store import Store
from clv.web.page.frame import Page, Room, room
from clv.web.page.lead_section import arrivals
from clv.web.page.tables import Empty, Headline, small

TONES = "12345"

router = APIRouter()
ROOM = Room("channels", "/channels", "Channels", router)


@router.get("/channels")
async def show(request: Request) -> Response:
    """The page."""
    return await room(request, "channels.html", content, title="Channels", active="channels")


def content(store: Store, page: Page) -> dict[str, Any]:
    """What the template shows."""
    rows, currency = published(store), str(store.terms.get("currency") or "")
    query, every = dict(page.address.query), _rows(store, "cohorts")
    selected = of_channel(every, query.get("channel", ""))
    cohorts = {
        "grid": _grid(selected, currency) if selected else NO_COHORTS,
        "paid_back": paid_back(selected),
        "choices": _choices(every),
        "chosen": query.get("channel", ""),
        **arrivals(store),
    }
    if not rows or "channel" not in rows[0]:
        return {"nothing": NOTHING, "notes": [], **cohorts}
    return {
        "nothing": None,
        "said": " ".join(map(str, findings(rows, currency))),
        "headlines": headlines(rows, currency),
        "table": table(rows, currency),
        "chart": chart(rows, currency) or _no_chart(rows),
        "notes": notes(rows),
        **cohorts,
    }


NOTHING = Empty(
    "No channels were published",
    "What a channel's customers cost takes a table of spend; what they are worth, the orders too.",
    "Publish with both: clv publish --spend spend.csv --log orders.csv.",
)


def headlines(rows: Sequence[Row], currency: str) -> list[Headline]:
    """CAC paid and blended, the best ratio, the soonest payback."""
    together = overall(rows)
    figures = [
        Headline(
            "Paid CAC",
            money(together["paid_cac"], currency),
            "fully loaded spend over the customers of channels with spend",
            "measured",
        ),
        Headline(
            "Blended CAC",
            money(together["blended_cac"], currency),
            "over all new customers, unpaid ones too",
            "measured",
        ),
    ]
    if best := best_for_cost(rows):
        horizon = span(best.get("horizon") or "a horizon that is not stated")
        over = f"{best['channel']}, over {horizon}"
        figures.append(
            Headline("Best value for cost", ratio(best["ltv_to_cac"]), over, "estimated")
        )
    if times := _with_figures(rows, "payback"):
        soon = min(times, key=lambda row: row["payback"])
        figures.append(Headline("Soonest payback", _time(soon), soon["channel"], "estimated"))
    return figures


def table(rows: Sequence[Row], currency: str) -> Table:
    """A row per channel, with what is known of it."""
    horizons = {str(row["horizon"]) for row in rows if row.get("horizon")}
    over = f" over {span(horizons.pop())}" if len(horizons) == 1 else ""
    columns = (
        Column("Channel"),
        Column("Spend, fully loaded", "number"),
        Column("New customers", "number"),
        Column("CAC", "number"),
        Column("Next CAC", "number"),
        Column(f"Value of a new customer{over}", "number"),
        Column(f"Value : CAC{over}", "number"),
        Column("Payback", "number"),
    )
    every = [tuple(_cells(row, currency)) for row in rows]
    used = [k for k in range(len(columns)) if k < 3 or any(row[k] != NONE for row in every)]
    return Table(
        "All channels, best value for cost first; below each figure its interval of 90%, if known",
        [columns[k] for k in used],
        [tuple(row[k] for k in used) for row in every],
    )


def _cells(row: Row, currency: str) -> Iterator[Cell]:
    yield row["channel"]
    yield money(row.get("loaded_spend"), currency)
    yield count(row.get("new_customers"))
    for name in ("cac", "marginal_cac", "new_customer_value"):
        low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
        has_interval = not (unknown(low) or unknown(high))
        yield _with(
            money(row.get(name), currency),
            f"{money(low, currency)} to {money(high, currency)}" if has_interval else "",
        )
    yield ratio(row.get("ltv_to_cac"))
    yield _payback(row)


def _payback(row: Row) -> Cell:
    """When a customer's cost is earned back; a channel without a cost has none."""
    if not unknown(row.get("payback")):
        end = "later" if unknown(row.get("payback_high")) else count(round(row["payback_high"]))
        vague = unknown(row.get("payback_low")) or end == "0"
        ends = "" if vague else f"{count(round(row['payback_low']))} to {end}"
        return _with(_time(row), ends)
    never = "payback" in row and not (unknown(row.get("cac")) or unknown(row.get("ltv_to_cac")))
    return f"not within {span(row['horizon'])}" if never and row.get("horizon") else NONE


def _time(row: Row) -> str:
    paid, unit = round(row["payback"]), str(row.get("payback_unit") or "period")
    return counted(paid, unit) if paid else "at once"


def _with(figure: str, below: str) -> Cell:
    return small(figure, below) if below and figure != NONE else figure


def ratio(value: float | None) -> str:
    """Value over cost, as people say it.

    >>> ratio(3.0625), ratio(0.804), ratio(240.3), ratio(None)
    ('3.1 : 1', '0.80 : 1', '240 : 1', '–')
    """
    if unknown(value):
        return NONE
    assert value is not None
    digits = 0 if value >= 99.5 else 1 if value >= 1 else 2
    return f"{number(value, digits)} : 1"


def chart(rows: Sequence[Row], currency: str) -> Chart | None:
    """Value against CAC, with the line on which a customer is worth just what it costs."""
    located = _with_figures(rows, "cac", "new_customer_value")
    if not located:
        return None
    x = _axis_of(located, "cac", currency, "CAC")
    y = _axis_of(located, "new_customer_value", currency, "Value of a new customer")
    end = min(x.high, y.high)
    even = Series("worth what it costs", [0, end], [0, end], "dash", "6")
    series, names = [even], list[Label]()
    for k, row in enumerate(located):
        series += _point(row, TONES[k % len(TONES)])
        names.append(Label(row["cac"], row["new_customer_value"], row["channel"]))
    horizon = located[0].get("horizon")
    return line_chart(
        "What a customer costs, and is worth",
        " ".join(map(str, findings(rows, currency))),
        series,
        x,
        y,
        table_of_points(located, currency),
        "Above the dashed line a customer brings more than it costs"
        + (f", over {span(horizon)}. " if horizon else ". ")
        + "Lines through a dot are intervals of 90%. Channels without spend have no place here; "
        "where dots are crowded, some have no name.",
        legend=(
            LegendKey("channel", "1", "dot"),
            LegendKey("worth what it costs, 1 : 1", "6", "dash"),
        ),
        labels=names,
        height=340,
    )


def _point(row: Row, tone: str) -> Iterator[Series]:
    """A channel: its intervals as a cross, and a dot."""
    name, x, y = row["channel"], row["cac"], row["new_customer_value"]
    if not unknown(row.get("cac_low")) and not unknown(row.get("cac_high")):
        yield Series(name, [row["cac_low"], row["cac_high"]], [y, y], "line", tone)
    low, high = row.get("new_customer_value_low"), row.get("new_customer_value_high")
    if low is not None and high is not None and not unknown(low) and not unknown(high):
        yield Series(name, [x, x], [low, high], "line", tone)
    yield Series(name, [x], [y], "dots", tone)


def _axis_of(rows: Sequence[Row], name: str, currency: str, label: str) -> Axis:
    ends = [row.get(f"{name}_high") for row in rows] + [row[name] for row in rows]
    most = max(end for end in ends if end is not None and not unknown(end))
    return money_axis(0, most, currency, label)


def table_of_points(rows: Sequence[Row], currency: str) -> Table:
    """The numbers of the chart."""
    columns = (
        Column("Channel"),
        Column("CAC", "number"),
        Column("Value", "number"),
        Column("Value : CAC", "number"),
    )
    cells = [
        (
            row["channel"],
            money(row["cac"], currency),
            money(row["new_customer_value"], currency),
            ratio(row.get("ltv_to_cac")),
        )
        for row in rows
    ]
    return Table("Channels with spend", columns, cells)


def _no_chart(rows: Sequence[Row]) -> Empty:
    if not _with_figures(rows, "new_customer_value"):
        return Empty(
            "What their customers are worth is not known",
            "The channels were published without orders.",
            "Publish again with the orders: clv publish --log.",
        )
    return Empty("No channel has spend", "Without spend there is no CAC to compare with.")


def of_channel(rows: Sequence[Row], channel: str) -> list[Row]:
    """The cohorts of a channel; of the first where none is chosen.

    Raises
    ------
    InputError
        The table lacks a column, or there is no such channel in it.
    """
    if not rows:
        return []
    if missing := [name for name in NEEDED if name not in rows[0]]:
        raise InputError(
            f"the table cohorts has no column {missing[0]}.", hint=f"it needs {', '.join(NEEDED)}."
        )
    if channel and channel not in {row.get("channel") for row in rows}:
        raise InputError(f"no cohort came by {channel[:40]!r}.", hint="choose another channel.")
    if "channel" not in rows[0]:
        return list(rows)
    name = channel or _choices(rows)[0][0]
    return [row for row in rows if row["channel"] == name]


NO_COHORTS = Empty(
    "No cohorts were published",
    "A grid would show what each month's new customers have earned by age, and when they had paid "
    "back what they cost.",
    "Publish with the orders, and with spend for what they cost: clv publish --log --spend.",
)


def _choices(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """The channels of the cohorts, to choose from."""
    names = dict.fromkeys(row["channel"] for row in rows if "channel" in row)
    return [(name, name) for name in names]


def _grid(rows: Sequence[Row], currency: str) -> Table:
    unit = str(rows[0].get("age_unit") or "month")
    ages = sorted({row["age"] for row in rows})
    by_cohort: dict[str, dict[float, Row]] = {}
    for row in rows:
        by_cohort.setdefault(str(row["cohort"]), {})[row["age"]] = row
    most = max((row["earned"] for row in _with_figures(rows, "earned")), default=0.0)
    columns = [Column("Cohort"), Column("Customers", "number"), Column("CAC", "number")]
    columns += [Column(f"{age:g}", "number") for age in ages]
    grid = [
        (_named(name), *_cohort(by_age, ages, most, currency))
        for name, by_age in sorted(by_cohort.items())
    ]
    caption = (
        f"Earned per customer by age in {unit}s, as contribution margin; ✓ where it first passes "
        "the CAC. Dashed: so far, as not all of the cohort is that old yet."
    )
    return Table(caption, columns, grid)


def _named(cohort: str) -> str:
    r"""A month in words; a quarter or a year as it is.

    >>> _named("2011-03"), _named("2011-Q1")
    ('Mar\xa02011', '2011-Q1')
    """
    try:
        return month(cohort, "yMMM").replace(" ", "\u00a0")
    except ValueError:
        return cohort


def paid_back(rows: Sequence[Row]) -> str:
    """How many of some cohorts have earned what they cost, and how fast, in a sentence."""
    by_cohort: dict[str, dict[float, Row]] = {}
    for row in rows:
        if not unknown(row.get("cac")):
            by_cohort.setdefault(str(row["cohort"]), {})[row["age"]] = row
    if not by_cohort:
        return ""
    first_ages = [_paid_back(cohort, sorted(cohort)) for cohort in by_cohort.values()]
    ages = sorted(age for age in first_ages if age is not None)
    cohorts = counted(len(first_ages), "cohort")
    sentence = f"{count(len(ages))} of {cohorts} have paid back what they cost"
    if not ages:
        return f"{sentence}."
    unit = str(rows[0].get("age_unit") or "month")
    half = round(ages[(len(ages) - 1) // 2])
    soon = f"by the age of {counted(half, unit)}" if half else f"in the first {unit}"
    return f"{sentence}, half of those {soon}."


def _cohort(
    by_age: Mapping[float, Row], ages: Sequence[float], most: float, currency: str
) -> Iterator[Cell]:
    first = next(iter(by_age.values()))
    yield count(first.get("customers"))
    yield money(first.get("cac"), currency)
    back = _paid_back(by_age, ages)
    for age in ages:
        row = by_age.get(age)
        if row is None or unknown(row["earned"]):
            yield Markup('<span class="unseen">not that old yet</span>')
            continue
        text = money(row["earned"], currency)
        if row.get("mature") is False:
            young = '<span class="heat young">{}<span class="unseen"> so far</span></span>'
            cell = Markup(young).format(text)
            yield _marked(cell, age == back)
            continue
        yield _marked(heat(text, row["earned"] / most if most > 0 else 0.0), age == back)


def _paid_back(by_age: Mapping[float, Row], ages: Sequence[float]) -> float | None:
    """The first age by which a cohort has earned what it cost."""
    for age in ages:
        row = by_age.get(age, {})
        if (
            not unknown(row.get("earned"))
            and not unknown(row.get("cac"))
            and row["earned"] >= row["cac"]
        ):
            return age
    return None


def _marked(cell: Markup, back: bool) -> Markup:
    if not back:
        return cell
    tick = '<span aria-hidden="true">✓ </span><span class="unseen">paid back, </span>'
    return Markup('<b class="best">{}</b>').format(Markup(str(cell).replace(">", f">{tick}", 1)))
