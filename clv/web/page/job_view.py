"""What the page shows of an upload: how far it is, what was found, which model is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clv.app.contents.document import NOT_MADE
from clv.app.contents.taken_on import CONTENTS, in_words, is_open
from clv.app.jobs.job_folder import CHECK, JobFolder
from clv.app.jobs.job_steps import COMPARISON
from clv.app.jobs.upload_job import UploadJob
from clv.app.training.config import Money
from clv.app.training.promotion import WORDS
from clv.findings import Finding
from clv.format import (
    NONE,
    capital,
    change,
    count,
    counted,
    day,
    fine_number,
    measure,
    money,
    number,
)
from clv.intake.recipe import OPEN, Columns
from clv.report.charts import Column, Table
from clv.store import Store
from clv.web.page.job_forms import NOBODY, REPEATS, column_value
from clv.web.page.tables import facts, link, small, with_days

MOST_ROWS = 12  # of a table of a check
FIRST_TERMS = Money().model_dump(exclude={"margin_rate"})  # before there is a model
STATES = {
    "queued": "waits",
    "running": "runs",
    "done": "done",
    "failed": "failed",
    "stopped": "stopped",
}
STEPS = {"check": "Check", "train": "Train and compare", "publish": "Publish"}
ROLES = {
    "customer_id": "Customer", "date": "Date", "amount": "Amount", "quantity": "Quantity",
    "price": "Price of one", "order_id": "Order number", "refund": "Paid back",
    "refund_of": "Refund of order", "status": "Status", "kind": "Kind of row",
    "currency": "Currency of the row", "product": "Product", "channel": "Channel",
    "margin": "Margin of the row", "adjusted": "Adjusted amount", "sign": "Debit or credit",
    "counterpart": "The other side's amount",
    "discount": "Discount", "cancelled": "Marks what is no order",
}  # fmt: skip
NEEDED = ("customer_id", "date", "amount")
ANSWERS = {
    "dmy": "the day first", "mdy": "the month first", ".": "the point", ",": "the comma",
    "drop": "sent twice: leave the repeats out", "keep": "real: count them all",
    "lines": "the line's own", "order_on_each_line": "the whole order's", "count": "they count",
}  # fmt: skip
EXTRAS = {
    "spend": "Spend by channel",
    "contacts": "Contacts: name, e-mail or phone",
    "campaign": "A campaign's result",
    "order_lines": "Order lines with products, for next offers",
}


@dataclass(frozen=True)
class FormQuestion:
    """A question of a check: the name of its field, its words, and what may be answered."""

    field: str
    text: str
    options: Sequence[tuple[str, str]]


def list_content(jobs: JobFolder) -> Table | None:
    """The uploads that are kept."""
    rows = [
        (
            link(job.title, f"/jobs/{job.job_id}"),
            _moment(job.begun),
            job.owner,
            f"{STEPS[job.step]}: {STATES[job.state]}",
        )
        for job in jobs.all()
    ]
    columns = tuple(Column(name) for name in ("Orders", "Uploaded", "By", "How far"))
    return Table("Uploads that are kept, the newest first", columns, rows) if rows else None


def job_content(
    jobs: JobFolder, job: UploadJob, store: Store | None, newest: str
) -> dict[str, Any]:
    """What the template of one upload shows; ``newest`` is the file that was published last.

    ``store`` is None before the first was published.
    """
    check, compared = (jobs.document(job.job_id, name) for name in (CHECK, COMPARISON))
    shown = store.path.name if store else ""
    taken_over = newest in ("", shown) or newest != job.published
    waits = job.waits_for_worker or not taken_over
    fresh = job.step == "check" and job.state != "done"  # what is there is of the check before
    trained = bool(job.version) and not waits
    return {
        "job": job,
        "steps": list(STEPS.items()),
        "says": _says(jobs, job) if taken_over else "Published: the pages take it over now.",
        "moves": waits,
        "uploaded": f"{job.title}, uploaded {_moment(job.begun)} by {job.owner}",
        "check": None if (fresh and waits) or check is None else _check(check, job),
        "can_train": not waits and bool(check and check["usable"] and check["fit"]),
        "can_publish": not waits and bool(check and check["usable"]),
        "terms": _terms(store, check, job) if check else {},
        "compared": _compared(compared) if trained and compared else None,
        "took_over": job.with_new and job.step == "publish" and job.state == "done",
        "extras": _extras(job),
        "elsewhere": _elsewhere(store, job),
        "subscribers": _subscribers(store),
        "without": _without(store, job),
    }


def _says(jobs: JobFolder, job: UploadJob) -> str:
    """What is going on, in a sentence."""
    step = STEPS[job.step]
    if job.state == "queued":
        return f"{step}: waits for its turn."
    if job.state == "running" and not jobs.is_worked_on:
        return f"{step}: was interrupted, and begins again by itself."
    if job.state == "running":
        again = ", begun again after it was interrupted" if job.attempts > 1 else ""
        return f"{step}{again}: {job.doing or 'begins'}."
    if job.state == "stopped":
        return f"{step}: stopped."
    if job.step == "publish" and job.state == "done":
        return "Published: every page shows these orders now."
    return "" if job.state == "failed" else f"{step}: done."


def _check(check: Mapping[str, Any], job: UploadJob) -> dict[str, Any]:
    return {
        "verdict": check["verdict"],
        "fit": check["fit"],
        "in_use": check["in_use"] or bool(job.published),
        "facts": None if check["customers"] is None else facts(_figures(check)),
        "questions": [_question(one) for one in _plain_questions(check)],
        "either": [_either(one) for one in check["questions"] if one["field"] in check["unclear"]],
        "cells": [(field, cell) for field, cells in check["unclear"].items() for cell in cells],
        "columns": [*_column_choices(check), *_row_choices(check)],
        "left_out": _left_out(check["left_out"]),
        "unused": [_unused(one) for one in check["unused_columns"][:MOST_ROWS]],
        "notes": [
            capital(Finding.from_dict(note).on_page)
            for note in (*check["regular"], *check["notes"])
        ],
    }


def _figures(check: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "Customers": count(check["customers"]),
        "Purchases": count(check["purchases"]),
        "Sum": money(check["amount"], check["currency"]),
        "From, to": f"{day(check['first_day'])} to {day(check['last_day'])}",
        "Rows of the file": count(check["rows_in"]),
    }


def _plain_questions(check: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Those that a choice answers; columns and cells have fields of their own."""
    return [
        one
        for one in check["questions"]
        if not one["field"].startswith("unclear_") and "columns." not in one["field"]
    ]


def _question(question: Mapping[str, Any]) -> FormQuestion:
    options = [(one["value"], _answer(one)) for one in question["choices"]]
    return FormQuestion(f"answer.{question['field']}", question["text"], options)


def _answer(choice: Mapping[str, Any]) -> str:
    words = ANSWERS.get(choice["value"], str(choice["value"]))
    if choice["amount"] is None:
        return words
    return f"{words}: {counted(choice['purchases'], 'purchase')}, {number(choice['amount'])}"


def _either(question: Mapping[str, Any]) -> str:
    """What comes if rows that are unclear count all, and if none of them does."""
    begin = {"count": "If they count", "leave out": "if they are left out"}
    return "; ".join(
        f"{begin[one['value']]}: {counted(one['purchases'], 'purchase')}, {number(one['amount'])}"
        for one in question["choices"]
        if one["amount"] is not None
    )


def _unused(column: Mapping[str, Any]) -> str:
    """A column, with what its cells look like where that is anything."""
    return column["name"] if column["holds"] == "other" else f"{column['name']}: {column['holds']}"


def _column_choices(check: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A choice for each role: none, or a column of the file."""
    open_roles = {q["field"].removeprefix("columns."): q for q in check["questions"]}
    choices = []
    for role in Columns.model_fields:
        chosen = check["columns"].get(role)
        value = NOBODY if chosen in (None, OPEN) else column_value(chosen)
        options = [(NOBODY, "choose" if role in open_roles else "none")]
        if isinstance(chosen, list):
            options.append((value, " + ".join(chosen)))
        options += [(column_value(name), name) for name in dict.fromkeys(check["names"])]
        question = open_roles.get(role, {}).get("text", "")
        choices.append(
            {"name": f"column.{role}", "label": ROLES[role], "options": options, "value": value}
            | {"question": question, "first": role in NEEDED or bool(chosen)}
        )
    return choices


def _row_choices(check: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What becomes of rows that repeat another, unless that is a question still."""
    value = check.get("duplicates", OPEN)
    choice = {"name": "answer.duplicates", "label": "Rows that repeat another (duplicates)"}
    options = [(each, ANSWERS[each]) for each in REPEATS]
    more = {"options": options, "value": value, "question": "", "first": False}
    return [choice | more] if value in REPEATS else []


def _left_out(parts: Sequence[Mapping[str, Any]]) -> Table | None:
    rows = [
        (
            capital(part["reason"]),
            count(part["rows"]),
            number(part["amount"]),
            ", ".join(map(str, part["examples"])) or NONE,
        )
        for part in parts[:MOST_ROWS]
    ]
    columns = (
        Column("Why", "prose"),
        *(Column(n, "number") for n in ("Rows", "Sum", "Such as row")),
    )
    return Table("Rows that are no part of the log", columns, rows) if rows else None


def _terms(store: Store | None, check: Mapping[str, Any], job: UploadJob) -> dict[str, str]:
    """What stands in the form of the terms: those of the pages, unless others are decided."""
    decided = ({name: v for name, v in terms.items() if v} for terms in (check["terms"], job.terms))
    terms = {**(store.terms if store else FIRST_TERMS), **next(decided), **next(decided)}
    shown = {"horizon": str(terms.get("horizon", "")), "currency": str(terms.get("currency", ""))}
    for name, field in (("margin", "margin_rate"), ("discount", "annual_discount_rate")):
        value = terms.get(field)
        shown[name] = f"{100 * value:.6g}" if isinstance(value, int | float) else ""
    return shown


def _compared(compared: Mapping[str, Any]) -> dict[str, Any]:
    """The figures side by side, and what they decide."""
    refused, reason = (
        capital(Finding.from_dict(compared[name]).on_page) if name in compared else ""
        for name in ("refused", "reason")
    )
    return {
        "table": _measures(compared) if compared["measures"] else None,
        "refused": refused,
        "reason": reason,
        "warns": bool(compared.get("old"))
        and not refused
        and not compared.get("beats_naive", True),
        "has_old": compared.get("old") is not None,
    }


def _measures(compared: Mapping[str, Any]) -> Table:
    old = f"In use, version {compared['old']}" if compared["old"] else "In use"
    names = (f"New, version {compared['new']}", old, "Best naive forecast")
    columns = (Column("Measure"), *(Column(name, "number") for name in names), Column("Which"))
    rows = [
        (
            small(measure(row["measure"]), WORDS[row["measure"].partition("/")[2]]),
            *(_figure(row["measure"], row[name]) for name in ("new", "old", "naive")),
            row["by"],
        )
        for row in compared["measures"]
    ]
    decides = [
        k for k, row in enumerate(compared["measures"]) if row["measure"] == compared["measure"]
    ]
    span = with_days(compared["holdout"])
    caption = f"Forecasts of {span}, which no model had seen; the marked row decides"
    return Table(caption, columns, rows, decides)


def _figure(name: str, value: float | None) -> str:
    """A measure of a forecast as it is read: how far off in percent, errors to the cent."""
    if name.endswith("/bias"):
        return change(value)
    return number(value) if name == "money/rmse" else fine_number(value)


def _extras(job: UploadJob) -> list[tuple[str, str, str]]:
    """What may go along: its kind, its words, and what was uploaded already."""
    titles: dict[str, str] = {kind: extra.title for kind, extra in job.extras.items()}
    return [(kind, words, titles.get(kind, "")) for kind, words in EXTRAS.items()]


def _elsewhere(store: Store | None, job: UploadJob) -> list[str]:
    """What the page shows at present, from further files, that this upload does not replace."""
    there = [*store.documents, *store.tables] if store else []
    return in_words([name for name in there if name in CONTENTS and is_open(name, {*job.extras})])


def _subscribers(store: Store | None) -> str:
    """Those among the customers, of whom no order tells; empty where there are none."""
    subscribers = store.subscribers if store else 0
    return counted(subscribers, "subscriber") if subscribers else ""


def _without(store: Store | None, job: UploadJob) -> list[str]:
    """What this upload was published without, and why."""
    if store is None or store.path.name != job.published:
        return []
    return [note.on_page for note in store.notes if note.code in NOT_MADE]


def _moment(text: str) -> str:
    return f"{day(text[:10])}, {text[11:16]} UTC"
