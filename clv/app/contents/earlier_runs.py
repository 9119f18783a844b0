"""What changed since the runs before: the store that a run replaces is read before it is replaced.

A store keeps its model and what each of today's customers was worth in the runs before, so that
the next run can be explained, and compared with any of them. Who is no longer a customer is in
sums alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clv.app.contents.document import StoreParts
from clv.errors import ClvError, InputError, ModelError
from clv.findings import finding
from clv.io.changes import workspace
from clv.monitoring.change_report import change_record, longer_record
from clv.monitoring.value_changes import ValuedBase, explain_change
from clv.scorer import CustomerScorer
from clv.store import Store
from clv.store.intake import keys_of, read_orders, read_run

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

RUNS = 12  # earlier runs that a store can be compared with
CHANGES, VALUES, MODEL = "changes", "run_values", "model_files"


def of_changes(
    folder: Path, scores: pa.Table, log: pa.Table | None, scorer: CustomerScorer | None
) -> StoreParts:
    """The document ``changes``, and what the next run needs: earlier values, and the model.

    Parameters
    ----------
    folder
        Where this run will be published; what is served from there now is the last run.
    scores
        The new scores.
    log, scorer
        The clean orders and the model behind them, where they are known.

    Raises
    ------
    ColumnError, RowError, InputError
        The scores cannot be published.
    """
    model = StoreParts(tables={MODEL: _files(scorer)} if scorer else {})
    try:
        last = Store.open(folder)
    except InputError:  # nothing is served there, or nothing that this version reads
        return model
    with last:
        run = read_run(scores)
        orders = None if log is None else _log(read_orders(log))
        now = ValuedBase(_values(run.customers), run.terms["as_of"], scorer, orders)
        return model.then(_compared(last, now, run.terms))


def earlier_runs(store: Store) -> dict[str, Any]:
    """What changed since each run before, by its day, the last run first; of one day the last."""
    runs: dict[str, Any] = {}
    for record in store.document(CHANGES) or []:
        runs.setdefault(record["since"], record)
    return runs


def record_since(store: Store, since: str | None) -> dict[str, Any]:
    """What changed since the run of a day, or the last run.

    Raises
    ------
    InputError
        The store remembers no run before, or none of that day.
    """
    runs = earlier_runs(store)
    if not runs:
        raise InputError(
            "there is nothing to compare with: no run was published before this one.",
            hint="publish the next run to the same folder.",
        )
    if since is None:
        return dict(next(iter(runs.values())))
    if since not in runs:
        raise InputError(f"no run of {since!r} is known.", hint=f"use one of {', '.join(runs)}.")
    return dict(runs[since])


def _compared(last: Store, now: ValuedBase, terms: Mapping[str, Any]) -> StoreParts:
    before, currency = last.terms.get("currency"), terms.get("currency")
    if before != currency:
        note = finding("changes.other_currency", before=str(before), now=str(currency))
        return StoreParts(notes=(note,))
    then = _last_run(last)
    earlier, older = last.document(CHANGES) or [], _earlier_values(last)
    models = {"model_before": last.terms["model_version"], "model_after": terms["model_version"]}
    same = then.as_of == now.as_of and len(set(models.values())) == 1
    if same and then.values.equals(now.values):  # published again
        return _recorded(earlier, older.reindex(now.values.index))
    try:
        change, notes = _explained(then, now)
    except InputError as error:
        return StoreParts(notes=(finding("changes.not_split", why=error.message),))
    values = older.reindex(now.values.index)
    record = change_record(change) | models
    rest = [
        longer_record(each, record, values[name], now.values)
        for each, name in zip(earlier, values.columns, strict=True)
    ]
    values.insert(0, "last", then.values.reindex(now.values.index))
    return StoreParts(notes=notes).then(_recorded([record, *rest], values))


def _explained(then: ValuedBase, now: ValuedBase) -> Any:
    """The change, split as far as it can be, and a note where it cannot."""
    if then.scorer is None or then.log is None:
        return explain_change(then, now), (finding("changes.no_model"),)
    try:
        return explain_change(then, now), ()
    except ClvError as error:  # such as a model that has another unit than the days between
        whole = explain_change(ValuedBase(then.values, then.as_of), now)
        return whole, (finding("changes.not_split", why=error.message),)


def _recorded(records: list[Any], values: pd.DataFrame) -> StoreParts:
    """Records and the values behind them, the last run first; the oldest are let go."""
    import pyarrow as pa

    if not records:
        return StoreParts()
    latest = values.iloc[:, :RUNS]
    names = [f"run_{n}" for n in range(1, latest.shape[1] + 1)]
    rows = latest.set_axis(names, axis=1).rename_axis("customer_id").reset_index()
    table = pa.Table.from_pandas(rows, preserve_index=False)
    return StoreParts({CHANGES: records[:RUNS]}, {VALUES: table})


def _last_run(last: Store) -> ValuedBase:
    """The run that is served now."""
    table, orders = last.export(columns=("customer_id", "clv"), terms=()).read_all(), last.log()
    return ValuedBase(
        _values(table.append_column("key", keys_of(table["customer_id"]))),
        str(last.terms["as_of"]),
        _loaded(last.table(MODEL)),
        None if orders is None else _log(orders),
    )


def _earlier_values(last: Store) -> pd.DataFrame:
    """Values at the runs before the last one, a column each, by customer."""
    import pandas as pd

    table = last.table(VALUES)
    if table is None:
        return pd.DataFrame()
    keys = keys_of(table["customer_id"]).to_pylist()
    frame: pd.DataFrame = table.drop_columns("customer_id").to_pandas()
    frame.index = pd.Index(keys)
    return frame


def _values(customers: pa.Table) -> pd.Series[float]:
    import pandas as pd

    index = pd.Index(customers["key"].to_pylist(), name="customer_id")
    return pd.Series(customers["clv"].to_numpy(), index=index, dtype=float).sort_index()


def _log(orders: pa.Table) -> pd.DataFrame:
    """Orders as the comparison reads them."""
    import pandas as pd

    named = [n for n in ("key", "date", "amount", "channel") if n in orders.column_names]
    frame: pd.DataFrame = orders.select(named).to_pandas().rename(columns={"key": "customer_id"})
    frame["date"] = pd.to_datetime(frame["date"])
    return frame


def _files(scorer: CustomerScorer) -> pa.Table:
    """The files that a model is saved in, by name."""
    import pyarrow as pa

    with workspace() as folder:
        files = sorted(scorer.save(folder / "model").glob("[a-z]*"))
        held = {"name": [f.name for f in files], "content": [f.read_bytes() for f in files]}
    return pa.table(held, schema=pa.schema({"name": pa.string(), "content": pa.binary()}))


def _loaded(files: pa.Table | None) -> CustomerScorer | None:
    """The model that was saved in files; None where it cannot be used any more."""
    if files is None:
        return None
    with workspace() as folder:
        for row in files.to_pylist():
            (folder / Path(row["name"]).name).write_bytes(row["content"])
        try:
            return CustomerScorer.load(folder)
        except ModelError:
            return None
