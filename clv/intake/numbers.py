"""Amounts as people write them: 1,234.50 and 1.234,50, $12, (12.00), 5.00-, 1 000,50, 1e3.

A cell is read by its own decimal mark where it can only be read with that one (``1.50``,
``1.234,50``, ``1,234,567``). What can be read both ways (``1.234``) is read by the mark of the
column's other cells; where they have none, or both, the user says which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

# "both": cells have either, and three digits after the only one are thousands.
Mark = Literal[".", ",", "both"]

# Blanks of every width, and the apostrophes of Swiss amounts: they only part thousands.
_GAPS = "[\\s\u00a0\u2007\u2009\u202f\u2019`'']"  # a quote stands doubled in SQL
_MINUS = "−–‒－‐‑—﹣"
_NO_CENTS = r"[.,](?:-{1,2}|[−–—])$"  # 12,- and 12.--
# Digits and marks of other scripts, and ours.
_SCRIPTS = "０１２３４５６７８９٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹०१२३४५६७८९．，٫٬"
_OURS = "0123456789" * 4 + ".,.,"
_CODES = (
    "USD EUR GBP CHF SEK NOK DKK PLN CZK HUF RON JPY CNY INR AUD CAD NZD BRL MXN ZAR TRY SGD AED "
    "ARS BGN BHD CLP COP EGP HKD IDR ILS ISK KES KRW KWD MAD MYR NGN PEN PHP PKR QAR RSD RUB SAR "
    "THB TWD UAH UYU VND"
)
_SIGNS = (
    r"(?:US|R|A|CA|C|NZ|HK)?[\p{Sc}]|[円元]|"
    rf"(?i:{_CODES.replace(' ', '|')}|kr\.?|zł|fr\.?|kč|ft|lei|rs\.?)"
)
# Debit or credit behind a number, as banks and accountants write it: 12.00 CR, 12,00 H.
_SIDE = r"(?i)\d\s*([CD]R|Soll|Haben|\s[SHDC])\.?$"
_SIDES = r"(?i:(?:[CD]R|Soll|Haben|\s[SHDC])\.?$)"
_LAST = "RSHDCLNrshdcln"  # letters in which one of them ends, which are sooner looked for
CURRENCY = {
    "$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "₩": "KRW", "₺": "TRY", "₽": "RUB",
    "zł": "PLN", "R$": "BRL", "CHF": "CHF", "Kč": "CZK", "Ft": "HUF", "lei": "RON", "Rs": "INR",
    "円": "JPY", "元": "CNY", "US$": "USD", "CA$": "CAD", "C$": "CAD", "A$": "AUD", "NZ$": "NZD",
    "HK$": "HKD",
}  # fmt: skip
KRONOR = ("SEK", "NOK", "DKK", "ISK")  # all of which write kr
WHOLE = {"JPY", "KRW"}  # which have no cents

# The shapes of a bare number and what they say of the decimal mark, in the order of being tried.
# {d} is the mark in question, {o} the other one; a shape counts for the first that it fits.
SHAPES = {
    "plain": r"\d+(?:[eE][+-]?\d+)?",
    "decimal_dot": r"\d{1,3}(?:,\d{2,3})*,\d{3}\.\d*|\d*\.\d{1,2}|\d*\.\d{4,}|\d{4,}\.\d{3}"
    r"|0\.\d{3}|\d{1,3}(?:,\d{3}){2,}|\d{1,2}(?:,\d{2})+,\d{3}|\d*\.\d+[eE][+-]?\d+",
    "decimal_comma": r"\d{1,3}(?:\.\d{3})+,\d*|\d*,\d{1,2}|\d*,\d{4,}|\d{4,},\d{3}|0,\d{3}"
    r"|\d{1,3}(?:\.\d{3}){2,}",
    "either_comma": r"\d{1,3},\d{3}",
    "either_dot": r"\d{1,3}\.\d{3}",
}


@dataclass(frozen=True)
class Amounts:
    """What the cells of a column of amounts look like.

    Attributes
    ----------
    shapes
        How many cells have each shape of ``SHAPES``; "unreadable" for what is no number.
    examples
        A cell of each.
    symbols
        The signs and codes of currencies beside the numbers, with their count.
    sides
        Words for debit and credit behind the numbers, with their count.
    """

    shapes: Mapping[str, int]
    examples: Mapping[str, str]
    symbols: Mapping[str, int]
    sides: Mapping[str, int] = field(default_factory=dict)

    @property
    def mark(self) -> Mark | None:
        """The decimal mark if it is certain; None where a cell can be read in two ways.

        >>> Amounts({"decimal_comma": 3, "either_dot": 1}, {}, {}).mark
        ','
        >>> Amounts({"decimal_comma": 3, "decimal_dot": 1}, {}, {}).mark
        'both'
        >>> Amounts({"plain": 2}, {}, {}).mark
        '.'
        """
        dot, comma = self.shapes.get("decimal_dot", 0), self.shapes.get("decimal_comma", 0)
        if self.either and bool(dot) == bool(comma):
            return None
        return "both" if dot and comma else "," if comma else "."

    @property
    def either(self) -> int:
        """How many cells can be read both ways."""
        return self.shapes.get("either_comma", 0) + self.shapes.get("either_dot", 0)

    @property
    def thousands(self) -> Mark | None:
        """The decimal mark if what can be read both ways has none, as where money has no cents.

        >>> Amounts({"either_comma": 3}, {"either_comma": "1,234"}, {"¥": 3}).thousands
        '.'
        """
        commas, dots = "either_comma" in self.shapes, "either_dot" in self.shapes
        return None if commas == dots else "." if commas else ","

    @property
    def mixed(self) -> bool:
        """Whether some cells can only be read with a point, and others only with a comma."""
        return bool(self.shapes.get("decimal_dot") and self.shapes.get("decimal_comma"))

    @property
    def readable(self) -> float:
        """The share of filled cells that are numbers."""
        filled = sum(self.shapes.values())
        return 1 - self.shapes.get("unreadable", 0) / filled if filled else 0.0


def look_at_amounts(rows: Any, column: str) -> Amounts:
    """What the cells of a text column look like as amounts, counted by the engine.

    Parameters
    ----------
    rows
        A DuckDB relation.
    column
        The name of a column of text.
    """
    looks = amounts_by_name(rows.project(f"'' AS name, {column} AS cell"))
    return looks.get("", Amounts({}, {}, {}))


def amounts_by_name(cells: Any) -> dict[str, Amounts]:
    """What the cells of several columns of amounts look like, from ``name`` and ``cell``."""
    cells = cells.project("name, trim(cell) AS cell").filter("cell <> ''")
    cells = cells.aggregate("name, cell, count(*) AS n")
    bare, cases = _bare("cell"), []
    for name, shape in SHAPES.items():
        cases.append(f"WHEN regexp_full_match({bare}, '{shape}') THEN '{name}'")
    shape = f"CASE {' '.join(cases)} ELSE 'unreadable' END"
    symbol = f"nullif(trim(regexp_extract(cell, '{_SIGNS}')), '')"
    table = cells.project(
        f"name, cell, n, {shape} AS shape, {symbol} AS symbol, {side_sql('cell')} AS side"
    )
    counted = table.aggregate("name, shape, symbol, side, sum(n)::BIGINT, min(cell)").fetchall()
    rows_of: dict[str, list[Any]] = {}
    for name, *row in counted:
        rows_of.setdefault(name, []).append(row)
    return {name: _amounts(rows) for name, rows in rows_of.items()}


def _amounts(rows: Sequence[Any]) -> Amounts:
    """From rows of shape, symbol, side, count and example."""
    shapes, symbols, sides = Counter[str](), Counter[str](), Counter[str]()
    for shape, symbol, side, n, _ in rows:
        shapes[shape] += n
        if symbol is not None and shape != "unreadable":
            symbols[symbol] += n
        if side is not None and shape != "unreadable":
            sides[side] += n
    examples = {shape: min(row[4] for row in rows if row[0] == shape) for shape in shapes}
    return Amounts(shapes, examples, dict(sorted(symbols.items())), dict(sorted(sides.items())))


def amount_sql(column: str, mark: Mark) -> str:
    """SQL for the number in a text column, NULL where it is none.

    ``mark`` decides cells that can be read both ways; all others are read by their own.

    >>> import duckdb
    >>> def read(text, mark):
    ...     return duckdb.execute(f"SELECT {amount_sql('$1', mark)}", [text]).fetchall()[0][0]
    >>> [read(text, ".") for text in ("$1,234.50", "($12.00)", "5.00-", "−5", "1e3", "x")]
    [1234.5, -12.0, -5.0, -5.0, 1000.0, None]
    >>> [read(text, ",") for text in ("1.234,50 €", "1 000,5", "1.234", "12.50")]
    [1234.5, 1000.5, 1234.0, 12.5]
    >>> [read(text, "both") for text in ("1.234", "1,234", "12,50", "12.50", "1,2,3")]
    [1234.0, 1234.0, 12.5, 12.5, None]
    """
    decimals = {".": r"\.[0-9]+", ",": ",[0-9]+", "both": "[.,][0-9]{1,2}"}[mark]
    alone = f"regexp_full_match({column}, '-?[0-9]{{1,15}}({decimals})?')"
    number = f"try_cast(replace({column}, ',', '.') AS DOUBLE)"
    # most amounts of large files are a number alone, for which the rest is twenty times as dear
    return f"(CASE WHEN {alone} THEN {number} ELSE {in_any_spelling(column, mark)} END)"


def in_any_spelling(column: str, mark: Mark) -> str:
    """SQL as of ``amount_sql``, by the patterns of all that people write."""
    bare = _bare(column)
    first: Mark = "," if mark == "," else "."
    second: Mark = "." if mark == "," else ","
    cases = [(_grouped(first), _plain(bare, first)), (_CERTAIN[second], _plain(bare, second))]
    if mark == "both":
        cases.insert(0, (r"\d{1,3}[.,]\d{3}", f"translate({bare}, '.,', '')"))
    size = " ".join(
        f"WHEN regexp_full_match({bare}, '{shape}') THEN try_cast({number} AS DOUBLE)"
        for shape, number in cases
    )
    return f"(CASE WHEN {negative_sql(column)} THEN -1 ELSE 1 END * CASE {size} END)"


_CERTAIN = {".": SHAPES["decimal_dot"], ",": SHAPES["decimal_comma"]}


def _grouped(mark: Mark) -> str:
    """The pattern of what can be read with a decimal mark, the other one between thousands."""
    other = "," if mark == "." else "."
    parted = rf"\d{{1,3}}(?:(?:[{other}]\d{{2,3}})*[{other}]\d{{3}})?(?:[{mark}]\d*)?"
    return rf"{parted}|\d*[{mark}]?\d+(?:[eE][+-]?\d+)?|\d+[{mark}]"


def _plain(bare: str, mark: Mark) -> str:
    """SQL for a number with a point, from one with that decimal mark."""
    other = "," if mark == "." else "."
    return f"replace(replace({bare}, '{other}', ''), '{mark}', '.')"


def side_sql(column: str) -> str:
    """SQL for the word for debit or credit behind a number; NULL where none stands.

    >>> import duckdb
    >>> [duckdb.execute(f"SELECT {side_sql('$1')}", [t]).fetchall()[0][0]
    ...  for t in ("10.00 CR", "12,50 h", "7 USD", "8")]
    ['CR', 'H', None, None]
    """
    found = f"nullif(upper(trim(regexp_extract({column}, '{_SIDE}', 1))), '')"
    return f"CASE WHEN contains('{_LAST}', rtrim({column}, '.')[-1:]) THEN {found} END"


def symbol_sql(column: str, krona: str = "KR") -> str:
    """SQL for the currency that stands beside a number, as a code of three letters; else NULL.

    ``krona`` is what kr stands for.

    >>> import duckdb
    >>> [duckdb.execute(f"SELECT {symbol_sql('$1')}", [t]).fetchall()[0][0]
    ...  for t in ("$10", "12,50 EUR", "7")]
    ['USD', 'EUR', None]
    """
    sign = f"upper(trim(regexp_extract({column}, '{_SIGNS}'), ' .'))"
    signs = {**CURRENCY, "kr": krona}
    codes = ", ".join(f"'{sign.upper()}': '{code}'" for sign, code in signs.items())
    return f"coalesce(MAP {{{codes}}}[{sign}], nullif({sign}, ''))"


def _bare(column: str) -> str:
    """The digits and marks alone: no sign, no currency, no parentheses, no gaps."""
    text = f"regexp_replace({_unsigned(column)}, '{_GAPS}', '', 'g')"
    text = f"translate({text}, '{_SCRIPTS}', '{_OURS}')"
    return f"regexp_replace(regexp_replace({text}, '^[(+{_MINUS}-]+', ''), '[){_MINUS}-]+$', '')"


def _unsigned(column: str) -> str:
    """Without the currency, the dash that stands for no cents, and the formula around a text."""
    text = f"regexp_replace({column}, '^=\"(.*)\"$', '\\1')"
    text = f"trim(regexp_replace({text}, '{_SIGNS}|{_SIDES}', '', 'g'))"
    return f"regexp_replace({text}, '{_NO_CENTS}', '')"


def negative_sql(column: str) -> str:
    """Whether a cell says minus: before, behind, or by parentheses around it."""
    text = _unsigned(column)
    return f"regexp_matches({text}, '^[(]?[{_MINUS}-]|[{_MINUS}-]$|^[(].*[)]$')"
