"""What documents of a store say, in words and rows: the model, its forecasts, its intervals.

Documents are JSON that others wrote; what is not in them is left out, never made up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

from clv.format import NONE, capital, day, days, money, number, percent
from clv.periods import Duration
from clv.report.charts import (
    Chart,
    Column,
    IntervalRow,
    LegendKey,
    Table,
    interval_chart,
    share_axis,
)
from clv.value.value import Terms

LEVEL = 0.90  # of the intervals drawn around forecasts
WIDTH = NormalDist().inv_cdf((1 + LEVEL) / 2)
FEW = 0.005  # a share too small to speak of
WHAT = {"purchases": "Purchases", "money": "Money"}


@dataclass(frozen=True)
class Outcome:
    """A forecast of a total and what came of it, both over the forecast; 1 is a hit.

    Attributes
    ----------
    what
        "purchases" or "money".
    when, window
        From when to when, in words and shorter.
    actual
        What came, over what was expected.
    low, high
        The interval of 90%; None if none is known.
    """

    what: str
    when: str
    window: str
    actual: float
    low: float | None
    high: float | None

    @property
    def inside(self) -> bool | None:
        """Whether the interval held; None without one."""
        if self.low is None or self.high is None:
            return None
        return self.low <= self.actual <= self.high

    @property
    def off_by(self) -> str:
        """How far off, in two words."""
        off = self.actual - 1
        if abs(off) < FEW:
            return "as expected"
        return f"{percent(abs(off))} {'more' if off > 0 else 'less'}"

    @property
    def verdict(self) -> str:
        """How far off, in a clause."""
        near = abs(self.actual - 1) < FEW
        return self.off_by if near else f"{self.off_by} than expected"


def terms_are(card: Mapping[str, Any]) -> Literal["assumed", "measured"]:
    """Whether the terms of a card rest on an assumed margin."""
    return "assumed" if "assumed" in card["terms"] else "measured"


def terms_in_words(card: Mapping[str, Any], stated: Mapping[str, Any]) -> str:
    """What values are stated under, as the reader's language writes shares.

    ``stated`` are the terms of the store; where it lacks one, the card's own words stand.
    """
    if not {"margin_rate", "annual_discount_rate", "horizon"} <= set(stated):
        return str(card["terms"])
    terms = Terms(
        float(stated["margin_rate"]),
        float(stated["annual_discount_rate"]),
        Duration.parse(str(stated["horizon"])),
        str(stated.get("currency") or ""),
        margin_source=terms_are(card),
    )
    return str(terms)


def rolling_of(card: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The rolling-origin backtest that a model card tells of, if there was one."""
    holdout = ((card or {}).get("training") or {}).get("holdout") or {}
    return holdout.get("rolling") or None


def outcomes(rolling: Mapping[str, Any] | None) -> list[Outcome]:
    """What came of the forecasts at each cutoff of a backtest, oldest first, by what.

    The interval is that of the models alone: the chance of single customers.
    """
    if not rolling:
        return []
    return [
        Outcome(
            what,
            f"{days(rolling['days'])} after {day(cutoff)}",
            f"{days(rolling['days'])} after {day(cutoff, short=True)}",
            math.exp(ratio),
            math.exp(-WIDTH * sd),
            math.exp(WIDTH * sd),
        )
        for what, missed in rolling["misses"].items()
        for cutoff, ratio, sd in zip(
            rolling["cutoffs"], missed["log_ratios"], missed["explained"], strict=True
        )
    ]


def monitored(monitor: Mapping[str, Any] | None) -> list[Outcome]:
    """What came since the scores were made, from the report of ``clv monitor``."""
    if not monitor:
        return []
    checks, named = monitor["checks"], {"purchases": "purchases", "value": "money"}
    since, elapsed = monitor["since"], monitor["elapsed"]
    return [
        Outcome(
            named[check["check"]],
            f"{elapsed} since {day(since)}",
            f"{elapsed} since {day(since, short=True)}",
            check["actual"] / check["expected"],
            check["low"] / check["expected"],
            check["high"] / check["expected"],
        )
        for check in checks
        if check["check"] in named and check.get("expected") and check.get("actual") is not None
    ]


def last(windows: Sequence[Outcome]) -> list[Outcome]:
    """The last window of each kind."""
    return list({outcome.what: outcome for outcome in windows}.values())


def ranks(card: Mapping[str, Any] | None, rolling: Mapping[str, Any] | None) -> list[str]:
    """Whether the model in use ranks customers by money better than the best naive rule.

    >>> rows = [{"what": "money", "forecast": "BG/NBD", "naive": False, "gini": 0.75},
    ...         {"what": "money", "forecast": "own past rate", "naive": True, "gini": 0.8}]
    >>> ranks({"purchase_model": "BG/NBD"}, {"means": rows})
    ['A simple rule, own past rate, tells good customers from others better than the model.']
    """
    rival, ahead = ahead_in_ranking(card, rolling)
    if ahead is None:
        return []
    if ahead == 0:
        return ["It tells good customers from others as well as the best simple rule."]
    if ahead > 0:
        return ["It tells good customers from others better than every simple rule."]
    return [f"A simple rule, {rival}, tells good customers from others better than the model."]


def ahead_in_ranking(
    card: Mapping[str, Any] | None, rolling: Mapping[str, Any] | None
) -> tuple[str, float | None]:
    """The naive rule that ranks best, and the model's Gini less its own, as both are written."""
    rows = means_of(rolling, "money")
    ours, rival = in_use(rows, card), best([row for row in rows if row["naive"]], "gini")
    if ours is None or rival is None or ours.get("gini") is None:
        return "", None
    same = number(ours["gini"]) == number(rival["gini"])
    return rival["forecast"], 0.0 if same else ours["gini"] - rival["gini"]


def in_use(
    rows: Sequence[Mapping[str, Any]], card: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """The row of the purchase model that the card names; None if it was not judged."""
    name = (card or {}).get("purchase_model")
    return next((row for row in rows if row["forecast"] == name), None)


def means_of(rolling: Mapping[str, Any] | None, what: str) -> list[Mapping[str, Any]]:
    """The forecasters of a backtest, averaged over its cutoffs."""
    return [row for row in (rolling or {}).get("means", ()) if row["what"] == what]


def best(rows: Sequence[Mapping[str, Any]], measure: str) -> Mapping[str, Any] | None:
    """Who does best: the highest Gini, or whatever else is closest to 0 (least, for errors)."""
    measured = [row for row in rows if row.get(measure) is not None]
    if not measured:
        return None
    if measure == "gini":
        return max(measured, key=lambda row: float(row[measure]))
    return min(measured, key=lambda row: abs(float(row[measure])))


def parameters(model: Mapping[str, Any], currency: str = "") -> list[str]:
    """What the parameters of a purchase or spend model say of customers, a sentence each.

    >>> pareto = {"r": 0.55, "alpha": 10.58, "s": 0.61, "beta": 11.67}
    >>> for line in parameters({"model": "ParetoNBD", "unit": "week", "parameters": pareto}):
    ...     print(line)
    While a customer, the average one buys 0.052 times a week: about once in 19 weeks.
    Paces differ widely between customers, by 135% of the average.
    Half of all new customers have left for good after 24.7 weeks, by the model.
    """
    if model["model"] == "GammaGamma":
        return _gamma_gamma(model["parameters"], currency)
    say = _SENTENCES.get(model["model"])
    parameters = {**model["parameters"], "k": model.get("k", 1)}
    return say(parameters, str(model.get("unit", "period"))) if say else []


def _pace(rate: float, shape: float, unit: str) -> list[str]:
    spread = 1 / math.sqrt(shape)
    how = "widely" if spread > 1 else "markedly" if spread > 0.5 else "little"
    return [
        f"While a customer, the average one buys {rate:.2g} times a {unit}: about once in "
        f"{1 / rate:.2g} {unit}s.",
        f"Paces differ {how} between customers, by {percent(spread)} of the average.",
    ]


def _leaving(share: float, occasion: str) -> str:
    if share < FEW / 10:
        return f"Hardly anybody is seen to leave for good {occasion}."
    return f"{capital(occasion)}, {percent(share)} leave for good."


def _bg_nbd(p: Mapping[str, float], unit: str) -> list[str]:
    leaving = p["a"] / (p["a"] + p["b"])
    return [*_pace(p["r"] / p["alpha"], p["r"], unit), _leaving(leaving, "after a purchase")]


def _cnbd(p: Mapping[str, float], unit: str) -> list[str]:
    ordinary = _bg_nbd({**p, "alpha": p["alpha"] * p["k"]}, unit)
    spread = percent(1 / math.sqrt(p["k"]))
    regular = (
        f"Times between a customer's purchases vary by {spread} of their mean; by chance, 100%."
    )
    return [*ordinary, regular] if p["k"] > 1 else ordinary


def _pareto_nbd(p: Mapping[str, float], unit: str) -> list[str]:
    half = p["beta"] * (2 ** (1 / p["s"]) - 1) if p["s"] > 0.01 else math.inf
    line = (
        f"Half of all new customers have left for good after {half:.3g} {unit}s, by the model."
        if half < 1e4
        else "Hardly anybody is seen to leave for good."
    )
    return [*_pace(p["r"] / p["alpha"], p["r"], unit), line]


def _bg_bb(p: Mapping[str, float], unit: str) -> list[str]:
    buys = p["alpha"] / (p["alpha"] + p["beta"])
    leaving = p["gamma"] / (p["gamma"] + p["delta"])
    return [
        f"While a customer, the average one buys in {percent(buys)} of all {unit}s.",
        _leaving(leaving, f"in each {unit}"),
    ]


def _gamma_gamma(p: Mapping[str, float], currency: str) -> list[str]:
    if p["q"] <= 1:
        return ["The mean spend has no finite value with these parameters."]
    typical = p["p"] * p["v"] / (p["q"] - 1)
    spread = (
        f"single purchases vary by {percent(1 / math.sqrt(p['p']))} around a customer's own average"
    )
    return [
        f"The average customer spends {money(typical, currency)} per repeat purchase; {spread}."
    ]


_SENTENCES = {
    "BetaGeoNBD": _bg_nbd,
    "ModifiedBetaGeoNBD": _bg_nbd,
    "BetaGeoCNBD": _cnbd,
    "ModifiedBetaGeoCNBD": _cnbd,
    "ParetoNBD": _pareto_nbd,
    "BetaGeoBetaBinomial": _bg_bb,
}


# Forecasts against what came, as a chart: for the overview, and for all cutoffs on Trust.


COLUMNS = (
    Column("What"),
    Column("Window"),
    Column("Came, of what was expected", "number"),
    Column("IntervalRow", "number"),
    Column("Held?"),
)


def outcome_figure(windows: Sequence[Outcome], title: str, caption: str) -> Chart:
    """A row per forecast: its interval, and what came, in percent of what was expected."""
    ends = [
        v
        for outcome in windows
        for v in (outcome.actual, outcome.low, outcome.high, 1.0)
        if v is not None
    ]
    x = share_axis("100% is what was expected", min(ends), max(ends))
    rows = [
        IntervalRow(
            f"{WHAT[outcome.what]}, {outcome.window}",
            1.0,
            outcome.low,
            outcome.high,
            outcome.actual,
            outcome.off_by,
        )
        for outcome in windows
    ]
    summary = "; ".join(
        f"{WHAT[outcome.what]}, {outcome.when}: {outcome.verdict}" for outcome in windows
    )
    legend = (
        LegendKey("expected", kind="tick"),
        LegendKey(f"{percent(LEVEL)} interval of the model alone", kind="span"),
        LegendKey("what came", "2", "dot"),
    )
    table = _table(windows)
    return interval_chart(title, summary, rows, x, table, caption, legend=legend, reference=1.0)


def _table(windows: Sequence[Outcome]) -> Table:
    rows = [
        (
            WHAT[outcome.what],
            outcome.when,
            percent(outcome.actual),
            _interval(outcome),
            _held(outcome.inside),
        )
        for outcome in windows
    ]
    return Table("What came, in percent of what was expected", COLUMNS, rows)


def _interval(outcome: Outcome) -> str:
    if outcome.low is None or outcome.high is None:
        return NONE
    return f"{percent(outcome.low)} to {percent(outcome.high)}"


def _held(inside: bool | None) -> str:
    return NONE if inside is None else "yes" if inside else "no"
