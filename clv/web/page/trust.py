"""Trust: how the model did when it was put to the test, what it learned, and what it assumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response
from markupsafe import Markup

from clv.findings import Note
from clv.format import (
    NONE,
    capital,
    change,
    count,
    counted,
    dated,
    day,
    days,
    money,
    percent,
    sentence,
)
from clv.report.charts import (
    Cell,
    Chart,
    Column,
    Series,
    Table,
    column_chart,
    line_chart,
    number_axis,
    share_axis,
    track,
)
from clv.store import Store
from clv.web.page import model_report
from clv.web.page.frame import Page, Room, room
from clv.web.page.model_report import outcome_figure
from clv.web.page.tables import Empty, Headline, chip, facts, small

Rows = Sequence[Mapping[str, Any]]
UNTESTED = Empty(
    "The model was not put to the test",
    "Its card holds no rolling backtest, so nothing here says how far it was off.",
    "Train with origins in [holdout], then publish again with the new card.",
)

router = APIRouter()
ROOM = Room("trust", "/trust", "Trust", router)


@router.get("/trust")
async def show(request: Request) -> Response:
    """The page."""
    return await room(request, "trust.html", content, title="Trust", active="trust")


def content(store: Store, page: Page) -> dict[str, Any]:
    """What the template shows."""
    card = store.document("model_card")
    rolling, monitor = model_report.rolling_of(card), store.document("monitor")
    currency = str(store.terms.get("currency") or "")
    return {
        "said": " ".join([*model_report.ranks(card, rolling), *_totals(card, rolling)]),
        "headlines": headlines(card, rolling, monitor),
        "reasons": _reasons(card),
        "verdicts": _verdicts(card),
        "backtests": [
            backtest(model_report.means_of(rolling, what), what, card, rolling, currency)
            for what in model_report.WHAT
            if model_report.means_of(rolling, what)
        ],
        "untested": UNTESTED,
        "outcomes": _outcomes(rolling),
        "coverage": coverage(rolling),
        "totals": totals_coverage(rolling),
        "calibration": calibration(store),
        "churn": churn(card),
        "drift": drift(monitor, currency),
        "drift_notes": [sentence(one) for one in (monitor or {}).get("notes", ())],
        "data": data_report(store.document("data_report"), currency),
        "card": model_card(card, currency),
        "learned": learned(card, currency),
        "findings": findings(card),
        "notes": assumptions(store, card),
    }


def headlines(card: Any, rolling: Any, monitor: Any) -> list[Headline]:
    """The figures that come first."""
    rows = model_report.means_of(rolling, "money")
    ours = model_report.in_use(rows, card)
    shown = []
    if ours:
        naive = [row for row in rows if row["naive"]]
        shown = [_ranking(ours, naive), _total(ours, naive)]
    held = [row for row in (rolling or {}).get("coverage", ()) if _is_money(row)]
    if held:
        said = f"of customers' money; {percent(held[0]['nominal'])} were promised"
        shown.append(Headline("Intervals that held", percent(held[0]["inside"]), said, "measured"))
    drifted = capital(str(monitor["verdict"])) if monitor else "Not yet known"
    since = f"since {day(monitor['since'])}" if monitor else "nothing was monitored since"
    return [*shown, Headline("Drift", drifted, since)]


def _totals(card: Any, rolling: Any) -> list[str]:
    """How far off totals of money were, and whether a rule without a model was closer."""
    rows = model_report.means_of(rolling, "money")
    ours, rival = (
        model_report.in_use(rows, card),
        model_report.best([r for r in rows if r["naive"]], "bias"),
    )
    if ours is None or rival is None or ours.get("bias") is None:
        return []
    said = f"Its totals of money were {_off(ours['bias'])} on average"
    if abs(rival["bias"]) < abs(ours["bias"]):
        return [f"{said}; a naive rule came closer, {_off(rival['bias'])}: {rival['forecast']}."]
    return [f"{said}, closer than every naive rule."]


def _off(bias: float) -> str:
    """How far off a total was.

    >>> _off(-0.27), _off(0.031), _off(0)
    ('27% too low', '3.1% too high', 'right')
    """
    if abs(bias) < model_report.FEW / 10:
        return "right"
    return f"{percent(abs(bias))} too {'low' if bias < 0 else 'high'}"


def _ranking(ours: Mapping[str, Any], naive: Rows) -> Headline:
    rival = model_report.best(naive, "gini")
    said = (
        f"1 is perfect; best naive rule {rival['gini']:.2f}, {rival['forecast']}" if rival else ""
    )
    return Headline("Ranking by money, Gini", f"{ours['gini']:.2f}", said, "measured")


def _total(ours: Mapping[str, Any], naive: Rows) -> Headline:
    rival = model_report.best(naive, "bias")
    said = f"best naive rule {change(rival['bias'])}, {rival['forecast']}" if rival else ""
    return Headline("Total money, forecast off by", change(ours["bias"]), said, "measured")


def _is_money(row: Mapping[str, Any]) -> bool:
    return bool(
        row["what"] == "money of customers" and abs(row["nominal"] - model_report.LEVEL) < 1e-9
    )


def _reasons(card: Any) -> list[str]:
    chosen = ((card or {}).get("training") or {}).get("purchase_model") or {}
    return [dated(line.replace("+-", "±")) for line in chosen.get("reasons", ())]


def _verdicts(card: Any) -> list[str]:
    holdout = ((card or {}).get("training") or {}).get("holdout") or {}
    return [dated(line) for lines in holdout.get("verdict", {}).values() for line in lines]


MEASURES = {
    "gini": ("Ranking, Gini", "{:z.3f}".format),
    "bias": ("Total off by", change),
    "mae": ("Mean error", None),
    "rmse": ("RMSE", None),
    "decile_error": ("Tenths off by", percent),
    "log_score": ("Log score", "{:.4f}".format),
    "inside_90": ("In 90% interval", percent),
}
NEVER_BEST = ("inside_90",)  # closer to what was promised is better, not more


def backtest(rows: Rows, what: str, card: Any, rolling: Any, currency: str) -> Table:
    """Every forecaster, averaged over the cutoffs; the best figures are bold."""
    shown = [name for name in MEASURES if any(row.get(name) is not None for row in rows)]
    winners = {name: model_report.best(rows, name) for name in shown if name not in NEVER_BEST}
    cells = []
    for row in rows:
        figures = [
            _figure(row, name, currency if what == "money" else "", winners) for name in shown
        ]
        cells.append((_forecaster(row, card), *figures))
    ours = [k for k, row in enumerate(rows) if row is model_report.in_use(rows, card)]
    columns = (Column("Forecast"), *(Column(MEASURES[name][0], "number") for name in shown))
    window = f"{counted(len(rolling['cutoffs']), 'window')} of {days(rolling['days'])}"
    return Table(f"{model_report.WHAT[what]}: mean of {window}", columns, cells, ours)


def _figure(row: Mapping[str, Any], name: str, currency: str, winners: Mapping[str, Any]) -> Cell:
    value, write = row.get(name), MEASURES[name][1]
    if value is None:
        return NONE
    text = write(value) if write else (money(value, currency) if currency else f"{value:,.3f}")
    best = winners.get(name)
    wins = best is not None and abs(value) == abs(best[name])
    return Markup('<b class="best">{}</b>').format(text) if wins else text


def _forecaster(row: Mapping[str, Any], card: Any) -> Cell:
    if row["forecast"] == (card or {}).get("purchase_model"):
        return small(row["forecast"], "in use")
    return small(row["forecast"], "naive rule") if row["naive"] else str(row["forecast"])


def _outcomes(rolling: Any) -> Chart | None:
    found = model_report.outcomes(rolling)
    if not found:
        return None
    caption = (
        "Each window begins where the model's knowledge ends. Where dots lie outside in one "
        "direction, something moved all customers at once: a season, a trend."
    )
    return outcome_figure(found, "What came, of what was expected", caption)


COVERED = {"purchases of customers": "1", "money of customers": "2"}


def coverage(rolling: Any) -> Chart | None:
    """Promised against measured coverage of customers' intervals."""
    rows = [row for row in (rolling or {}).get("coverage", ()) if row["what"] in COVERED]
    if not rows:
        return None
    low = min(0.7, *(row["inside"] for row in rows))
    x, y = share_axis("Promised", 0.75), share_axis("Held", low)
    first = max(x.low, y.low)
    series = [Series("as promised", [first, 1.0], [first, 1.0], "dash", "6")]
    for what, tone in COVERED.items():
        of = [row for row in rows if row["what"] == what]
        promised = [row["nominal"] for row in of]
        inside = [row["inside"] for row in of]
        series.append(Series(f"{what}, as counted", promised, inside, "rings", tone))
        split = [_number(row["randomized"]) for row in of]
        series.append(Series(f"{what}, ties split", promised, split, "dots", tone))
    cells = [_covered(row) for row in rows]
    columns = (
        Column("Interval of"),
        Column("Promised", "number"),
        Column("Held", "number"),
        Column("As a dot", "chart"),
        Column("Ties split", "number"),
        Column("Customers", "number"),
    )
    title = "Intervals of single customers"
    said = "; ".join(
        f"{r['what']}: promised {r['nominal']:.0%}, held {r['inside']:.1%}" for r in rows
    )
    return line_chart(
        title,
        said,
        series,
        x,
        y,
        Table("Promised and held, all windows together", columns, cells),
        "An interval must hold whole numbers, and many customers buy nothing, so it holds more "
        "than promised. With ties split in proportion, dots on the line are right.",
    )


def _covered(row: Mapping[str, Any]) -> tuple[Cell, ...]:
    return (
        str(row["what"]),
        percent(row["nominal"]),
        f"{row['inside']:.1%}",
        track(row["inside"], row["nominal"]),
        NONE if row["randomized"] is None else f"{row['randomized']:.1%}",
        count(row["n"]),
    )


def totals_coverage(rolling: Any) -> Table | None:
    """How many of the windows' totals lay within their intervals, by what was promised."""
    rows = [row for row in (rolling or {}).get("coverage", ()) if row["what"].startswith("total")]
    if not rows:
        return None
    levels = sorted({row["nominal"] for row in rows})
    held: dict[str, dict[float, str]] = {}
    for row in rows:
        said = f"{round(row['inside'] * row['n'])} of {row['n']}"
        held.setdefault(row["what"], {})[row["nominal"]] = said
    cells = [
        (_total_in_words(what), *(one.get(level, NONE) for level in levels))
        for what, one in held.items()
    ]
    columns = [Column(f"{level:.0%} promised", "number") for level in levels]
    caption = "Windows whose total lay inside; a few windows say little"
    return Table(caption, (Column("Interval of"), *columns), cells)


def _total_in_words(what: str) -> str:
    """Of models alone, or with the common factor that moves all customers at once.

    >>> _total_in_words("total money"), _total_in_words("total money, models alone")
    ('Total money, with what moves all customers', 'Total money, models alone')
    """
    alone = what if "alone" in what else f"{what}, with what moves all customers"
    return capital(alone)


def calibration(store: Store) -> Chart | Empty:
    """Predicted and actual purchases by past purchases, if the table was published."""
    rows = store.document("calibration")
    if not rows:
        return Empty(
            "No calibration by past purchases was published",
            "The backtest above still says how far tenths of customers were off.",
            "Train with a holdout, and publish with its model: clv publish --model.",
        )
    names = [str(row["frequency"]) for row in rows]
    actual = [float(row["actual_mean"]) for row in rows]
    predicted = [float(row["predicted_mean"]) for row in rows]
    y = number_axis(0, max(*actual, *predicted), "Purchases per customer in the holdout")
    series = {"predicted": predicted, "actual": actual}
    cells = [
        (name, count(row["customers"]), f"{a:.2f}", f"{p:.2f}")
        for name, row, a, p in zip(names, rows, actual, predicted, strict=True)
    ]
    title = "Predicted and actual purchases by past purchases"
    said = "; ".join(f"{n}: predicted {p}, actual {a}" for n, _, a, p in cells)
    columns = (
        Column("Repeat purchases before"),
        Column("Customers", "number"),
        Column("Actual", "number"),
        Column("Predicted", "number"),
    )
    table = Table("Means per customer", columns, cells)
    label = "Repeat purchases before the cutoff"
    return column_chart(title, said, names, series, y, table, label=label)


def churn(card: Any) -> Table | None:
    """How the candidates for the churn score did at the test cutoff."""
    rows = [row for row in ((card or {}).get("churn") or {}).get("figures", ()) if row["auc"]]
    if not rows:
        return None
    model = card["churn"]
    cells = [
        (
            small(row["score"], "in use") if row["score"] == model["source"] else row["score"],
            f"{row['auc']:.3f}",
            NONE if row["brier"] is None else f"{row['brier']:.3f}",
            NONE if row["log_loss"] is None else f"{row['log_loss']:.3f}",
        )
        for row in rows
    ]
    used = [k for k, row in enumerate(rows) if row["score"] == model["source"]]
    columns = (
        Column("Score"),
        Column("Ranking, AUC", "number"),
        Column("Brier", "number"),
        Column("Log loss", "number"),
    )
    when = f"No purchase within {model['horizon']}"
    tested = f", tested after {day(model['cutoffs'][-1])}" if model.get("cutoffs") else ""
    return Table(when + tested, columns, cells, used)


CHECKED = {
    "purchases": "Purchases",
    "value": "Revenue",
    "frequency": "Repeat purchases",
    "recency": "Age at the last purchase",
    "T": "Age of customers",
    "days_since_last": "Days since the last purchase",
    "monetary_value": "Mean repeat purchase",
    "first_amount": "First purchase",
    "channel": "Channel",
    "clv": "Value",
    "expected_purchases": "Expected purchases",
    "churn_probability": "Churn risk",
    "value_at_stake": "Value at stake",
}


def drift(monitor: Any, currency: str) -> Table | Empty:
    """What the monitor found since the scores were made."""
    if not monitor:
        return Empty(
            "Nothing was compared since",
            "As time passes, purchases should be held against the forecast, and customers of "
            "today against those the model learned from.",
            "Run clv monitor on a newer log, and publish its report: clv publish --monitor.",
        )
    cells = [
        (_checked(one["check"]), chip(one["verdict"]), _found(one, currency))
        for one in monitor["checks"]
    ]
    columns = (Column("Check"), Column("Verdict"), Column("Finding", "prose"))
    when = f"{day(monitor['since'])} to {day(monitor['until'])}"
    return Table(f"{when}, {counted(monitor['customers'], 'customer')} known then", columns, cells)


def _checked(check: str) -> Cell:
    """What was checked, in words; below it, whether it goes into the model or comes from it."""
    kind, _, name = check.rpartition(": ")
    shown = CHECKED.get(name, capital(name))
    return small(shown, {"input": "input", "score": "score"}[kind]) if kind else shown


def _found(one: Mapping[str, Any], currency: str) -> str:
    """What a check of the monitor found; amounts of revenue with their currency."""
    name = one["check"].rpartition(": ")[2]
    if name not in ("purchases", "value") or not one.get("expected"):
        said = one["finding"].removeprefix("score ").removeprefix(name).lstrip(": ")
        return sentence(said)
    write = count if name == "purchases" else partial(money, currency=currency)
    actual, expected, low, high = (
        write(float(round(one[n]))) for n in ("actual", "expected", "low", "high")
    )
    side = "within" if one["low"] <= one["actual"] <= one["high"] else "outside"
    off = change(one["actual"] / one["expected"] - 1)
    return f"{actual} came, {expected} were expected: {off}, {side} the interval {low} to {high}."


def data_report(report: Any, currency: str) -> Table | Empty:
    """The ledger of cleaning: rows and money read, each change, what is left."""
    if not report:
        return Empty(
            "No data report was published",
            "It says what cleaning found in the log, and what became of it.",
            "Publish with the orders: clv publish --log.",
        )
    changes = [
        (
            small(capital(one["reason"]), one["action"]),
            count(one["rows"]),
            count(-one["rows_out"]),
            money(-one["amount_out"], currency),
        )
        for one in report["findings"]
    ]
    first = (
        "Read from the log",
        count(report["rows_in"]),
        "",
        money(report["amount_in"], currency),
    )
    left = ("Purchases left", count(report["rows_out"]), "", money(report["amount_out"], currency))
    columns = (
        Column("What"),
        Column("Rows", "number"),
        Column("Left the log", "number"),
        Column("Money", "number"),
    )
    span = f"{day(report['first_date'])} to {day(report['last_date'])}"
    who = (
        f"{counted(report['purchases'], 'purchase')} of {counted(report['customers'], 'customer')}"
    )
    cells = [first, *changes, left]
    return Table(f"{who}, {span}", columns, cells, [0, len(cells) - 1])


def model_card(card: Any, currency: str) -> Markup | Empty:
    """What was learned, from what, on which terms."""
    if not card:
        return Empty(
            "No model card was published",
            "The scores came without one, so nothing is known of the model behind them.",
            "Publish with the model: clv publish --model.",
        )
    training = card.get("training") or {}
    told_of = {
        "Version": str(card["version"]),
        "Trained as of": day(card["as_of"]),
        "Learned from": _learned_from(training),
        "Terms": sentence(card["terms"]),
        "Purchases": f"{card['purchase_model']}: {_numbers(card['purchases'])}",
        "Spend": f"Gamma-Gamma: {_numbers(card['spend'])}",
        "Churn": dated(sentence(card["churn"]["reason"])),
        "A new customer": f"is worth {money(card['new_customer_clv'], currency)} from the first "
        f"purchase on (whose amount is {card['first_amount_source']})",
        "Log": _log_of(training),
    }
    return facts({name: said for name, said in told_of.items() if said})


def _learned_from(training: Mapping[str, Any]) -> str:
    if "customers" not in training:
        return ""
    again = training.get("repeat_buyers")
    bought = f", {count(again)} of whom bought again" if again is not None else ""
    return f"{counted(training['customers'], 'customer')}{bought}"


def _log_of(training: Mapping[str, Any]) -> str:
    digest = training.get("log_sha256")
    return f"{training['log']}, SHA-256 {digest[:12]}…" if digest and "log" in training else ""


def _numbers(model: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {_parameter(value)}" for name, value in model["parameters"].items())


def _parameter(value: float) -> str:
    """Four figures, without an exponent unless it is tiny.

    >>> _parameter(42253.1), _parameter(0.8314), _parameter(2.36e-11)
    ('42,253', '0.8314', '2.36e-11')
    """
    return f"{value:,.0f}" if value >= 10_000 else f"{value:.4g}"


def learned(card: Any, currency: str) -> list[str]:
    """The parameters in words."""
    models = [(card or {}).get("purchases"), (card or {}).get("spend")]
    return [line for model in models if model for line in model_report.parameters(model, currency)]


def findings(card: Any) -> list[str]:
    """What the fits found to say of themselves."""
    models = [(card or {}).get("purchases"), (card or {}).get("spend")]
    reports = [(model or {}).get("report") or {} for model in models]
    return [line for report in reports for line in report.get("findings", ())]


def assumptions(store: Store, card: Any) -> list[Note]:
    """What was assumed rather than measured, and what was measured."""
    card, found = card or {}, []
    if card.get("terms"):
        found.append(Note(f"Terms: {card['terms']}.", model_report.terms_are(card)))
    if card.get("value_at_stake"):
        found.append(Note(f"Value at stake: {card['value_at_stake']}.", "assumed"))
    if isinstance(card.get("coverage"), str):
        found.append(Note(f"Coverage of intervals: {card['coverage']}.", "assumed"))
    if card.get("interval"):
        found.append(Note(f"Intervals of customers: {card['interval']}.", "estimated"))
    report = store.document("data_report") or {}
    found += [Note(sentence(line), "assumed") for line in report.get("assumptions", ())]
    total = store.document("total") or {}
    found += [Note(sentence(line), "estimated") for line in total.get("reasons", ())]
    return found + [Note(line) for line in store.notes]


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
