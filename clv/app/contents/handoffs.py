"""What other commands wrote, seen through before it is published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from clv.app.contents.document import StoreParts, require_currency
from clv.app.contents.offer_totals import offer_totals, plan_totals
from clv.decide.retention.eligibility import bars
from clv.decide.scores import TERMS
from clv.errors import ColumnError, InputError, ModelError
from clv.findings import Finding, finding
from clv.format import count
from clv.io.files import read_json, read_table
from clv.score_columns import models_behind
from clv.store.intake import keys_of

if TYPE_CHECKING:
    import pyarrow as pa

TARGETS = ("customer_id", "group")  # what clv targets writes of everybody it lists
NEXT_OFFERS = "next_offers"  # the table of a store
OFFERED = ("customer_id", "rank", "item", "kind", "chance", "spend", "margin", "value", "because")
CONTACTS = ("name", "email", "phone")
ELIGIBILITY = ("customer_id", "status", "reason")
FUNNEL = ("as_of", "currency", "age", "stages", "channels", "findings")
OFFER_REPORT = ("as_of", "currency", "terms", "offers", "backtest", "notes")
REFERRALS = ("referred", "cac", "value", "credit", "brought", "break_even", "findings")
SUBSCRIBED = ("version", "currency", "periods", "book", "terms")
REPORT = ("checks", "since", "until", "elapsed", "customers", "verdict", "model_version")


def of_targets(file: str, terms: Mapping[str, Any]) -> StoreParts:
    """The table ``targets``: what is proposed to whom, from what ``clv targets --output`` wrote.

    Raises
    ------
    InputError
        It is no such file, or it is in another currency than the scores.
    ModelError
        It was made from the scores of another model.
    """
    table = read_table(file)
    if lack := [name for name in TARGETS if name not in table.column_names]:
        raise InputError(
            f"{file} has no column {lack[0]}.", hint="give what clv targets --output wrote."
        )
    stated = _stated(table)
    require_currency("the list of targets", stated.get("currency"), terms)
    made_by, scored_by = stated.get("model_version"), terms.get("model_version")
    if made_by is not None and str(made_by) != str(scored_by):
        raise ModelError(
            f"the targets were chosen by the scores of model {made_by}, these are of {scored_by}.",
            hint="run clv targets on these scores.",
        )
    notes = []
    if (day := str(stated.get("as_of", terms["as_of"]))[:10]) != terms["as_of"]:
        notes.append(finding("store.targets_of_day", day=day, as_of=str(terms["as_of"])))
    rest = [name for name in table.column_names if name not in stated]
    joint = {"joint_plan": actions} if (actions := plan_totals(table)) else {}
    return StoreParts(joint, {"targets": table.select(rest)}, tuple(notes))


def of_contacts(file: str) -> StoreParts:
    """The table ``contacts``: how to reach whom, shown only to those who plan campaigns.

    Raises
    ------
    ColumnError, InputError
        It is no such file, or somebody is in it twice; no contact is ever named.
    """
    import pyarrow as pa

    table = read_table(file)
    columns = {str(name).strip().lower(): name for name in table.column_names}
    present = [name for name in CONTACTS if name in columns]
    if "customer_id" not in columns or not present:
        raise ColumnError(
            "the file of contacts needs customer_id and one of name, email and phone.",
            hint="name its columns so, in its first line.",
        )
    ids = keys_of(table[columns["customer_id"]])
    if twice := len(ids) - len(ids.unique()):
        raise InputError(
            f"{count(twice)} rows of the contacts are of a customer who is there already.",
            hint="give each customer one row.",
        )
    texts = {name: table[columns[name]].cast(pa.string()) for name in present}
    return StoreParts(tables={"contacts": pa.table({"customer_id": ids, **texts})})


def of_offers(file: str, terms: Mapping[str, Any]) -> StoreParts:
    """The table ``next_offers``: what to offer to whom, from what ``clv offers --output`` wrote.

    Raises
    ------
    InputError
        It is no such file, or it is in another currency than the scores.
    """
    table = read_table(file)
    if lack := [name for name in OFFERED if name not in table.column_names]:
        raise InputError(
            f"{file} has no column {lack[0]}.", hint="give what clv offers --output wrote."
        )
    require_currency("the table of offers", _stated(table, "offers").get("currency"), terms)
    return StoreParts({NEXT_OFFERS: offer_totals(table)}, {NEXT_OFFERS: table})


def of_offer_report(file: str, terms: Mapping[str, Any]) -> StoreParts:
    """The document ``offer_report``: how good such offers were, from ``clv offers --json``.

    Raises
    ------
    InputError
        It is no such file, or in another currency than the scores.
    """
    command = "clv offers LINES --json > offers.json"
    document = _document(file, OFFER_REPORT, "report of offers", command)
    require_currency("the report of offers", document["currency"], terms)
    return StoreParts({"offer_report": document})


def of_referrals(file: str) -> StoreParts:
    """The document ``referrals``: customers who bring customers, from ``clv referrals --json``.

    Raises
    ------
    InputError
        It is no such file.
    """
    command = "clv referrals TABLE --json > referrals.json"
    return StoreParts({"referrals": _document(file, REFERRALS, "list of referrals", command)})


def _stated(table: pa.Table, what: str = "targets") -> dict[str, Any]:
    """The constants of a table; ``InputError`` if one is none."""
    constants = {}
    for name in (name for name in TERMS if name in table.column_names):
        values = table[name].unique().to_pylist()
        if len(values) > 1:
            raise InputError(f"the {what} mix {len(values)} values of {name}.")
        constants[name] = values[0] if values else None
    return {name: value for name, value in constants.items() if value is not None}


def with_eligibility(scores: pa.Table, file: str) -> pa.Table:
    """The scores with eligible and reason, from what ``clv targets --eligibility`` wrote.

    Eligible is whom no rule bars; that a budget did not reach somebody is no such rule.

    Raises
    ------
    InputError
        It is no such file, somebody is missing in it, or the scores have these columns already.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    table = read_table(file)
    if lack := [name for name in ELIGIBILITY if name not in table.column_names]:
        raise InputError(
            f"{file} has no column {lack[0]}.", hint="give what clv targets --eligibility wrote."
        )
    if taken := [name for name in ("eligible", "reason") if name in scores.column_names]:
        raise InputError(
            f"the scores have a column {taken[0]} of their own.", hint="leave --eligibility out."
        )
    index = pc.index_in(keys_of(scores["customer_id"]), value_set=keys_of(table["customer_id"]))
    if index.null_count:
        raise InputError(
            f"{count(index.null_count)} customers of the scores are not in {file}.",
            hint="run clv targets --eligibility on these scores.",
        )
    reasons = table["reason"].take(index).to_pylist()
    barred = [bars(reason) for reason in reasons]
    why = [reason if out else None for reason, out in zip(reasons, barred, strict=True)]
    columns = {"eligible": pc.invert(pa.array(barred)), "reason": pa.array(why, pa.string())}
    for name, values in columns.items():
        scores = scores.append_column(name, values)
    return scores


def of_monitor(file: str, terms: Mapping[str, Any]) -> StoreParts:
    """The document ``monitor``: what came since, from what ``clv monitor --output`` wrote.

    Raises
    ------
    InputError
        It is no such file.
    """
    report = _document(file, REPORT, "report of a monitor", "clv monitor --output")
    notes: tuple[Finding, ...] = ()
    if report["model_version"] not in models_behind(terms["model_version"]):
        since, model = report["since"], report["model_version"]
        notes = (finding("store.monitor_of_model", since=since, model=model),)
    return StoreParts({"monitor": report}, notes=notes)


def of_funnel(file: str, terms: Mapping[str, Any]) -> StoreParts:
    """The document ``funnel``: from lead to customer, from what ``clv funnel --json`` said.

    Raises
    ------
    InputError
        It is no such file, or in another currency than the scores.
    """
    document = _document(file, FUNNEL, "funnel", "clv funnel LEADS --json > funnel.json")
    require_currency("the funnel", document["currency"], terms)
    return StoreParts({"funnel": document})


def of_contracts(file: str, terms: Mapping[str, Any]) -> StoreParts:
    """The document ``contracts``: book and models, from what ``clv contracts --document`` wrote.

    Raises
    ------
    InputError
        It is no such file, or in another currency than the scores.
    """
    document = _document(file, SUBSCRIBED, "document of contracts", "clv contracts --document")
    require_currency("the document of contracts", document["currency"], terms)
    notes: tuple[Finding, ...] = ()
    if document["version"] not in models_behind(terms["model_version"]):
        notes = (finding("store.contracts_of_model", model=document["version"]),)
    return StoreParts({"contracts": document}, notes=notes)


def _document(file: str, names: tuple[str, ...], what: str, command: str) -> dict[str, Any]:
    """The JSON object that a command wrote, which has these names."""
    document = read_json(file)
    if not isinstance(document, dict) or any(name not in document for name in names):
        raise InputError(f"{file} is no {what}.", hint=f"give what {command} wrote.")
    return document
