"""The ``[data]`` of a TOML file: read strictly, and written with the reason of every line."""

from __future__ import annotations

import datetime as dt
import json
import os
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from clv.data.gaps import propose_horizon
from clv.errors import FitError, InputError
from clv.format import count, number
from clv.intake.check import Intake
from clv.intake.draft import Question
from clv.intake.recipe import Recipe, Words
from clv.intake.spend_table import SpendRecipe
from clv.io.changes import written_beside
from clv.io.databases import DatabaseAddress
from clv.io.settings_errors import settings_of
from clv.io.text_files import parse_toml, read_text

DATA_FILE = Path("clv.toml")  # what clv init writes, and what is looked for
MARK = "DECIDE"
HINT = "clv init writes one."
TITLE = "# Written by clv init. Lines marked DECIDE need you: clv check counts them."


def as_listed(value: Any) -> Any:
    """A single text as a list of one."""
    return [value] if isinstance(value, str) else value


class DataSection(Recipe):
    """``[data]``: the files, and the recipe that reads them."""

    files: Annotated[Words, BeforeValidator(as_listed)] = Field(min_length=1)

    def recipe(self) -> Recipe:
        """The recipe alone."""
        # A run logs every field: a column that is null there is one that was not named.
        return Recipe(**self.model_dump(exclude={"files"}, exclude_unset=True, exclude_none=True))

    def paths(self, file: str | os.PathLike[str]) -> list[str]:
        """The files, relative to the file that names them."""
        return [seen_from(Path(file).parent, path) for path in self.files]


def read_data(file: str | os.PathLike[str]) -> DataSection:
    """The ``[data]`` of a TOML file.

    Raises
    ------
    InputError
        It is missing, not TOML, has no ``[data]``, or a field of it cannot be used.
    """
    document = _document(Path(file))
    if "data" not in document:
        raise InputError(f"{file} has no [data].", hint="clv init orders.csv writes one.")
    return settings_of(DataSection, document["data"], str(file), HINT, "data")


def champion_of(file: str | os.PathLike[str]) -> str:
    """The model in use, as an MLflow URI, of the name that ``[model]`` of a TOML file says."""
    model = _document(Path(file)).get("model")
    name = model.get("name") if isinstance(model, dict) else None
    return f"models:/{name if isinstance(name, str) and name else 'clv'}@champion"


def read_spend_recipe(file: str | os.PathLike[str], *, required: bool = True) -> SpendRecipe:
    """The ``[spend]`` of a TOML file; the default without one, or without a file not required."""
    if not required and not Path(file).exists():
        return SpendRecipe()
    return settings_of(
        SpendRecipe, _document(Path(file)).get("spend", {}), str(file), HINT, "spend"
    )


def _document(path: Path) -> dict[str, Any]:
    return parse_toml(read_text(path, HINT), str(path), HINT)


def write_data_file(
    intake: Intake, target: str | os.PathLike[str], *, over_edits: bool = True
) -> Path:
    """Write the proposal for files as a commented TOML, whole or not at all.

    Parameters
    ----------
    intake
        From :func:`clv.intake.check.check_files`.
    target
        Where to; the files are named relative to it.
    over_edits
        As ``write_toml`` takes it.
    """
    return write_toml(data_lines(intake, Path(target)), target, over_edits=over_edits)


def write_toml(
    lines: Iterable[str], target: str | os.PathLike[str], *, over_edits: bool = True
) -> Path:
    """Write a file of settings, whole or not at all.

    Raises
    ------
    InputError
        A file with other lines is there, and ``over_edits`` does not let them go.
    """
    text = "\n".join(lines) + "\n"
    tomllib.loads(text)  # what is written can be read
    if not over_edits and Path(target).exists() and read_text(Path(target), HINT) != text:
        raise InputError(
            f"{target} is there with other lines: what was answered in it would be lost.",
            hint="--overwrite writes it anew, --output OTHER.toml writes beside it.",
        )
    with written_beside(target) as beside:
        beside.write_text(text, encoding="utf-8")
    return Path(target)


def data_lines(intake: Intake, target: Path) -> Iterator[str]:
    """The lines of the file."""
    proposal, questions = intake.proposal, {q.field: q for q in intake.proposal.questions}
    yield TITLE
    yield from (f"# {note}" for note in proposal.notes)
    yield ""
    yield "[data]"
    folder = Path(os.path.realpath(target)).parent
    files = [relative_to(file, folder) for file in intake.source.inputs]
    yield f"files = {as_toml(files)}"
    dialect = intake.source.dialect
    if dialect is not None:
        dialect_text = f"encoding {dialect.encoding}, separator {json.dumps(dialect.separator)}"
        yield f"# text: {dialect_text}, header in line {dialect.header_line}"
    for name, value in _fields(proposal.recipe).items():
        yield from _line(name, value, proposal.reasons.get(name, ""), questions.get(name))
    if "as_of" in questions:
        yield from _question_lines(questions["as_of"])
        yield f"# as_of = {dt.date.today()}  # {MARK}"
    yield ""
    yield "[data.columns]            # ours = yours"
    for role, value in proposal.recipe.columns:
        if value is not None:
            question = questions.get(f"columns.{role}")
            yield from _line(role, value, proposal.reasons.get(role, ""), question)
    for unused in proposal.unused:
        if unused.holds != "other":
            yield f"# not used: {unused.name!r}, which seems to hold {unused.holds}"
    yield from _terms(intake)
    yield from _model(intake)


def _terms(intake: Intake) -> Iterator[str]:
    currency = intake.check.currency
    yield ""
    yield "[terms]"
    yield "# margin_rate = 0.30      # yours, of revenue; without it every value is revenue"
    yield "annual_discount_rate = 0.10"
    yield 'horizon = "3 years"'
    yield f'currency = "{currency}"'


def _model(intake: Intake) -> Iterator[str]:
    """What to fit and how to judge it, from the log's own gaps and span."""
    yield ""
    yield "[model]"
    yield 'name = "clv"              # in the registry'
    yield 'purchase_model = "auto"   # chosen by forecasts from several earlier days'
    if intake.purchases is None:
        yield '# churn_horizon = "13 weeks" # whoever does not buy within it counts as lost'
        yield ""
        yield "# [holdout]               # fitted up to the cutoff, judged on what came after"
        yield "# cutoff = 2024-06-30     # without one, the last quarter of the log is held out"
        return
    horizon, why = _horizon(intake)
    yield f'churn_horizon = "{horizon}"  # {why}'
    report = intake.report
    yield ""
    yield "[holdout]                 # fitted up to the cutoff, judged on what came after"
    yield f"cutoff = {usual_cutoff(report.first_date, report.last_date)}"


def usual_cutoff(first: dt.date, last: dt.date) -> dt.date:
    """The day before the last quarter of a log, but no more than 91 days before its end.

    >>> usual_cutoff(dt.date(2023, 1, 1), dt.date(2024, 12, 31))
    datetime.date(2024, 10, 1)
    """
    return last - dt.timedelta(days=min(91, (last - first).days // 4))


def _horizon(intake: Intake) -> tuple[str, str]:
    """The churn horizon that the gaps between purchases suggest, and why."""
    try:
        proposal = propose_horizon(intake.purchases)
    except FitError as error:
        return "13 weeks", f"assumed: {error.message}"
    return str(proposal.horizon), proposal.reason


def _fields(recipe: Recipe) -> dict[str, Any]:
    """The fields worth a line: those that differ from the default, or that people look for."""
    always = {"rows", "currency", "duplicates", "same_day", "zero_amounts"}
    always |= {"date_order", "decimal"} & recipe.model_fields_set  # ISO dates have no order
    default = Recipe()
    return {
        name: getattr(recipe, name)
        for name in Recipe.model_fields
        if name != "columns"
        and getattr(recipe, name) is not None
        and (name in always or getattr(recipe, name) != getattr(default, name))
    }


def _line(name: str, value: Any, reason: str, question: Question | None) -> Iterator[str]:
    if question is not None:
        yield from _question_lines(question)
        yield f"{name} = {as_toml(value)}  # {MARK}"
    else:
        yield (f"{name} = {as_toml(value)}".ljust(25) + (f" # {reason}" if reason else "")).rstrip()


def _question_lines(question: Question) -> Iterator[str]:
    yield f"# {MARK}: {question.text}"
    for choice in question.choices:
        outcome = (
            f": {count(choice.purchases)} purchases, {number(choice.amount)}"
            if choice.amount is not None
            else ""
        )
        yield f"#   {json.dumps(choice.value, ensure_ascii=False)}{outcome}"


def as_toml(value: Any) -> str:
    """A value as TOML has it: JSON's strings and lists are TOML's, too."""
    if isinstance(value, tuple | list):
        return "[" + ", ".join(as_toml(each) for each in value) + "]"
    if isinstance(value, dt.date):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def seen_from(folder: Path, file: str) -> str:
    """Where a file is that settings in a folder name; an address as it is."""
    return file if DatabaseAddress.parse(file) else str(folder / file)


def relative_to(file: str, folder: Path) -> str:
    """A file as seen from a folder; an address as it is."""
    if DatabaseAddress.parse(file):
        return file
    try:
        return os.path.relpath(os.path.realpath(file), folder)
    except ValueError:  # another drive
        return os.path.realpath(file)
