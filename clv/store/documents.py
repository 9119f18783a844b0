"""Documents of a store, seen through for types and ranges: when published, and whenever read.

A store is a file that somebody could have changed, and reports of other commands come as JSON. What
a page or an answer takes out of a document is described here; what else is in it may be anything.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from clv.errors import InputError
from clv.io.json import plain
from clv.io.model_folder import (
    Count,
    Date,
    Figures,
    Name,
    SavedChurn,
    SavedFinding,
    SavedMisses,
    SavedModel,
    SavedTerms,
    SavedTraining,
    Share,
    Text,
    Unit,
)
from clv.store.campaign_documents import (
    CampaignRecord,
    LearnedUplift,
    OrderMonth,
    RunFigures,
)
from clv.store.command_documents import (
    FunnelDocument,
    Money,
    OfferReport,
    OffersDocument,
    PlannedAction,
    ReferralDocument,
    Rows,
    Says,
)


def _with(**kinds: tuple[type, ...]) -> Any:
    """Rows of figures that all have these columns, of these kinds; None where ``NoneType`` is."""

    def check(rows: Figures) -> Figures:
        for row in rows:
            for name, kind in kinds.items():
                value = row.get(name)
                if name not in row or not isinstance(value, kind):
                    raise ValueError(f"a row lacks {name}, or it is no {kind[0].__name__}")
                if isinstance(value, float | int) and abs(value) > LARGEST:
                    raise ValueError(f"{name} of a row is {str(value)[:20]}, which nothing is")
        return rows

    return Annotated[Figures, AfterValidator(check)]


NUMBER, NONE = (float, int), type(None)
LARGEST = 1e15  # figures of a document's rows, in size
COVERAGE = {"what": (str,), "nominal": NUMBER, "inside": NUMBER, "n": NUMBER}
AUCS = {"score": (str,), "auc": (*NUMBER, NONE), "brier": (*NUMBER, NONE)}


class _Document(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


class _CardRolling(_Document):
    """The backtest, as rooms show it."""

    days: Annotated[float, Field(gt=0, le=1e6)]
    cutoffs: list[Date]
    misses: dict[Name, SavedMisses] = {}
    means: _with(what=(str,), forecast=(str,), naive=(bool,)) = []  # type: ignore[valid-type]
    coverage: _with(**COVERAGE, randomized=(*NUMBER, NONE)) = []  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _is_of_its_cutoffs(self) -> Self:
        for missed in self.misses.values():
            explained = missed.explained
            sizes = {len(missed.log_ratios), len(explained) if isinstance(explained, list) else -1}
            if sizes != {len(self.cutoffs)}:
                raise ValueError("has more or fewer misses than cutoffs")
        return self


class _CardHoldout(_Document):
    """How the model was judged, as rooms show it."""

    rolling: _CardRolling | None = None
    verdict: dict[Name, Says] = {}


class _CardChoice(_Document):
    """Why this purchase model; sentences in older stores."""

    reasons: Says = []


class _CardTraining(SavedTraining):
    """What the model was trained on, as rooms show it."""

    holdout: _CardHoldout | None = None  # type: ignore[assignment]
    purchase_model: _CardChoice | Name | None = None


class _CardChurn(SavedChurn):
    """The churn model, as rooms show it."""

    model_config = ConfigDict(strict=True, extra="allow")
    figures: _with(**AUCS, log_loss=(*NUMBER, NONE))  # type: ignore[valid-type]
    classifiers: list[Any] = Field(default_factory=list)


class _ModelCard(_Document):
    """``model_card``: the model, as ``CustomerScorer.card`` says."""

    version: Name
    as_of: Date
    terms: Text
    purchase_model: Name
    purchases: SavedModel
    spend: SavedModel
    churn: _CardChurn
    training: _CardTraining | None = None
    unit: Unit
    new_customer_clv: Money
    first_amount_source: Text
    value_at_stake: Text | None = None
    interval: Text | None = None
    coverage: Any = None


class _Concentration(_Document):
    """``concentration``: how much the best bring."""

    customers: Count
    top_1: Share
    top_5: Share
    top_20: Share
    gini: Annotated[float, Field(ge=-1, le=1)]
    at_risk: Money


class _Total(_Document):
    """``total``: the value of all customers."""

    customers: Count
    level: Annotated[float, Field(gt=0, lt=1)]
    mean: Money
    low: Money
    high: Money
    reasons: Says = []

    @model_validator(mode="after")
    def _is_an_interval(self) -> Self:
        if not self.low <= self.high:
            raise ValueError("has an interval whose low end is the higher")
        return self


class _RepeatRevenue(_Document):
    """``repeat_revenue``."""

    share: Share
    customers: Count
    repeat_buyers: Count
    since: Text | None = None


class _LedgerEntry(_Document):
    """A change that cleaning made."""

    reason: Text
    action: Name
    rows: Count
    rows_out: Annotated[int, Field(ge=-(10**15), le=10**15)]
    amount_out: Money


class _DataReport(_Document):
    """``data_report``: the ledger of cleaning."""

    rows_in: Count
    rows_out: Count
    amount_in: Money
    amount_out: Money
    customers: Count
    purchases: Count
    first_date: Date
    last_date: Date
    findings: list[_LedgerEntry]
    assumptions: list[Text] = []


class _MonitorCheck(_Document):
    """A check of a monitor."""

    check: Name
    verdict: Literal["good", "watch", "alarm"] | Name
    finding: SavedFinding | Text
    expected: Rows | None = None
    actual: Rows | None = None
    low: Rows | None = None
    high: Rows | None = None

    @model_validator(mode="after")
    def _has_its_interval(self) -> Self:
        if self.expected and self.actual is not None and None in (self.low, self.high):
            raise ValueError("lacks the interval of what was expected")
        return self


class _Monitored(_Document):
    """``monitor``: what came since."""

    checks: list[_MonitorCheck]
    since: Date
    until: Date
    elapsed: Text
    customers: Count
    verdict: Name
    model_version: Text
    notes: Says = []


class _CalibrationClass(_Document):
    """A row of ``calibration``: customers of "0" to "7+" purchases, and what they bought."""

    frequency: Name
    customers: Count
    actual_mean: Rows | None
    predicted_mean: Rows | None


class _Mover(_Document):
    """A customer whose value moved far."""

    customer_id: Text
    before: Money
    after: Money
    because: Name | None = None


class _ValueChange(_Document):
    """An entry of ``changes``: why the value is not that of an earlier run."""

    since: Date
    until: Date
    model_before: Name
    model_after: Name
    before: Money
    after: Money
    amounts: dict[Name, Money]
    customers_before: Count
    customers_after: Count
    new: Count
    gone: Count
    orders: Count | None
    expected_orders: Rows | None
    movers: list[_Mover]


class _TermsOfValues(SavedTerms):
    """``terms``: what values are stated under, and the model's unit."""

    unit: Unit


DOCUMENTS: dict[str, TypeAdapter[Any]] = {
    "model_card": TypeAdapter(_ModelCard),
    "concentration": TypeAdapter(_Concentration),
    "total": TypeAdapter(_Total),
    "repeat_revenue": TypeAdapter(_RepeatRevenue),
    "data_report": TypeAdapter(_DataReport),
    "monitor": TypeAdapter(_Monitored),
    "terms": TypeAdapter(_TermsOfValues),
    "funnel": TypeAdapter(FunnelDocument),
    "next_offers": TypeAdapter(OffersDocument),
    "offer_report": TypeAdapter(OfferReport),
    "joint_plan": TypeAdapter(list[PlannedAction]),
    "referrals": TypeAdapter(ReferralDocument),
    "changes": TypeAdapter(list[_ValueChange]),
    "order_months": TypeAdapter(list[OrderMonth]),
    "run_figures": TypeAdapter(list[RunFigures]),
    "campaigns": TypeAdapter(list[CampaignRecord]),
    "uplift": TypeAdapter(LearnedUplift),
    "calibration": TypeAdapter(list[_CalibrationClass]),
}


def checked_document(name: str, document: Any, where: str = "") -> Any:
    """The document, if what is shown of it is of its type and within its range.

    Parameters
    ----------
    name
        What it is called in a store; one of a name that nothing here reads may be anything.
    document
        As JSON gives it.
    where
        The store that it lies in.

    Raises
    ------
    InputError
        A field is missing, of another type or out of range.

    Examples
    --------
    >>> checked_document("total", {"customers": -1}, "store")
    Traceback (most recent call last):
    ...
    clv.errors.InputError: the document total of store cannot be used: customers: Input should be \
greater than or equal to 0; level: Field required; mean: Field required.
    Hint: publish again, with what clv itself wrote.
    """
    if document is None or name not in DOCUMENTS:
        return document
    try:
        document = plain(document)
        DOCUMENTS[name].validate_python(document)
    except (ValidationError, RecursionError) as error:
        raise InputError(
            f"the document {name}{where and f' of {where}'} cannot be used: {_why(error)}.",
            hint="publish again, with what clv itself wrote.",
        ) from error
    return document


def _why(error: ValidationError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    listed = error.errors(include_url=False, include_input=False)[:3]
    return "; ".join(f"{'.'.join(map(str, e['loc']))[:200]}: {e['msg']}" for e in listed)
