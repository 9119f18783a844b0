"""The folder of a scorer: written over an earlier one without losing either, believed when it fits.

``scorer.json`` is all that was learned but the trees, which have a file of their own. The JSON
names it and holds its digest; it is replaced last, so a folder is always the old scorer or the new.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from clv.errors import DAMAGE, InputError, ModelError
from clv.findings import Finding
from clv.io.changes import LOCK, SUFFIX, locked, replacing, written

FORMAT = 3
MODEL_FILE, CLASSIFIERS = "scorer.json", ("churn.skops", "churn-2.skops")
LARGEST = 64 * 2**20  # bytes of JSON; one trained on everything has a few hundred thousand
READS = 3  # as another run may replace the folder in the middle of one

Real = Annotated[float, Field(allow_inf_nan=False)]
Parameter = Annotated[float, Field(ge=-1e18, le=1e18)]  # above 0 where the model says so
LogFactor = Annotated[float, Field(ge=-50, le=50)]
Level = Annotated[float, Field(ge=-10, le=10)]  # a shift of log odds or of a log horizon
Effect = Annotated[float, Field(ge=-100, le=100)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=10**15)]
Text = Annotated[str, Field(max_length=100_000)]
Name = Annotated[str, Field(max_length=1000)]
Date = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
Unit = Literal["day", "week", "month", "year"]
Figures = list[dict[Name, float | bool | Name | None]]
Names = Annotated[list[Name], Field(max_length=1000)]


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class SavedValue(_Section):
    """A figure or a name in a finding."""

    kind: Name
    value: Real | Text | Names | SavedFinding | None


class SavedFinding(_Section):
    """What a fit found: see ``clv.findings``."""

    code: Name
    text: Text
    basis: Name | None
    values: Annotated[dict[Name, SavedValue], Field(max_length=20)]

    @model_validator(mode="after")
    def _can_be_said(self) -> Self:
        try:
            Finding.from_dict(self.model_dump()).within("EUR").text.strip()
        except DAMAGE as error:
            raise ValueError("has a value that is not of its kind") from error
        return self


class SavedReport(_Section):
    """How a fit ended."""

    model: Name
    engine: Name
    parameters: dict[Name, Parameter]
    log_likelihood: Real
    gradient_norm: float
    condition: float | None
    starts: Count
    starts_agreeing: Count
    cells: Count
    customers: Annotated[float, Field(ge=0, le=1e15)]
    findings: list[SavedFinding | Text]
    converged: bool


class SavedCovariance(_Section):
    """The covariance of a fit: square, symmetric, positive semidefinite."""

    of: Names
    matrix: Annotated[list[list[Real]], Field(max_length=20)]
    kind: Literal["sandwich", "hessian"]
    notes: list[SavedFinding | Text]

    @model_validator(mode="after")
    def _is_a_covariance(self) -> Self:
        if {len(row) for row in self.matrix} != {len(self.of)} or len(self.matrix) != len(self.of):
            raise ValueError("is not square, or not of the coordinates that it names")
        matrix = np.array(self.matrix)
        slack = 1e-6 * (size := np.abs(matrix).max())
        if size > 1e12 or np.abs(matrix - matrix.T).max() > slack:
            raise ValueError("is no covariance")
        if np.linalg.eigvalsh(matrix).min() < -slack:
            raise ValueError("is no covariance: a variance is negative")
        return self


class SavedCovariate(_Section):
    """A column by which customers differ, with its levels if it is text."""

    name: Name
    levels: Names


class SavedCoding(_Section):
    """How columns become effects."""

    columns: Annotated[list[SavedCovariate], Field(max_length=100)]
    moves: Annotated[list[tuple[Name, Name, int]], Field(max_length=10)]
    uses: Annotated[list[tuple[Name, Name]], Field(max_length=1000)]


class SavedModel(_Section):
    """A purchase model or a model of spend."""

    model: Name
    parameters: dict[Name, Parameter]
    report: SavedReport | None = None
    covariance: SavedCovariance | None = None
    dependence: dict[Name, Real | None] | None = None
    unit: Unit | None = None
    coding: SavedCoding | None = None
    k: Annotated[int, Field(ge=1, le=12)] | None = None


class SavedTerms(_Section):
    """What values are stated under."""

    margin_rate: Annotated[float, Field(gt=0, le=1)]
    annual_discount_rate: Annotated[float, Field(gt=-1, le=1e6)]
    horizon: Name
    currency: Name
    margin_source: Name
    periods_per_year: Annotated[float, Field(gt=0, le=1e6)] | None


class SavedPool(_Section):
    """The pooled forecast but its trees."""

    horizon: Name
    unit: Unit
    spend: dict[Name, Parameter]
    size: Annotated[float, Field(gt=0, le=1e6)]
    stretch: Level
    shift: Level
    neutral: Level
    fade: Share | None
    days: Annotated[list[Date], Field(max_length=100)]
    customers: Count
    sampled: Count


class SavedChurn(_Section):
    """The churn model."""

    horizon: Name
    source: Name
    reason: Text
    pool: SavedPool | None
    figures: Figures
    importance: Figures
    base: dict[Name, Effect]
    cutoffs: list[Date]
    churn_rate: Share | None


class SavedBeyond(_Section):
    """By what values would differ if corrections faded otherwise."""

    fade: Share | None
    without: Real
    lasting: Real


class SavedFingerprint(_Section):
    """A few figures of the log."""

    currency: Name
    customers: Count
    first_day: Date
    last_day: Date
    median_amount: Annotated[float, Field(ge=0, le=1e15)]
    orders_per_customer: Annotated[float, Field(ge=1, le=1e15)] | None = None
    columns: list[str] | None = None
    sample: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=4096)]


class SavedMisses(_Section):
    """How far totals were off, by cutoff."""

    model_config = ConfigDict(strict=True, extra="allow")
    log_ratios: Annotated[list[LogFactor], Field(min_length=1, max_length=10_000)]
    explained: list[LogFactor] | LogFactor

    @model_validator(mode="after")
    def _is_of_its_cutoffs(self) -> Self:
        if isinstance(self.explained, list) and len(self.explained) != len(self.log_ratios):
            raise ValueError("has more or fewer ratios than what was explained of them")
        return self


class SavedDoubt(SavedMisses):
    """How far totals from earlier days were off, over their reach."""

    span: Annotated[float, Field(gt=0, le=1e6)]


class SavedRolling(BaseModel):
    """The backtest from several days."""

    model_config = ConfigDict(strict=True, extra="allow")
    days: Annotated[float, Field(gt=0, le=1e6)]
    misses: dict[Name, SavedMisses]

    @model_validator(mode="after")
    def _has_money(self) -> Self:
        if "money" not in self.misses:
            raise ValueError("has no misses of money")
        return self


class SavedHoldout(BaseModel):
    """How the model was judged."""

    model_config = ConfigDict(strict=True, extra="allow")
    rolling: SavedRolling | None = None


class SavedTraining(BaseModel):
    """What it was trained on."""

    model_config = ConfigDict(strict=True, extra="allow")
    customers: Count = 0
    repeat_buyers: Count = 0
    purchases: Count = 0
    limits: Annotated[list[SavedFinding | Text], Field(max_length=100)] = []
    log: Text | None = None
    log_sha256: Name | None = None
    data: dict[Name, Any] | None = None
    fingerprint: SavedFingerprint | None = None
    beyond: SavedBeyond | None = None
    spend_factor: Annotated[float, Field(gt=0, le=1e15)] | None = None
    growing_doubt: SavedDoubt | None = None
    holdout: SavedHoldout | None = None


class SavedScorer(_Section):
    """``scorer.json``."""

    format: int
    as_of: Date
    unit: Unit
    terms: SavedTerms
    shrink: Share
    first_amount: Annotated[float, Field(ge=0, le=1e15)] | None
    training: SavedTraining | None
    purchases: SavedModel
    spend: SavedModel
    churn: SavedChurn
    written_by: Name = ""
    classifier: Literal["churn.skops", "churn-2.skops"] = "churn.skops"
    classifier_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None


def write_model_folder(
    directory: str | os.PathLike[str],
    saved: dict[str, Any],
    write_classifier: Callable[[Path], None] | None,
) -> Path:
    """Write the folder of a scorer, or over that of an earlier one.

    Raises
    ------
    InputError
        The folder holds something else, or cannot be written to.
    """
    target = Path(directory)
    with written(target), locked(target):
        others = {file.name for file in target.iterdir()} - {MODEL_FILE, LOCK, *CLASSIFIERS}
        if not (target / MODEL_FILE).is_file() and any(not o.endswith(SUFFIX) for o in others):
            raise InputError(
                f"{target} exists and holds no scorer.", hint="give a new or an empty folder."
            )
        if write_classifier is not None:
            name = _unused(target)
            with replacing(target / name) as beside:
                write_classifier(beside)
                digest = _sha256(beside)
            saved = saved | {"classifier": name, "classifier_sha256": digest}
        with replacing(target / MODEL_FILE) as beside:
            beside.write_text(json.dumps(saved, indent=2) + "\n", encoding="utf-8")
        for name in set(CLASSIFIERS) - {saved.get("classifier")}:
            (target / name).unlink(missing_ok=True)
    return target


def read_model_folder(directory: str | os.PathLike[str]) -> tuple[dict[str, Any], Path | None]:
    """What ``write_model_folder`` wrote: the JSON and the file of the trees, if there is one.

    Raises
    ------
    ModelError
        There is no scorer, it is of another format, holds what no scorer holds, or is not whole.
    """
    folder = Path(directory)
    for reads_left in reversed(range(READS)):
        text = _text(folder)
        try:
            return _read(folder, text)
        except ModelError:
            if not reads_left or text == _text(folder):
                raise
    raise AssertionError("the last read raises")


def _text(folder: Path) -> bytes:
    file = folder / MODEL_FILE
    try:
        if not file.exists():
            raise ModelError(
                f"{folder} holds no {MODEL_FILE}.", hint="give a folder that save() wrote."
            )
        if not file.is_file() or file.stat().st_size > LARGEST:
            raise ModelError(f"{file} is no ordinary file, or too large to be a scorer's.")
        return file.read_bytes()
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror}.") from error


def _read(folder: Path, text: bytes) -> tuple[dict[str, Any], Path | None]:
    file = folder / MODEL_FILE
    try:
        saved = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{file} is not JSON: {error}.") from error
    if not isinstance(saved, dict) or saved.get("format") != FORMAT:
        raise ModelError(
            f"{file} is not of format {FORMAT}, which this version reads.",
            hint="train again, or use the version of clv that wrote it.",
        )
    try:
        model = SavedScorer.model_validate_json(text)
    except ValidationError as error:
        raise ModelError(
            f"{file} is damaged: {_problems(error)}.", hint="train again; do not use this one."
        ) from error
    if model.classifier_sha256 is None:
        return saved, None
    classifier = folder / model.classifier
    if _sha256(classifier) != model.classifier_sha256:
        raise ModelError(
            f"{classifier} is not the file that was saved with {MODEL_FILE}.",
            hint="copy the whole folder again, or train again.",
        )
    return saved, classifier


def _problems(error: ValidationError) -> str:
    """The first fields that are wrong, and why."""
    listed = error.errors(include_url=False, include_input=False)
    words = [f"{'.'.join(map(str, e['loc']))[:200]}: {e['msg']}" for e in listed[:3]]
    return "; ".join(words)


def _unused(folder: Path) -> str:
    """A name for trees that the folder's scorer does not use, so that it stays whole."""
    try:
        used = json.loads((folder / MODEL_FILE).read_bytes()).get("classifier", CLASSIFIERS[0])
    except (OSError, ValueError, RecursionError, AttributeError):
        used = None
    return next(name for name in CLASSIFIERS if name != used)


def _sha256(path: Path) -> str:
    try:
        if not path.is_file():
            raise ModelError(f"{path} is missing.", hint="copy the whole folder again.")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from error
