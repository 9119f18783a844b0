"""Publish a scoring run: build beside, check, put in place, point to it, and only then tidy up."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clv.errors import InputError, ModelError
from clv.extras import require_extra
from clv.findings import Finding, finding
from clv.intake.fingerprint import read_as_trained
from clv.io.changes import disk_errors, written_beside
from clv.io.engine import connect
from clv.io.files import read_table
from clv.score_columns import models_behind
from clv.store import build, intake
from clv.store.folder import FILES, alone, new_name, switch, tidy
from clv.store.reader import Store, read_notes

TABLE = re.compile(r"[a-z][a-z0-9_]{0,62}")
DERIVED = ("model_card", "concentration")


@dataclass(frozen=True)
class PublishedStore:
    """What was published.

    Attributes
    ----------
    path
        The file that is served now.
    model_version, as_of
        Of its scores.
    customers, orders
        How many are in it.
    bytes
        Its size.
    previous
        The file to which ``rollback`` goes back; None if there is none.
    notes
        What was left out, and what to know about it.
    """

    path: Path
    model_version: str
    as_of: str
    customers: int
    orders: int
    bytes: int
    previous: Path | None
    notes: tuple[Finding, ...]


def publish(
    scores: object,
    folder: str | os.PathLike[str],
    *,
    log: object = None,
    card: Mapping[str, Any] | None = None,
    documents: Mapping[str, Any] | None = None,
    tables: Mapping[str, object] | None = None,
    notes: Sequence[Finding | str] = (),
    **rules: Any,
) -> PublishedStore:
    """Build a store from the scores of one run, and serve it from now on.

    Whatever happens on the way, and whenever, ``CURRENT`` names a whole file: the earlier one
    until the new one is complete, checked and on the disk. The earlier one is kept.

    Parameters
    ----------
    scores
        What ``CustomerScorer.predict`` gives, in any dataframe, or a file that ``clv score`` wrote.
    folder
        Where the store is, or is to be.
    log
        The orders that were scored: a clean log in any dataframe; or a file, which is cleaned as
        of the scores' day. Gives time lines, cohorts and historic revenue.
    card
        The model card of the scorer, kept as the document ``model_card``.
    documents
        By name, whatever JSON can hold: backtest, coverage, plans. Infinite and missing numbers
        become null.
    tables
        By name, any dataframe: channels, cohorts, curves. Rows of one with a customer_id are found
        by it; those of customers who were not scored are left out, and told.
    notes
        What to know about all this, beside what is told anyway.
    rules
        How a file is cleaned, as in :func:`clv.data.transactions.clean`: columns, same_day,
        date_format and so on.

    Raises
    ------
    InputError
        The scores or the log cannot be used, the folder cannot be written to, or another run is
        publishing to it. Nothing has changed then.
    ModelError
        The card is of another model than the scores.

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> scores = pd.DataFrame({
    ...     "customer_id": ["ann", "bob"], "days_since_last": [3.0, 90.0], "clv": [80.0, 20.0],
    ...     "expected_purchases": [4.0, 1.0], "churn_probability": [0.1, 0.7],
    ...     "value_at_stake": [30.0, 10.0], "model_version": "v1", "as_of": "2024-03-31",
    ...     "horizon": "3 years", "currency": "EUR"})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     published = publish(scores, folder)
    ...     store = Store.open(folder)
    ...     store.customer("ann")["clv"], store.terms["currency"], str(published.notes[0])
    (80.0, 'EUR', 'No order log was published: no cohorts, no time lines, no historic revenue.')
    """
    run = intake.read_run(read_table(scores) if isinstance(scores, (str, os.PathLike)) else scores)
    _check_card(card, run.terms["model_version"])
    orders, report = _orders(log, run.terms["as_of"], rules, card)
    extra = {name: intake.read_given(table, name) for name, table in _named(tables)}
    says = [finding("basis.text", text=n) if isinstance(n, str) else n for n in notes]
    contents = build.Contents(run, orders, _documents(card, report, documents), extra, says)
    with alone(folder) as place:
        path = place / FILES / new_name(str(run.terms["model_version"]))
        with written_beside(path) as beside:
            about = _build(beside, contents)
        pointer = switch(place, path.name)
        tidy(place, (pointer.current, pointer.previous))
        previous = path.with_name(pointer.previous) if pointer.previous else None
    return PublishedStore(
        path=path,
        model_version=str(run.terms["model_version"]),
        as_of=run.terms["as_of"],
        customers=about["customers"],
        orders=about["orders"],
        bytes=path.stat().st_size,
        previous=previous,
        notes=read_notes(about),
    )


def _build(path: Path, contents: build.Contents) -> dict[str, Any]:
    """Write the file, and open it again as a reader would to see that it is right."""
    require_extra("cli", "duckdb")

    connection = connect(path)
    try:
        about = build.write(connection, contents)
        connection.execute("CHECKPOINT")
    except disk_errors() as error:
        raise OSError(str(error).splitlines()[0]) from error
    finally:
        connection.close()
    if path.with_name(path.name + ".wal").exists():
        raise InputError(f"{path.name} was not written whole.", hint="is the disk full?")
    with Store.open(path) as store:
        store.check()
    return about


def _check_card(card: Mapping[str, Any] | None, version: object) -> None:
    if card is not None and card.get("version") not in models_behind(version):
        raise ModelError(
            f"the model card is of model {card.get('version')}, the scores of {version}.",
            hint="give the model that made the scores, or score anew.",
        )


def _orders(
    log: object, as_of: str, rules: Mapping[str, Any], card: Mapping[str, Any] | None
) -> tuple[Any, Any]:
    """The orders of a log, and the report on it if it was cleaned here."""
    if not isinstance(log, (str, os.PathLike)):
        if unused := sorted(name for name, rule in rules.items() if rule):
            raise InputError(
                f"{unused[0]} says how to clean a file, and no file of orders is given.",
                hint="give the log as a file, or leave it out.",
            )
        return (None if log is None else intake.read_orders(log)), None
    training = (card or {}).get("training")
    orders = read_as_trained(log, training, as_of=as_of, **rules)
    return intake.read_orders(orders.purchases), orders.report.to_dict()


def _documents(
    card: Mapping[str, Any] | None, report: Any, given: Mapping[str, Any] | None
) -> dict[str, Any]:
    documents = {"model_card": card, "data_report": report}
    known = {name: document for name, document in documents.items() if document is not None}
    if taken := sorted({*known, *DERIVED} & set(given or ())):
        raise InputError(f"the document {taken[0]} is made by publish.", hint="name it otherwise.")
    return known | dict(given or {})


def _named(tables: Mapping[str, object] | None) -> list[tuple[str, object]]:
    for name in tables or ():
        if not TABLE.fullmatch(name):
            raise InputError(
                f"{name!r} cannot name a table.", hint="use small letters, digits and _."
            )
    return list((tables or {}).items())
