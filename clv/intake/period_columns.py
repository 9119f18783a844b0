"""Tables of one column a month, quarter, week or day: each filled cell becomes a row of its own."""

from __future__ import annotations

from dataclasses import replace

from clv.intake.period_names import first_day, periods_among
from clv.intake.sources import Source
from clv.intake.vocabulary import candidates
from clv.io.queries import Query, sql_text

DAY, MONEY = "month", "amount"  # what the two columns are called that take the others' place


def with_periods_as_rows(source: Source) -> Source:
    """The source with a row for each filled cell of columns that are periods.

    Any other table stays as it is: with a column of dates, with a period twice or without its year.
    """
    days = {name: first_day(name) for name in periods_among(source.names)}
    others = [name for name in source.names if name not in days]
    taken = {DAY, MONEY} & set(others) or candidates("date", others)
    if not days or not others or taken or None in days.values():
        return source
    if len(set(days.values())) < len(days) or source.names.count(next(iter(days))) > 1:
        return source
    kinds = {source.type_of(name) for name in days}
    kind = kinds.pop() if len(kinds) == 1 else "VARCHAR"
    cells = ", ".join(
        f"{{'day': {sql_text(str(day))}, 'cell': {source.column(name)}::{kind}}}"
        for name, day in days.items()
    )
    places = [place for place, name in enumerate(source.names) if name not in days]
    kept = ", ".join(f"c{place} AS c{to}" for to, place in enumerate(places))
    query = (
        f"SELECT {kept}, pair.day AS c{len(others)}, pair.cell AS c{len(others) + 1}, _row, _file "
        f"FROM (SELECT *, unnest([{cells}]) AS pair FROM ({source.rows.text})) "
        "WHERE trim(pair.cell::VARCHAR) <> ''"
    )
    source.connection.execute(f"CREATE OR REPLACE TEMP TABLE period_rows AS {query}")
    types = (*(source.types[place] for place in places), "VARCHAR", kind)
    rows = Query(source.connection, "FROM period_rows")
    names = (*others, DAY, MONEY)
    return replace(source, rows=rows, names=names, types=types, periods=tuple(days))
