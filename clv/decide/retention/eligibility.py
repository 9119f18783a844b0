"""Who may be contacted at all, and why not: exclusions, consent, and how often is too often."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from clv.decide.scores import SILENCE, Scores
from clv.errors import InputError
from clv.periods import Duration
from clv.schema import collect, flags, reject_rows
from clv.score_columns import BOTH, BUYERS, SUBSCRIBERS

Flags = NDArray[np.bool_]
EXCLUDED = "on the list of exclusions"
NO_CONSENT = "no consent"
PAID = tuple(f"{words.bought} within " for words in (BUYERS, SUBSCRIBERS, BOTH))
BARRING = (EXCLUDED, NO_CONSENT, *PAID, "silent for more than ", "contacted ")


@dataclass(frozen=True)
class Rules:
    """Whom not to contact, whatever it would earn.

    Days are numbers, or text such as "2 weeks".

    Parameters
    ----------
    exclude
        Customer ids, or a dataframe with a column customer_id.
    bought_within
        Leave out who bought (subscribers: paid) within so many days before the scores' as-of date.
    silent_for
        Leave out who has been silent for more than so many days: nearly dead, but large, they rank
        high wherever everybody silent counts as equally easy to save.
    consent
        Column of the scores, true, yes or 1 for whoever may be contacted; a missing value is none.
    contacts
        Dataframe of contacts already made: customer_id and date.
    most_contacts, contact_days
        Leave out who was contacted ``most_contacts`` times or more in the ``contact_days`` days
        before the campaign.

    Examples
    --------
    >>> Rules(exclude=["c7"], bought_within=14).bought_within
    14
    """

    exclude: Any = field(default=None, repr=False)
    bought_within: float | None = None
    silent_for: float | None = None
    consent: str | None = None
    contacts: Any = field(default=None, repr=False)
    most_contacts: int = 1
    contact_days: float = 30

    def __post_init__(self) -> None:
        for name in ("bought_within", "silent_for", "contact_days"):
            days = getattr(self, name)
            if isinstance(days, str | Duration):
                days = Duration.parse(days).to("day")
                object.__setattr__(self, name, days)
            if days is not None and not 0 <= days < np.inf:
                raise InputError(f"{name} is {days}, not a number of days.")
        if self.most_contacts < 1:
            raise InputError(
                f"most_contacts is {self.most_contacts}.",
                hint="give 1 or more; to contact nobody again, a long time in contact_days.",
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """What the scores must have."""
        by_silence = self.bought_within is not None or self.silent_for is not None
        consent = () if self.consent is None else (self.consent,)
        return (*((SILENCE,) if by_silence else ()), *consent)

    def barred(self, scores: Scores, day: dt.date | None) -> dict[str, Flags]:
        """By reason, whom it concerns: arrays of shape (customers,).

        ``day`` is that of the campaign.

        Raises
        ------
        InputError, ColumnError, RowError
            A column is of the wrong kind, or there is no day to count contacts to.
        """
        return dict(self._reasons(scores, day))

    def _reasons(self, scores: Scores, day: dt.date | None) -> Iterator[tuple[str, Flags]]:
        if self.exclude is not None:
            yield EXCLUDED, _among(scores, _ids(self.exclude))
        if self.consent is not None:
            yield NO_CONSENT, flags(scores.rows, self.consent, "the scores") != 1
        if self.bought_within is not None:
            recent = scores.measures[SILENCE] <= self.bought_within
            yield f"{scores.words.bought} within {self.bought_within:g} days", recent
        if self.silent_for is not None:
            silent = scores.measures[SILENCE] > self.silent_for
            yield f"silent for more than {self.silent_for:g} days", silent
        if self.contacts is not None:
            often = f"contacted {self.most_contacts} times or more in {self.contact_days:g} days"
            if self.most_contacts == 1:
                often = f"contacted within {self.contact_days:g} days"
            yield often, self._contacted(scores, day)

    def _contacted(self, scores: Scores, day: dt.date | None) -> Flags:
        if day is None:
            raise InputError(
                "contacts are counted up to the day of the campaign, which is not known.",
                hint="give date, or scores with as_of.",
            )
        table = collect(self.contacts, ("customer_id", "date"), "the contacts")
        dates = _days(table)
        start = np.datetime64(day) - np.timedelta64(round(self.contact_days), "D")
        recent = (dates >= start) & (dates <= np.datetime64(day))
        import pandas as pd

        times = pd.Index(table["customer_id"].to_list())[recent].value_counts()
        often = set(times.index[times.to_numpy() >= self.most_contacts])
        return _among(scores, often)


def bars(reason: str | None) -> bool:
    """Whether a reason in ``CampaignPlan.eligibility`` is one of the rules here.

    The other reasons are of a plan's money: nobody is barred by these.

    >>> bars("no consent"), bars("beyond the budget"), bars(None)
    (True, False, False)
    """
    return reason is not None and reason.startswith(BARRING)


def _ids(exclude: Any) -> set[Any]:
    if isinstance(exclude, str):
        raise InputError("exclude is one text.", hint="give a list of customer ids, or a table.")
    if isinstance(exclude, Sequence | set | frozenset | np.ndarray):
        return set(exclude.tolist() if isinstance(exclude, np.ndarray) else exclude)
    table = collect(exclude, ("customer_id",), "the exclusions")
    return set(table["customer_id"].to_list())


def _among(scores: Scores, ids: set[Any]) -> Flags:
    """Which customers are in ``ids``; 7 and "7" are the same, as files do not tell them apart."""
    if not ids:
        return np.zeros(len(scores), dtype=bool)
    customers = scores.ids
    if not isinstance(customers[0], type(next(iter(ids)))):
        customers, ids = [str(id_) for id_ in customers], {str(id_) for id_ in ids}
    return np.fromiter((id_ in ids for id_ in customers), dtype=bool, count=len(customers))


def _days(table: nw.DataFrame[Any]) -> NDArray[np.datetime64]:
    try:
        texts = [str(day)[:10] for day in table["date"].to_list()]
        days = np.array(texts, dtype="datetime64[D]")
    except ValueError as error:
        raise InputError(
            f"the contacts have a date that is none: {error}.", hint="write days as 2024-03-31."
        ) from error
    examples: dict[str, Any] = {"customer_id": table["customer_id"]}
    reject_rows(np.isnat(days), "date is missing in the contacts,", examples)
    return days
