"""How amounts and dates are written, whether rows are orders or lines, and if some repeat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from clv.data.plain_customers import names_rows, repeated
from clv.data.reading import BLANK
from clv.findings import finding
from clv.format import count, counted
from clv.intake.draft import AnswerOption, Draft, Question, listed, stand_ins
from clv.intake.moments import Order, order_by_rows
from clv.intake.numbers import CURRENCY, KRONOR, WHOLE, Amounts, Mark
from clv.intake.reading import judged
from clv.intake.recipe import OPEN
from clv.intake.role_cells import WHOLE_ID, filled_sql, text_sql
from clv.intake.sources import Source
from clv.intake.vocabulary import (
    candidates,
    plain,
    vocabulary,
)
from clv.io.queries import Query, sql_text

NAMES = ("Null", "Nan", "Na")  # in this spelling a name, where others are names
MOSTLY = 0.8  # of the customers
SOME = 0.005  # of the rows, from which on a second column that names customers matters


def _money_columns(draft: Draft) -> list[str]:
    roles = ("amount", "counterpart", "price", "refund", "margin", "quantity", "adjusted")
    names = [draft.columns[role] for role in roles if draft.columns.get(role) not in (None, OPEN)]
    return [name for name in names if draft.source.type_of(name) == "VARCHAR"]


def settle_decimal(draft: Draft) -> None:
    """The decimal mark of all columns of money."""
    if "decimal" in draft.fields:
        return
    looks = [draft.amounts(name) for name in _money_columns(draft)]
    met = [mark for mark in MARKS if any(MARKS[mark] in look.shapes for look in looks)]
    unsettled = [look for look in looks if look.mark is None]
    whole = {look.thousands for look in unsettled}
    currencies = set(_currencies(draft))
    if not met and len(whole) == 1 and None not in whole and currencies and currencies <= WHOLE:
        (draft.fields["decimal"],) = whole
        draft.reasons["decimal"] = f"as in {_either(unsettled)}, in money that has no cents"
    elif len(met) == 1:
        (draft.fields["decimal"],) = met
        draft.reasons["decimal"] = f"as in {_example(looks, met[0])}"
    elif unsettled:
        _ask_for_decimal(draft, unsettled)
    elif met:
        draft.fields["decimal"] = "both"
        draft.reasons["decimal"] = "amounts have either mark, and each is read by its own"
    if len(met) > 1:
        _say_both(draft, looks)


MARKS: dict[Mark, str] = {".": "decimal_dot", ",": "decimal_comma"}
EITHER = ("either_comma", "either_dot")


def _say_both(draft: Draft, looks: Sequence[Amounts]) -> None:
    """That amounts are written with both marks, and how many with which."""
    sums = {mark: sum(look.shapes.get(shape, 0) for look in looks) for mark, shape in MARKS.items()}
    dot, comma = _example(looks, "."), _example(looks, ",")
    draft.notes.append(
        finding("check.two_marks", dots=sums["."], dot=dot, commas=sums[","], comma=comma)
    )


def _ask_for_decimal(draft: Draft, unsettled: Sequence[Amounts]) -> None:
    """Ask what three digits after the only mark are, with how many amounts that concerns."""
    n, example = sum(look.either for look in unsettled), _either(unsettled)
    text = (
        f"{counted(n, 'amount')} such as {example} can be read in two ways: as a thousand and "
        "more, or as a number with three decimals. Which sign is the decimal mark"
    )
    options = [AnswerOption("."), AnswerOption(",")]
    if len({shape for look in unsettled for shape in look.shapes} & set(EITHER)) == len(EITHER):
        text += ' there, or is neither ("both" part thousands)'
        options = [AnswerOption("both"), *options]
    draft.fields["decimal"] = OPEN
    draft.questions.append(Question("decimal", f"{text}?", tuple(options)))


def _either(looks: Sequence[Amounts]) -> str:
    """Cells that can be read in two ways, one of each kind."""
    cells = (look.examples[s] for look in looks for s in EITHER if s in look.examples)
    return " and ".join(dict.fromkeys(cells))


def _example(looks: Sequence[Amounts], mark: Mark) -> str:
    return next(look.examples[MARKS[mark]] for look in looks if MARKS[mark] in look.examples)


def settle_dates(draft: Draft) -> None:
    """Day or month first, and what offsets beside times mean."""
    names = listed(draft.columns["date"])
    if {"date_order", "date_format"} & set(draft.fields) or OPEN in names:
        return
    if draft.source.type_of(names[0]) != "VARCHAR":
        return
    look = draft.moments(names[0])
    for shape in {"weeks", "months"} & set(look.shapes):
        n, example = look.shapes[shape], look.examples[shape]
        draft.notes.append(finding("check.no_day", column=names[0], dates=n, example=example))
    offsets = [zone for zone in look.offsets if zone.strip("+-:0ZzUTCGMutcgm")]
    if names_of_zones := sorted(zone for zone in offsets if zone.isalpha()):
        offsets = [zone for zone in offsets if not zone.isalpha()]
        draft.notes.append(finding("check.zones", column=names[0], zones=names_of_zones))
    if offsets and "time_zone" not in draft.fields:
        draft.notes.append(finding("check.offsets", column=names[0], offset=offsets[0]))
    if not look.shapes.get("numeric"):
        return
    order = order_of_dates(draft, names[0])
    if order is not None:
        draft.fields["date_order"] = order
        draft.reasons["date_order"] = f"as in {look.examples['numeric']}"
        return
    draft.fields["date_order"] = OPEN
    text = f"Is {look.examples['numeric']} written with the day or with the month first?"
    draft.questions.append(Question("date_order", text, (AnswerOption("dmy"), AnswerOption("mdy"))))


def order_of_dates(draft: Draft, name: str) -> Order | None:
    """Day or month first, as far as a column settles it; None where it has no such dates too."""
    look = draft.moments(name)
    if not look.shapes.get("numeric"):
        return None
    if look.order or (look.first_above_12 and look.second_above_12):
        return look.order
    return order_by_rows(draft.source.rows, draft.source.column(name), draft.today)


def settle_currency(draft: Draft) -> None:
    """The one currency of the file; several are asked."""
    if "currency" in draft.fields:
        return
    signs = _currencies(draft)
    codes = [code for code in signs if code != "KR"]
    settled = signs == codes or bool({*KRONOR} & {*codes})  # of which country kr is
    if len(codes) == 1 and settled:
        draft.fields["currency"] = codes[0]
        draft.reasons["currency"] = "the only one in the file"
    elif signs:
        draft.fields["currency"] = OPEN
        text = f"Amounts are in {' and '.join(signs)}, which cannot be added. Which are to be read?"
        if signs == ["KR"]:
            text = "Amounts are in kr, which several currencies write. Which is it?"
        options = tuple(AnswerOption(code) for code in (*codes, *(() if settled else KRONOR)))
        draft.questions.append(Question("currency", text, options))


def _currencies(draft: Draft) -> list[str]:
    """The currencies of the file; KR where it does not say of which country."""
    if stated := draft.fields.get("currency"):
        return [str(stated).upper()]
    if name := draft.columns.get("currency"):
        return sorted({cell.upper() for cell in draft.cells(name)})
    looks = (draft.amounts(amount) for amount in _money_columns(draft)[:1])
    return sorted({_code(sign) for look in looks for sign in look.symbols})


def _code(sign: str) -> str:
    bare = sign.strip(" .").upper()
    return next((code for name, code in CURRENCY.items() if name.upper() == bare), bare)


def settle_rows(draft: Draft) -> None:
    """Whether a row is an order, a line of one, or a line that repeats the order's amount."""
    if "rows" in draft.fields or OPEN in (draft.columns["customer_id"], draft.columns["date"]):
        return
    if not draft.columns.get("order_id") or draft.columns.get("amount") == OPEN:
        return
    if (source := _of_several_rows(draft)) is None:
        return
    table = judged(source, draft.recipe(**stand_ins(draft), rows="lines"), today=draft.today)
    lines = table.filter("_order_id IS NOT NULL AND coalesce(_gross, 1) > 0")
    twice = lines.aggregate("_order_id, count(*) AS n").filter("n > 1").project("_order_id")
    # all others have one row, which is soon seen
    lines = lines.join(twice.set_alias("twice"), "_order_id", how="semi")
    every = "_order_id, _customer, _said, _product, _quantity, _price"
    orders = lines.aggregate(
        f"_order_id, count(DISTINCT ({every})) AS n, count(_said) AS said, "
        "count(DISTINCT _gross) AS amounts, sum(_quantity * _price) AS bought, max(_gross) AS most"
    ).filter("n > 1")
    several, blank, alike, bought = orders.aggregate(
        "count(*), count(*) FILTER (said = 1), count(*) FILTER (said > 1 AND amounts = 1), "
        "count(*) FILTER (said > 1 AND abs(bought - most) < 0.005)"
    ).fetchall()[0]
    if not several:
        return
    if blank * 10 >= several * 9:
        draft.fields["rows"] = "order_on_first_line"
        draft.reasons["rows"] = "further lines of an order have no amount"
    elif alike == several and (alike >= 5 or bought * 2 > alike):
        draft.fields["rows"] = "order_on_each_line"
        draft.reasons["rows"] = "all lines of an order have one amount, that of the order"
    elif alike * 2 > several:
        draft.fields["rows"] = OPEN
        text = "Lines of an order have equal amounts. Is it the line's own, or the whole order's?"
        choices = (AnswerOption("lines"), AnswerOption("order_on_each_line"))
        draft.questions.append(Question("rows", text, choices))
    else:
        draft.fields["rows"] = "lines"
        draft.reasons["rows"] = "orders have several rows, whose amounts differ"


def _of_several_rows(draft: Draft) -> Source | None:
    """The source with the orders that have several rows alone, which are soon seen; None of none.

    All of it where a refund's row may come under another order's number.
    """
    if draft.columns.get("refund_of"):
        return draft.source
    names = listed(draft.columns["order_id"])
    order, cell = text_sql(draft.source, names), filled_sql(draft.source, names)
    numbered = draft.source.rows.project(f"{cell} AS _number").filter("_number IS NOT NULL")
    hashes = numbered.project("hash(_number) AS h")
    if names_rows(numbered, "_number") or not len(repeated(hashes.fetchnumpy()["h"])):
        return None
    twice = (
        numbered.project("_number::VARCHAR AS _number")
        .aggregate("_number, count(*) AS n")
        .filter("n > 1")
        .project("_number")
    )
    db = draft.source.connection
    db.execute(f"CREATE OR REPLACE TEMP TABLE several_rows AS {twice.text}")
    if not db.table("several_rows").limit(1).fetchall():
        return None
    rows = draft.source.rows.filter(f"{order} IN (SELECT _number FROM several_rows)")
    return replace(draft.source, rows=rows)


def settle_duplicates(draft: Draft) -> None:
    """Whether equal rows are one order sent twice."""
    if "duplicates" in draft.fields:
        return
    every = ", ".join(f"c{place}" for place in range(len(draft.source.names)))
    twice = draft.source.rows.aggregate(f"{every}, count(*) - 1 AS more").filter("more > 0")
    some = not draft.source.all_differ
    more = int(twice.aggregate("coalesce(sum(more), 0)").fetchall()[0][0]) if some else 0
    rows = draft.fields.get("rows", "orders")
    has_id = bool(draft.columns.get("order_id"))
    sure = has_id and (rows == "orders" or draft.columns.get("product"))
    draft.fields["duplicates"] = "drop" if sure else "keep"
    if more and sure:
        draft.reasons["duplicates"] = "the same order sent twice: its number says so"
    elif more and rows == "lines":
        draft.fields["duplicates"] = OPEN
        text = f"{count(more)} rows repeat another in every column: are they sent twice, or real?"
        draft.questions.append(
            Question("duplicates", text, (AnswerOption("drop"), AnswerOption("keep")))
        )
    elif more and not has_id:
        draft.notes.append(finding("check.repeats", rows=more))


def settle_customer_column(draft: Draft) -> None:
    """Which column names the customer, where each of several does so for some orders alone."""
    names = listed(draft.columns["customer_id"])
    if "customer_id" in draft.stated or len(names) != 1 or OPEN in names:
        return
    paid = draft.columns.get("amount")
    amount = "true" if paid in (None, OPEN) else f"trim({draft.source.column(paid)}::VARCHAR) <> ''"
    taken = {name for value in draft.columns.values() for name in listed(value)}
    others = [
        name
        for name in candidates("customer_id", draft.source.names)
        if name not in taken
        and not plain(name).endswith("name")
        and draft.source.names.count(name) == 1
    ]
    blank = f"coalesce(NOT ({_filled(draft, names[0])}), true)"
    orders = draft.source.rows.filter(amount)
    for other in others:
        only = f"count(*) FILTER ({blank} AND {_filled(draft, other)})"
        every, without, filled = orders.aggregate(
            f"count(*), count(*) FILTER ({blank}), {only}"
        ).fetchall()[0]
        if filled > SOME * every:
            text = (
                f"{names[0]} names no customer in {count(without)} of {counted(every, 'row')}, and "
                f"{other} does in {count(filled)} of these. Which of the two is it? Rows without "
                "it are left out."
            )
            options = (AnswerOption(names[0]), AnswerOption(other))
            draft.questions.append(Question("columns.customer_id", text, options))
            return


def _filled(draft: Draft, name: str) -> str:
    """SQL: whether a cell names a customer, and is neither empty nor a placeholder."""
    cell = f"lower(trim({draft.source.column(name)}::VARCHAR))"
    words = ", ".join(sql_text(word) for word in ("", *vocabulary()["rows"]["nobody"]))
    return f"{cell} NOT IN ({words})"


def settle_customers(draft: Draft) -> None:
    """Placeholders among the customers, and ids that differ only in how they are written."""
    names = listed(draft.columns["customer_id"])
    if OPEN in names:
        return
    cell = f"trim({draft.source.column(names[0])}::VARCHAR)"
    rows = draft.source.rows
    if whole := "INT" in draft.source.type_of(names[0]):  # no words, and written in one way
        rows = rows.filter(f"{draft.source.column(names[0])} BETWEEN 0 AND 2")
    ids = rows.project(f"{cell} AS id").filter("id <> ''").aggregate("id, count(*) n")
    connection = draft.source.connection
    connection.execute(f"CREATE OR REPLACE TEMP TABLE ids AS {ids.text}")  # asked thrice
    ids = Query(connection, "FROM ids")
    words = ", ".join(map(sql_text, vocabulary()["rows"]["nobody"]))
    bare = "regexp_replace(strip_accents(lower(id)), '[^a-z]', '', 'g')"  # Walk-in, Invité
    spelled = f"lower(id) IN ({words}) OR (id NOT SIMILAR TO '.*[0-9@].*' AND {bare} IN ({words}))"
    placeholders = ids.filter(spelled).project("id, n").fetchall()
    # 0 is a customer where customers are numbered from it on, X where they are letters
    beside = "count(*) FILTER (id IN ('1', '2')), count(*) FILTER (upper(id) IN ('W', 'Y'))"
    counted_too = dict(zip("0x", ids.aggregate(beside).fetchall()[0], strict=True))
    nobody = tuple(sorted(w for w, _ in placeholders if not counted_too.get(w.lower())))
    nobody = _without_names(draft, ids, nobody)
    if nobody and "nobody" not in draft.fields:
        draft.fields["nobody"] = nobody
        draft.reasons["nobody"] = "these stand for nobody in particular"
    if whole:
        return
    _same_ids(draft, ids)
    _rounded_ids(draft, ids)


def _without_names(draft: Draft, ids: Query, nobody: tuple[str, ...]) -> tuple[str, ...]:
    """The placeholders, less those that are a name among names: a customer may be called Null."""
    if "no_customer" in draft.fields or not (names := [w for w in nobody if w in NAMES]):
        return nobody
    name = r"regexp_full_match(id, '\p{Lu}\p{Ll}+([ ''-].*)?')"
    ((named, every),) = ids.aggregate(f"count(*) FILTER ({name}), count(*)").fetchall()
    if named < MOSTLY * every:
        return nobody
    lower = [name.lower() for name in names]
    draft.fields["no_customer"] = tuple(word for word in BLANK if word not in lower)
    draft.notes.append(finding("check.names", names=names))
    return tuple(word for word in nobody if word not in names)


def _same_ids(draft: Draft, ids: Any) -> None:
    """Ids that are one number: 38 and 38.0 are one customer, 38 and 0038 stay apart."""
    alike = ids.filter("regexp_full_match(id, '-?[0-9.]+([eE][+]?[0-9]+)?')")
    whole = f"regexp_full_match(id, '{WHOLE_ID}')"
    groups = alike.project(f"id, n, {whole} AS point, try_cast(id AS DOUBLE) AS number")
    same = groups.filter("number IS NOT NULL").aggregate(
        "number, coalesce(sum(n) FILTER (point), 0) AS floats, min(id) FILTER (point) AS example, "
        "list(DISTINCT CASE WHEN point THEN split_part(id, '.', 1) ELSE id END) AS spellings, "
        "count(*) AS written"
    )
    rows, example, twice, count, several = same.aggregate(
        "coalesce(sum(floats), 0), min(example), count(*) FILTER (written > len(spellings)), "
        "count(*) FILTER (len(spellings) > 1), "
        "any_value(spellings[:3]) FILTER (len(spellings) > 1)"
    ).fetchall()[0]
    if rows:
        id_ = example.partition(".")[0]
        draft.notes.append(
            finding("check.float_ids", rows=int(rows), written=example, id=id_, customers=twice)
        )
    if count:
        alike = ", ".join(sorted(several))
        draft.notes.append(finding("check.like_ids", customers=count, ids=alike))


def _rounded_ids(draft: Draft, ids: Any) -> None:
    """Ids that a spreadsheet has written as 4.9E+12: their last digits are gone."""
    parts = "regexp_extract(id, '^[0-9][.,]([0-9]+)[eE][+]([0-9]{1,3})$', ['kept', 'power'])"
    parted = ids.project(f"id, n, {parts} AS p").filter("p.power <> ''")
    rounded = parted.filter("length(p.kept) < p.power::INTEGER")
    rows, example = rounded.aggregate("coalesce(sum(n), 0), min(id)").fetchall()[0]
    if rows:
        draft.notes.append(finding("check.rounded_ids", rows=int(rows), written=example))
