"""Dates as people write them: ISO in any spelling, day or month first, months by name, serials.

Whether 05/01/2024 is in January or in May is settled by the column as a whole: by a day above 12,
by dots (which nobody puts between month and day), by the order of the rows, by days that are yet
to come. What is not settled so is asked. Offsets such as +0100 stand as written: the clock on the
wall of the shop, unless a time zone says whose days count.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Order = Literal["dmy", "mdy"]

_MONTHS = {
    1: "january jan januar jaenner janvier janv enero ene gennaio gen januari janeiro stycznia "
    "ocak января янв",
    2: "february feb februar fevrier fevr fev febrero febbraio februari fevereiro lutego "
    "subat февраля фев февр",
    3: "march mar maerz marz mrz mars marzo maart mrt marco marca mart марта мар",
    4: "april apr avril avr abril abr aprile kwietnia nisan апреля апр",
    5: "may mai mayo maggio mag mei maio maja maj mayis мая",
    6: "june jun juni juin junio giugno giu junho czerwca haziran июня июн",
    7: "july jul juli juillet juil julio luglio lug julho lipca temmuz июля июл",
    8: "august aug aout agosto ago augustus augusti sierpnia agustos августа авг",
    9: "september sep sept septembre septiembre settembre set setembro wrzesnia eylul сентября сен "
    "сент",
    10: "october oct oktober okt octobre octubre ottobre ott outubro out pazdziernika ekim октября "
    "окт",
    11: "november nov novembre noviembre novembro listopada kasim ноября ноя нояб",
    12: "december dec dezember dez decembre diciembre dic dicembre desember dezembro grudnia "
    "aralik декабря дек",
}
MONTH_OF = {name: month for month, names in _MONTHS.items() for name in names.split()}

DIGITS = "０１２３４５６７８９٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹०१२३४५६७८९"  # of other scripts
_TIME = r"(?:[T ,]+(\d{1,2}[:h.]\d{2}(?::\d{2})?)(?:[.,]\d+)?(?: Uhr|s)?\s*((?i:[ap]\.?\s?m\.?))?)?"
_ZONE = (
    r"\s*((?i:Z|UTC|GMT)?(?:[+-]\d{1,2}(?::?\d{2})?)?)"
    r"(?:\s*\([^)]*\)|\[[^]]*\]|\s+([A-Z]{3,5}))?"
)
_WEEKDAY = r"(?:[^\s\d,.:/-]{2,10}\.?,? +)?"
_WORD = r"([^\s\d,.:/-]{3,12})\.?"
_REST = rf"{_TIME}{_ZONE}"
# What the engine reads by itself: a day, or a day and a time. An offset behind it says nothing
# where the clock on the wall of the shop counts.
_DAY = r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_CLOCK = r"[ T](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d"
_OFFSET = r"(?:\.\d+)? ?(?:Z|UTC|[+-]\d{2}:?\d{2})?"

# Shapes of a written date: the pattern, then which group is year, month, day, time, am/pm, offset,
# name of a zone.
# In "numeric" the first two groups are day and month in either order.
SHAPES: dict[str, tuple[str, str]] = {
    "iso": (rf"(\d{{4}})[-/.](\d{{1,2}})[-/.](\d{{1,2}}){_REST}", "ymdtpza"),
    "compact": (
        r"((?:19|20)\d{2})(0[1-9]|1[0-2])([0-3]\d)(?:[T ]?(\d{2}:?\d{2}:?\d{2}))?()"
        r"(Z|[+-]\d{2}:?\d{2})?",
        "ymdtpz",
    ),
    "cjk": (rf"(\d{{4}})[年.] ?(\d{{1,2}})[月.] ?(\d{{1,2}})[日.]{_REST}", "ymdtpza"),
    "week": (r"(\d{4})-?W(\d{2})-?([1-7])", "w"),
    "weeks": (r"(\d{4})-?W(\d{2})", "w"),
    "months": (r"((?:19|20)\d{2})[-/](0[1-9]|1[0-2])", "m"),
    "numeric": (rf"{_WEEKDAY}(\d{{1,2}})[-/.](\d{{1,2}})[-/.](\d{{4}}|\d{{2}}){_REST}", "12ytpza"),
    "day_name": (
        rf"{_WEEKDAY}(\d{{1,2}})(?:st|nd|rd|th|\.|er)?[ -](?:de )?{_WORD},?[ -](?:de )?"
        rf"(\d{{4}}|\d{{2}}){_REST}",
        "dnytpza",
    ),
    "name_day": (
        rf"{_WEEKDAY}{_WORD}[ -](\d{{1,2}})(?:st|nd|rd|th)?,?[ -](\d{{4}}|\d{{2}}){_REST}",
        "ndytpza",
    ),
    "epoch": (r"(-?\d{10}|\d{13}|\d{16}|\d{19})(?:\.\d+)?", "e"),
    "serial": (r"([1-9]\d{4}(?:[.,]\d+)?)", "s"),
}
NUMERIC = ("first > 12", "second > 12", "dots")  # what is counted of numeric dates
PARTS = tuple(name for name, (_, groups) in SHAPES.items() if "y" in groups)
FIELDS = ("y", "m", "n", "d", "t", "p", "z")  # of those groups, n being the name of a month


@dataclass(frozen=True)
class Moments:
    """What the cells of a column of dates look like.

    Attributes
    ----------
    shapes
        How many cells have each shape; "unreadable" for what is no date.
    examples
        A cell of each.
    first_above_12, second_above_12
        Of numeric dates, how many have such a first or second number.
    dotted
        How many numeric dates are parted by dots.
    offsets
        The offsets or names of zones that stand beside times, with their count; "" for none.
    """

    shapes: Mapping[str, int]
    examples: Mapping[str, str]
    first_above_12: int
    second_above_12: int
    dotted: int
    offsets: Mapping[str, int]

    @property
    def readable(self) -> float:
        """The share of filled cells that are dates."""
        filled = sum(self.shapes.values())
        return 1 - self.shapes.get("unreadable", 0) / filled if filled else 0.0

    @property
    def order(self) -> Order | None:
        """Day or month first, as far as the cells themselves settle it."""
        if self.first_above_12 and self.second_above_12:
            return None
        if self.second_above_12:
            return "mdy"
        numeric = self.shapes.get("numeric", 0)
        return "dmy" if self.first_above_12 or not numeric or self.dotted == numeric else None


def look_at_moments(rows: Any, column: str) -> Moments:
    """What the cells of a text column look like as dates, counted by the engine.

    Parameters
    ----------
    rows
        A DuckDB relation.
    column
        The name of a column of text.
    """
    looks = moments_by_name(rows.project(f"'' AS name, {column} AS cell"))
    return looks.get("", Moments({}, {}, 0, 0, 0, {}))


def moments_by_name(cells: Any) -> dict[str, Moments]:
    """What the cells of several columns of dates look like, from ``name`` and ``cell``."""
    cells = cells.project(f"name, {_cell('cell')} AS cell").filter("cell <> ''")
    cells = cells.aggregate("name, cell, count(*) AS n")
    zone = " ".join(f"WHEN '{name}' THEN {_zone(name)}" for name in PARTS)
    table = _taken_apart(cells, "cell").project(
        "name, n, cell, _shape AS shape, "
        "try_cast(_numeric.d AS INTEGER) AS first, try_cast(_numeric.m AS INTEGER) AS second, "
        f"regexp_matches(cell, '^\\d+\\.\\d+\\.') AS dots, CASE _shape {zone} END AS zone"
    )
    numeric = (f"n * (shape = 'numeric' AND {what})::BIGINT" for what in NUMERIC)
    counted = table.aggregate(
        "name, shape, zone, sum(n)::BIGINT AS n, min(cell), "
        + ", ".join(f"coalesce(sum({count}), 0)::BIGINT" for count in numeric)
    )
    rows_of: dict[str, list[Any]] = {}
    for name, *row in counted.fetchall():
        rows_of.setdefault(name, []).append(row)
    return {name: _moments(rows) for name, rows in rows_of.items()}


def _moments(rows: Sequence[Any]) -> Moments:
    """From rows of shape, zone, count, example, and how many numeric ones are of each kind."""
    shapes, offsets = Counter[str](), Counter[str]()
    for shape, zone, n, *_ in rows:
        shapes[shape] += n
        offsets[zone or ""] += n if shape != "unreadable" else 0
    examples = {shape: min(row[3] for row in rows if row[0] == shape) for shape in shapes}
    first, second, dotted = (sum(row[k] for row in rows) for k in (4, 5, 6))
    zones = {zone: n for zone, n in offsets.items() if n}
    return Moments(shapes, examples, first, second, dotted, zones)


def order_by_rows(rows: Any, column: str, today: dt.date) -> Order | None:
    """Day or month first, by what makes sense of the rows: none later than today, and in order.

    A file sorted by date is in order under the right reading, and out of order under the wrong
    one; both may be the case for a handful of rows, which settle nothing.
    """
    fits: list[Order] = []
    sorted_: list[Order] = []
    orders: tuple[Order, ...] = ("dmy", "mdy")
    for order in orders:
        days = with_moment(rows, column, order).project("_row, _at::DATE AS day")
        steps = days.project("day, day - lag(day) OVER (ORDER BY _row) AS step")
        missing, later, up, down, n = steps.aggregate(
            f"count(*) FILTER (day IS NULL), count(*) FILTER (day > DATE '{today}'), "
            "count(*) FILTER (step > 0), count(*) FILTER (step < 0), count(*)"
        ).fetchall()[0]
        if not missing and not later:
            fits.append(order)
            if n >= 10 and up + down >= 8 and not (up and down):
                sorted_.append(order)
    chosen = sorted_ if len(sorted_) == 1 else fits
    return chosen[0] if len(chosen) == 1 else None


def with_moment(rows: Any, column: str, order: Order = "dmy", zone: str | None = None) -> Any:
    """``rows`` with ``_at``, the moment on the shop's clock; NULL where the text is no date.

    Parameters
    ----------
    rows
        A DuckDB relation.
    column
        The name of a column of text.
    order
        Which of day and month is first where both are numbers.
    zone
        Whose days count where the text carries an offset; as written if None.

    Examples
    --------
    >>> import duckdb
    >>> def read(text, **how):
    ...     rows = duckdb.sql("SELECT $t AS c", params={"t": text})
    ...     return str(with_moment(rows, "c", **how).project("_at").fetchall()[0][0])
    >>> read("2024-1-5"), read("05.01.2024 23:30"), read("1/5/24", order="mdy")
    ('2024-01-05 00:00:00', '2024-01-05 23:30:00', '2024-01-05 00:00:00')
    >>> read("5 janv. 2024 10:30:01 UTC"), read("Jan 5, 2024, 1:05 PM"), read("45296.5")
    ('2024-01-05 10:30:01', '2024-01-05 13:05:00', '2024-01-05 12:00:00')
    >>> late = "2024-01-05 23:30:00 +0100"
    >>> read(late), read(late, zone="America/New_York"), read("2024-02-30")
    ('2024-01-05 23:30:00', '2024-01-05 17:30:00', 'None')
    """
    # nearly all dates of large files are plain, for which all that follows is twenty times as dear
    clock = _CLOCK if zone else _CLOCK + _OFFSET
    plain = f"regexp_full_match({column}, '{_DAY}(?:{clock})?')"
    rest = f"CASE WHEN NOT {plain} THEN {_cell(column)} END"
    parts = _taken_apart(rows, rest, order)
    parts = parts.project("*, " + ", ".join(f"{_part(part)} AS _{part}" for part in FIELDS))
    hour, minute, second = (f"try_cast(string_split(_t, ':')[{k}] AS INTEGER)" for k in (1, 2, 3))
    year = "CASE WHEN length(_y) = 2 THEN '20' || _y ELSE _y END"
    month = f"lpad(coalesce(_m, {_month('_n')}), 2, '0')"
    parts = parts.project(
        f"*, try_cast({year} || '-' || {month} || '-' || lpad(_d, 2, '0') AS DATE) AS _day, "
        f"{_hour(hour)} AS _hour, {minute} AS _minute, "
        f"coalesce({second}, 0) AS _second, {_minutes_ahead('_z')} AS _ahead"
    )
    week = _week("_text || '1'")
    moment = (
        f"CASE WHEN {plain} THEN try_cast(left({column}, 19) AS TIMESTAMP) ELSE CASE _shape "
        f"WHEN 'epoch' THEN {_epoch('_text')} "
        f"WHEN 'serial' THEN {_serial('_text')} WHEN 'week' THEN {_week('_text')} "
        f"WHEN 'weeks' THEN {week} "
        "WHEN 'months' THEN try_cast(replace(_text, '/', '-') || '-01' AS TIMESTAMP) "
        f"WHEN 'unreadable' THEN NULL ELSE {_composed(zone)} END END"
    )
    helpers = [*PARTS, "text", "shape", *FIELDS, "day", "hour", "minute", "second", "ahead"]
    left = f"* EXCLUDE ({', '.join(f'_{name}' for name in helpers)})"
    return parts.project(f"*, {moment} AS _at").project(left)


def _cell(column: str) -> str:
    """SQL for a cell whose blanks, of every width, and digits, of every script, are plain ones."""
    plain = f"trim(replace({column}, '\t', ' '))"
    text = f"trim(regexp_replace({column}, '[\u00a0\u2009\u202f\t]', ' ', 'g'))"
    text = f"translate({text}, '{DIGITS}', '{'0123456789' * 4}')"
    # as many bytes as signs: none of another script, for which the rest is ten times as dear
    return f"CASE WHEN strlen({column}) = length({column}) THEN {plain} ELSE {text} END"


def _shape(cell: str) -> str:
    cases = (
        f"WHEN regexp_full_match({cell}, '{pattern}') THEN '{name}'"
        for name, (pattern, _) in SHAPES.items()
    )
    return f"CASE {' '.join(cases)} ELSE 'unreadable' END"


def _zone(name: str) -> str:
    """SQL for the offset beside a time of one shape, or else the name of a zone such as EST."""
    by_name = f"_{name}.a" if "a" in SHAPES[name][1] else "''"
    return f"coalesce(nullif(_{name}.z, ''), {by_name})"


def _taken_apart(rows: Any, text: str, order: Order = "dmy") -> Any:
    """``rows`` with ``_text``, its ``_shape``, and of each shape its parts as a struct."""
    shaped = rows.project(f"*, {text} AS _text").project(f"*, {_shape('_text')} AS _shape")
    return shaped.project("*, " + ", ".join(f"{_groups(name, order)} AS _{name}" for name in PARTS))


def _groups(name: str, order: Order) -> str:
    """SQL for the parts of one shape as a struct, by one pass of its pattern."""
    pattern, groups = SHAPES[name]
    fields = groups.replace("12", "dm" if order == "dmy" else "md")
    listed = ", ".join(f"'{field}'" for field in fields)
    return f"CASE WHEN _shape = '{name}' THEN regexp_extract(_text, '^{pattern}$', [{listed}]) END"


def _part(part: str) -> str:
    """SQL for a part of the date, out of the struct of whichever shape the text has."""
    groups = {part, "1"} if part in "dm" else {part}  # day and month may be in either order
    having = (name for name in PARTS if groups & set(SHAPES[name][1]))
    cases = " ".join(f"WHEN '{name}' THEN _{name}.{part}" for name in having)
    value = f"CASE _shape {cases} END"
    if part == "t":  # none is midnight; that of compact dates has no colons
        digits = f"nullif({value}, '')"
        colons = f"regexp_replace({digits}, '^(\\d\\d)(\\d\\d)(\\d\\d)$', '\\1:\\2:\\3')"
        colons = f"regexp_replace({colons}, '[h.]', ':')"  # 23h30, 23.30
        return f"coalesce({colons}, '00:00')"
    return value


def _month(word: str) -> str:
    """SQL for the number of a month's name, in any of the languages."""
    names, numbers = " ".join(MONTH_OF), " ".join(map(str, MONTH_OF.values()))
    # a literal map of this length takes long to parse
    number = f"MAP(string_split('{names}', ' '), string_split('{numbers}', ' '))"
    plain = f"replace(lower({word}), 'ä', 'ae')"
    bare = f"replace(strip_accents(lower({word})), 'ı', 'i')"
    return f"coalesce({number}[{plain}], {number}[{bare}])"


def _hour(hour: str) -> str:
    """SQL for the hour of a day of 24, out of one of 12 where the text says so."""
    half = "lower(_p[1:1])"
    return (
        f"CASE WHEN {half} = 'p' AND {hour} < 12 THEN {hour} + 12 "
        f"WHEN {half} = 'a' AND {hour} = 12 THEN 0 ELSE {hour} END"
    )


def _minutes_ahead(zone: str) -> str:
    """SQL for how many minutes a written offset is ahead of UTC; 0 for Z, UTC and GMT."""
    offset = (
        f"regexp_extract({zone}, '([+-])(\\d{{1,2}}):?(\\d{{2}})?', ['sign', 'hour', 'minute'])"
    )
    hours, minutes = (f"coalesce(try_cast({offset}.{x} AS INTEGER), 0)" for x in ("hour", "minute"))
    return f"(CASE WHEN {offset}.sign = '-' THEN -1 ELSE 1 END) * (60 * {hours} + {minutes})"


def _composed(zone: str | None) -> str:
    """SQL for the moment out of its parts; NULL for a day or an hour that does not exist."""
    within = "_hour BETWEEN 0 AND 23 AND _minute BETWEEN 0 AND 59 AND _second BETWEEN 0 AND 60"
    exists = f"({within}) OR (_hour = 24 AND _minute = 0 AND _second = 0)"  # where a day ends
    clock = "_day + to_hours(_hour) + to_minutes(_minute) + to_seconds(_second)"
    written = f"CASE WHEN {exists} THEN {clock} END"
    if zone is None:
        return written
    there = f"timezone('{zone}', timezone('UTC', {written} - to_minutes(_ahead)))"
    return f"CASE WHEN coalesce(_z, '') = '' THEN {written} ELSE {there} END"


def _epoch(cell: str) -> str:
    """SQL for seconds and thousandths of them since 1970, down to nano, by the number of digits."""
    digits = f"length(regexp_extract({cell}, '\\d+'))"
    scale = f"CASE {digits} WHEN 10 THEN 1000000 WHEN 13 THEN 1000 WHEN 16 THEN 1 ELSE 0.001 END"
    return f"make_timestamp(({cell}::DECIMAL(38, 6) * {scale})::BIGINT)"


def _serial(cell: str) -> str:
    """SQL for the moment of a spreadsheet's number of days."""
    days = f"replace({cell}, ',', '.')::DOUBLE"
    return f"TIMESTAMP '1899-12-30' + to_seconds(round(86400 * {days}))"


def _week(cell: str) -> str:
    """SQL for a day written as year, week and day of the week, as ISO 8601 counts them."""
    return f"try_strptime(replace({cell}, '-', ''), '%GW%V%u')"
