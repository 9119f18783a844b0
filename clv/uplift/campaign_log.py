"""The campaign log at the door: a randomised experiment, or an error or finding that says not.

A *campaign log* has one row per customer of the campaign, contacted or not:

==============  ============================================================================
customer_id     any id, each once
treated         1, true or yes if contacted; 0, false or no if held out by chance
propensity      chance of being contacted, in (0, 1); or one number for all, as an argument
outcome_margin  contribution margin of the orders in the window after it, cost not deducted
cost            what contacting cost, incentives included; 0 for the others (optional)
date            day of the contact (optional; with it, features of that day or later are refused)
==============  ============================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame
from numpy.typing import NDArray
from scipy.special import chdtrc, erfc

from clv.errors import FitError, InputError, RowError
from clv.findings import Finding, finding
from clv.format import count, counted
from clv.schema import Floats, as_frame, collect, flags, numbers, reject_rows, require_columns
from clv.shares import check_share
from clv.uplift.feature_columns import FeatureColumns

LOG = ("customer_id", "treated", "outcome_margin")
OPTIONAL = ("propensity", "cost", "date")
FEWEST = 50  # customers in either group, below which nothing is learned
CHANCE = 0.001  # p-value below which a difference is no accident
FAR = 0.1  # standardised mean difference worth naming
EXTREME = 0.05  # propensities this close to 0 or 1 make single customers weigh much
# what travels with scores and is no feature, however much it may vary
NO_FEATURES = ("customer_id", "as_of", "unit", "horizon", "money", "currency", "model_version")


@dataclass(frozen=True)
class CampaignLog:
    """A checked campaign log with features; arrays of shape (n,).

    Attributes
    ----------
    rows
        The features, in the order of the log.
    columns
        How they become numbers.
    W, e
        Contacted (0 or 1), and the chance of it.
    margin, cost
        Outcome and cost in currency.
    """

    rows: nw.DataFrame[Any]
    columns: FeatureColumns
    W: Floats
    e: Floats
    margin: Floats
    cost: Floats

    def __len__(self) -> int:
        return len(self.W)

    @cached_property
    def Z(self) -> Floats:  # noqa: N802 - the design matrix
        """The features as numbers in [-1, 1], shape (n, k)."""
        return self.columns.transform(self.rows)

    @property
    def bought(self) -> Floats:
        """1 for whoever brought a margin within the window, else 0."""
        return (self.margin > 0).astype(np.float64)

    @cached_property
    def differences(self) -> dict[str, float]:
        """Standardised mean difference, contacted minus held out, by feature."""
        t, c = self.W / self.e, (1 - self.W) / (1 - self.e)
        gap = t @ self.Z / t.sum() - c @ self.Z / c.sum()
        return dict(zip(self.columns.names, (gap / _sd(self.Z)).tolist(), strict=True))

    @cached_property
    def balance_p(self) -> float:
        """P-value of the omnibus test that chance alone divided the groups.

        Score test: T = sum (W - e)(z - mean z), chi2 = T' V^-1 T, V = sum e(1-e)(z - ..)(z - ..)'.
        """
        z = self.Z - self.Z.mean(axis=0)
        T = (self.W - self.e) @ z
        V = (z * (self.e * (1 - self.e))[:, None]).T @ z
        chi2 = T @ np.linalg.pinv(V, hermitian=True) @ T
        return float(chdtrc(np.linalg.matrix_rank(V, hermitian=True), chi2))

    def reordered(self, seed: int) -> CampaignLog:
        """The same customers in an order that their ids draw, however the rows came."""
        ids = [str(id_) for id_ in self.rows["customer_id"].to_list()]
        order = np.lexsort((np.array(ids), drawn_by_id(ids, seed)))
        arrays = {name: getattr(self, name)[order] for name in ("W", "e", "margin", "cost")}
        return replace(self, rows=self.rows[order.tolist()], **arrays)

    @property
    def share_p(self) -> float:
        """P-value of as many contacts as there were, given the propensities."""
        z = (self.W - self.e).sum() / np.sqrt((self.e * (1 - self.e)).sum())
        return float(erfc(abs(z) / np.sqrt(2)))

    def findings(self) -> Iterator[Finding]:
        """What the checks found; the first says whether the groups are alike."""
        if self.columns.names:
            yield from self._alike()
        if self.share_p < CHANCE:
            shares = {"contacted": float(self.W.mean()), "stated": float(self.e.mean())}
            yield finding("uplift.contacts_missing", p=self.share_p, **shares)
        if extreme := int(((self.e < EXTREME) | (self.e > 1 - EXTREME)).sum()):
            yield finding("uplift.extreme", customers=extreme, margin=EXTREME)
        if not self.cost.any():
            yield finding("uplift.no_cost")

    def _alike(self) -> Iterator[Finding]:
        """Whether the groups are alike in what was known before."""
        worst = max(self.differences, key=lambda name: abs(self.differences[name]))
        gap = finding("uplift.gap", difference=self.differences[worst], column=worst)
        differ = self.balance_p < CHANCE
        yield finding("uplift.differ" if differ else "uplift.alike", p=self.balance_p, gap=gap)
        if not differ and abs(self.differences[worst]) > FAR:
            yield finding("uplift.small", column=worst)


def read_campaign(
    log: IntoFrame,
    features: IntoFrame | None = None,
    *,
    propensity: float | None = None,
    columns: Sequence[str] | None = None,
) -> CampaignLog:
    """A checked campaign log joined with features.

    Parameters
    ----------
    log
        The campaign log, see the top of this module.
    features
        One row per customer, any numbers and short texts, known BEFORE the campaign: best the
        scores as of the day before. None: the other columns of the log.
    propensity
        Chance of being contacted, where the log has no such column.
    columns
        Names of the features to use; None takes all that fit, ``()`` needs none.

    Raises
    ------
    InputError, ColumnError, RowError
        A column is missing, a value makes no sense, a customer is repeated or has no features, or
        the features are as of the campaign's day or later.
    FitError
        Fewer than 50 customers were contacted, or held out.
    """
    optional = OPTIONAL if features is not None else _others(log)
    rows = collect(log, LOG, "the campaign log", optional)
    W, margin, cost, e = _outcomes(rows, propensity)
    table = rows if features is None else _joined(rows, features)
    skipped = {*LOG, *OPTIONAL, *NO_FEATURES} if columns is None else set()
    names = [name for name in columns or table.columns if name not in skipped]
    require_columns(table.lazy(), names, "the features")
    used = FeatureColumns.from_table(table, names) if columns != () else FeatureColumns({}, {})
    return CampaignLog(table, used, W, e, margin, cost)


def against_control(
    log: IntoFrame, arm: str, control: str, column: str = "arm"
) -> nw.DataFrame[Any]:
    """The rows of one arm and of the control group of a campaign with several arms.

    ``treated`` and ``propensity`` are added; the propensity is the arm's share of both, as where
    everybody had the same chances.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"customer_id": [1, 2, 3], "arm": ["none", "mail", "call"]})
    >>> against_control(log, "mail", "none")["treated"].to_list()
    [0, 1]
    """
    frame = as_frame(log, "the campaign log")
    require_columns(frame, [column], "the campaign log")
    rows = frame.filter(nw.col(column).is_in([arm, control])).collect()
    treated = np.array([name == arm for name in rows[column].to_list()])
    if treated.all() or not treated.any():
        absent = control if treated.any() else arm
        raise InputError(f"no customer of the campaign log is in the arm {absent!r}.")
    rows = rows.drop("treated", "propensity", column, strict=False)
    backend = rows.implementation
    return rows.with_columns(
        nw.new_series("treated", treated.astype(np.int64), nw.Int64, backend=backend),
        nw.lit(float(treated.mean())).alias("propensity"),
    )


def drawn_by_id(ids: Sequence[str], seed: int) -> NDArray[np.uint64]:
    """A number for each id as if drawn at random, always the same one.

    >>> drawn_by_id(["c1", "c2"], 0).tolist() == drawn_by_id(["c2", "c1"], 0).tolist()[::-1]
    True
    """
    from pandas.util import hash_array

    return hash_array(np.array(ids, dtype=object), hash_key=f"{seed:016d}"[-16:], categorize=False)


def _others(log: IntoFrame) -> list[str]:
    names = as_frame(log, "the campaign log").collect_schema().names()
    return [name for name in names if name not in LOG]


def _outcomes(
    rows: nw.DataFrame[Any], propensity: float | None
) -> tuple[Floats, Floats, Floats, Floats]:
    what = "the campaign log"
    _check_ids(rows, what)
    W, margin = flags(rows, "treated", what), numbers(rows, "outcome_margin", what)
    has = set(rows.columns)
    cost = numbers(rows, "cost", what) if "cost" in has else np.zeros(len(W))
    if propensity is None and "propensity" not in has:
        raise InputError(
            "the campaign log does not say how likely a contact was.",
            hint="give propensity=0.5, or whatever share was drawn, or a column propensity.",
        )
    if propensity is not None:
        check_share(
            "propensity", propensity, "(0, 1)", "leave out whoever is contacted for certain."
        )
    e = np.full(len(W), propensity) if propensity is not None else numbers(rows, "propensity", what)
    _check_outcomes(rows["customer_id"], W, margin, cost, e)
    if min(W.sum(), (1 - W).sum()) < FEWEST:
        raise FitError(
            f"{counted(W.sum(), 'customer')} were contacted and {count((1 - W).sum())} held out: "
            f"too few to learn from, it takes {FEWEST} of each.",
            hint="assume a save rate until a larger campaign has run.",
        )
    return W, margin, cost, e


def _check_outcomes(
    ids: nw.Series[Any], W: Floats, margin: Floats, cost: Floats, e: Floats
) -> None:
    labels: dict[str, Any] = {"customer_id": ids}
    reject_rows((W != 0) & (W != 1), "treated is neither 0 nor 1", {**labels, "treated": W})
    reject_rows(
        ~((e > 0) & (e < 1)),
        "propensity is not between 0 and 1",
        {**labels, "propensity": e},
        hint="leave out whoever is contacted for certain, or never: no experiment is made on them.",
    )
    reject_rows(
        ~np.isfinite(margin),
        "outcome_margin is missing or infinite",
        {**labels, "outcome_margin": margin},
        hint="0 for whoever bought nothing; leaving them out would bias the effect.",
    )
    bad = ~(np.isfinite(cost) & (cost >= 0))
    reject_rows(bad, "cost is missing or negative", {**labels, "cost": cost})


def _joined(rows: nw.DataFrame[Any], features: IntoFrame) -> nw.DataFrame[Any]:
    """The features of the log's customers, in its order."""
    import pandas as pd

    table = as_frame(features, "the features").collect()
    require_columns(table.lazy(), ["customer_id"], "the features")
    _check_ids(table, "the features")
    # a list that came back as CSV has whole numbers where scores have text, or the reverse
    ids = [str(id_) for id_ in rows["customer_id"].to_list()]
    scored = pd.Index([str(id_) for id_ in table["customer_id"].to_list()])
    place: NDArray[np.intp] = scored.get_indexer(pd.Index(ids))
    if missing := [id_ for id_, position in zip(ids, place.tolist(), strict=True) if position < 0]:
        raise RowError.of(
            "a customer of the campaign has no features",
            len(missing),
            missing[:3],
            hint="score everybody as of the day before the campaign.",
        )
    _check_days(rows, table)
    joined: nw.DataFrame[Any] = table[place.tolist()]
    return joined


def _check_days(rows: nw.DataFrame[Any], table: nw.DataFrame[Any]) -> None:
    """Features of the campaign's day or later have seen the outcome."""
    if "date" not in rows.columns or "as_of" not in table.columns:
        return
    first, as_of = str(rows["date"].min())[:10], str(table["as_of"].max())[:10]
    if as_of >= first:
        raise InputError(
            f"the features are as of {as_of}, the campaign began on {first}: they saw its effect.",
            hint="summarize(log, as_of=<the day before>) and score that.",
        )


def _check_ids(rows: nw.DataFrame[Any], what: str) -> None:
    if len(rows) == 0:
        raise InputError(f"{what} has no customers.")
    ids = rows["customer_id"]
    labels = {"customer_id": ids.to_numpy()}
    reject_rows(ids.is_null().to_numpy(), f"customer_id is missing in {what},", labels)
    if ids.n_unique() < len(rows):
        reject_rows(ids.is_duplicated().to_numpy(), f"customer_id is repeated in {what},", labels)


def _sd(Z: Floats) -> Floats:
    spread: Floats = Z.std(axis=0)
    return np.where(spread > 0, spread, 1.0)
