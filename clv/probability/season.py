"""The season of a log as covariates: waves of a year, a half, a third, day by day.

A purchase model that takes them, ``BetaGeoNBD(covariates=X.names)``, measures their heights with
its own parameters at once: the season clock, exact since its customers leave at purchases alone.
"""

from __future__ import annotations

import narwhals as nw
import numpy as np
import pandas as pd
from narwhals.typing import IntoFrame

from clv.errors import InputError
from clv.format import count
from clv.periods import DAYS_PER_YEAR
from clv.probability.changing_summary import ChangingSummary, with_changes
from clv.schema import as_frame, dated, require_columns

YEARS = 10  # ahead, for which the season is told
MOST = 4  # waves: a quarter of a year is as fine as weeks of a few years can show
LEAST = 2 * DAYS_PER_YEAR  # of log: a season that came once may have been growth


def with_season(summary: IntoFrame, log: IntoFrame, terms: int = 1) -> ChangingSummary:
    """A summary with the season of its log, for a model to measure.

    Purchases come at the customer's own rate times exp(sum a_k sin(2 pi k day / 365.25) +
    b_k cos(2 pi k day / 365.25)), so the year repeats itself, forecasts included.

    Parameters
    ----------
    summary
        What ``summarize`` gives, of the whole log or up to a day.
    log
        The clean log: customer_id, date.
    terms
        Waves k = 1 to ``terms`` of the year, from 1 to 4: one is a summer and a winter, each
        further one is finer, and takes two parameters more.

    Returns
    -------
    ChangingSummary
        For ``fit`` and all predictions; its ``names`` are the covariates, such as "season_1_sin".
        The multipliers in ``params_`` are exp(a_k) and exp(b_k).

    Raises
    ------
    InputError
        ``terms`` is none of these, or the log is shorter than two years.
    ColumnError, RowError
        As ``with_changes``.

    Examples
    --------
    >>> from clv.data.summary import summarize
    >>> from clv.probability.bg_nbd import BetaGeoNBD
    >>> rng = np.random.default_rng(0)
    >>> day = np.arange(1_000)
    >>> busy = rng.random((300, 1_000)) < 0.01 * np.exp(0.5 * np.sin(2 * np.pi * day / 365.25))
    >>> who, when = np.nonzero(busy)
    >>> date = pd.Timestamp("2020-01-01") + pd.to_timedelta(when, unit="D")
    >>> log = pd.DataFrame({"customer_id": who, "date": date, "amount": 1.0})
    >>> X = with_season(summarize(log, unit="week"), log)
    >>> model = BetaGeoNBD(covariates=X.names).fit(X)
    >>> bool(0.4 < np.log(model.params_["purchases[season_1_sin]"]) < 0.6)
    True
    """
    if terms not in range(1, MOST + 1):
        raise InputError(f"terms = {terms}.", hint=f"give a whole number from 1 to {MOST}.")
    frame = as_frame(summary, "the summary")
    require_columns(frame, ["as_of"], "the summary")
    try:
        last = frame.select(nw.col("as_of").max()).collect()["as_of"].item()
        today = pd.Timestamp(last).normalize()
    except (TypeError, ValueError) as error:
        hint = "give what clv.summarize gives."
        raise InputError("as_of in the summary is no day.", hint=hint) from error
    rows = dated(log, "the log").select(nw.col("date").min()).collect()
    first = pd.Timestamp(rows["date"].item())
    if pd.isna(first) or pd.isna(today):
        raise InputError("the log or the summary is empty.", hint="a season takes two years.")
    if (today - first).days < LEAST:
        raise InputError(
            f"the log is {count((today - first).days)} days long, and a season takes two years: "
            "what came once may have been growth.",
            hint="give the season of earlier years by with_changes(summary, log, table of date and "
            "the log of its index), or as [calendar] of the settings.",
        )
    return with_changes(summary, log, _waves(first, today, terms))


def _waves(first: pd.Timestamp, today: pd.Timestamp, terms: int) -> pd.DataFrame:
    """The table of changes: date, and a sine and a cosine for each wave."""
    date = pd.date_range(first, today + pd.Timedelta(days=round(YEARS * DAYS_PER_YEAR)))
    angle = 2 * np.pi * (date - pd.Timestamp(0)).days.to_numpy() / DAYS_PER_YEAR
    waves = {
        f"season_{k}_{name}": wave(k * angle)
        for k in range(1, terms + 1)
        for name, wave in (("sin", np.sin), ("cos", np.cos))
    }
    return pd.DataFrame({"date": date, **waves})
