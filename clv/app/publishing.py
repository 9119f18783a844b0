"""From files to a published store: scores, what is behind them, and what was decided on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clv.app.batch import Progress, score_log
from clv.app.contents.campaign_results import CampaignFiles, of_campaigns
from clv.app.contents.document import StoreParts, made_or_why, not_made
from clv.app.contents.earlier_runs import of_changes
from clv.app.contents.handoffs import (
    of_contacts,
    of_contracts,
    of_funnel,
    of_monitor,
    of_offer_report,
    of_offers,
    of_referrals,
    of_targets,
    with_eligibility,
)
from clv.app.contents.orders import Orders, of_both, of_model, of_orders
from clv.app.contents.over_time import of_runs
from clv.app.contents.plan import of_plan
from clv.app.contents.spend import of_spend
from clv.app.contents.taken_on import taken_on, with_earlier_eligibility
from clv.app.data_file import read_data
from clv.app.spend_file import SpendFile, read_spend_file
from clv.errors import ClvError, InputError
from clv.findings import Finding
from clv.intake.recipe import Columns
from clv.io.files import read_json, read_table
from clv.scorer import CustomerScorer
from clv.store import PublishedStore, publish
from clv.store.intake import require_figures, terms_of

if TYPE_CHECKING:
    import pyarrow as pa

# Files that other commands wrote, or somebody keeps, by the option that names them.
OF_FILES: dict[str, Callable[[str, Mapping[str, Any]], StoreParts]] = {
    "plan": of_plan,
    "targets": of_targets,
    "offers": of_offers,
    "offer_report": of_offer_report,
    "monitor": of_monitor,
    "contracts": of_contracts,
    "funnel": of_funnel,
    "referrals": lambda file, _: of_referrals(file),
    "contacts": lambda file, _: of_contacts(file),
}


@dataclass(frozen=True)
class RunFiles:
    """Files that go with the scores of a run; each may be left out.

    Attributes
    ----------
    log
        The orders that were scored.
    spend
        What was spent on channels, as ``clv channels`` takes it.
    config
        The TOML whose ``[spend]`` says how that is read.
    plan
        A budget plan, as ``clv allocate`` takes it.
    targets
        What ``clv targets`` wrote.
    eligibility
        Who may be contacted and who not, as ``clv targets --eligibility`` wrote it.
    monitor
        What ``clv monitor`` wrote.
    contracts
        What ``clv contracts --document`` wrote.
    offers
        What ``clv offers`` wrote.
    offer_report, funnel, referrals
        What ``clv offers --json``, ``clv funnel --json`` and ``clv referrals --json`` said.
    contacts
        How to reach whom: customer_id with name, email or phone.
    campaigns
        Campaigns that were run, with what came of them or to be measured when the orders come.
    tables, documents
        Further files by name; they stand in the place of what has the same name.
    take_on
        Whether what the run before had of such files stays where nothing takes its place.
    lenient
        Whether a file that cannot be used is left out and named, rather than refused.
    notes
        What else to know about this publish.
    """

    log: str | Sequence[str] | None = None
    spend: str | None = None
    config: Path | None = None
    plan: str | None = None
    targets: str | None = None
    eligibility: str | None = None
    monitor: str | None = None
    contracts: str | None = None
    offers: str | None = None
    offer_report: str | None = None
    funnel: str | None = None
    referrals: str | None = None
    contacts: str | None = None
    campaigns: CampaignFiles = field(default_factory=CampaignFiles)
    tables: Mapping[str, str] | None = None
    documents: Mapping[str, str] | None = None
    take_on: bool = False
    lenient: bool = False
    notes: tuple[Finding, ...] = ()

    def of_file(self, what: str, make: Callable[[], StoreParts]) -> StoreParts:
        """What is made of a file; of one that cannot be used only why, where that is allowed."""
        return made_or_why(what, make) if self.lenient else make()

    def brought(self) -> set[str]:
        """The options that name a file, and the tables and documents by their names."""
        named = {name for name in (*OF_FILES, "spend") if getattr(self, name)}
        return named | {*(self.tables or ()), *(self.documents or ())}


@dataclass(frozen=True)
class ConfiguredScores:
    """Scores of the files of a configuration: those files, how they were read, and the scores."""

    log: list[str]
    rules: dict[str, Any]
    scores: str


def score_configured(
    config: Path, scorer: CustomerScorer, progress: Progress | None = None, *, anyway: bool = False
) -> ConfiguredScores:
    """Score the files that a configuration names, read as it says, into scores.parquet beside it.

    The parameters are those of ``score_log``. What ``publish_run`` takes is returned.
    """
    data = read_data(config)
    rules = data.recipe().model_dump(exclude_unset=True)
    # a role that is not named is that of no column, whatever the model's own files had
    rules["columns"] = dict.fromkeys(Columns.model_fields) | rules.get("columns", {})
    as_of = rules.pop("as_of", None)
    done = ConfiguredScores(data.paths(config), rules, str(config.with_name("scores.parquet")))
    score_log(done.log, scorer, done.scores, as_of, progress, anyway=anyway, **rules)
    return done


def publish_run(
    scores: str,
    folder: Path,
    given: RunFiles | None = None,
    *,
    scorer: CustomerScorer | None = None,
    anyway: bool = False,
    **rules: Any,
) -> PublishedStore:
    """Publish what ``clv score`` wrote, with all that can be known from the files given.

    See ``clv.app.contents`` for what is made of which file; ``anyway`` takes orders that do not
    look like the scorer's own.

    Raises
    ------
    InputError, ModelError, PlanError
        A file cannot be used, or is of another model or in another currency than the scores;
        nothing has changed then.
    """
    given = given or RunFiles()
    _require_one_source(given)
    table = read_table(scores)
    require_figures(table)
    if given.eligibility:
        table = with_eligibility(table, given.eligibility)
    elif given.take_on:
        table = with_earlier_eligibility(table, folder)
    terms = terms_of(table)
    orders = _orders(given, terms, rules, scorer, anyway=anyway)
    log = None if orders is None else orders.table
    made = reduce(StoreParts.then, _sources(given, terms, orders, scorer), StoreParts())
    sources = [
        _earlier(folder, given, made, table, terms),
        made,
        made_or_why("changes", lambda: of_changes(folder, table, log, scorer)),
        made_or_why("runs", lambda: of_runs(folder, table)),
        _campaigns(folder, given, table, orders, terms),
        StoreParts(notes=given.notes),
    ]
    parts = reduce(StoreParts.then, sources)
    return publish(
        table,
        folder,
        log=log,
        card=scorer.card() if scorer else None,
        tables=parts.tables,
        documents=parts.documents,
        notes=parts.notes,
    )


def _sources(
    given: RunFiles,
    terms: Mapping[str, Any],
    orders: Orders | None,
    scorer: CustomerScorer | None,
) -> Iterator[StoreParts]:
    """What each source adds, the more particular ones later."""
    # what is quickly seen to be wrong comes first, though it counts last
    named = StoreParts(
        {name: read_json(file) for name, file in (given.documents or {}).items()},
        {name: read_table(file) for name, file in (given.tables or {}).items()},
    )
    handed_in = [
        given.of_file(name, partial(make, file, terms))
        for name, make in OF_FILES.items()
        if (file := getattr(given, name))
    ]
    if scorer is not None:
        yield of_model(scorer)
    spent, without = _spend(given, terms)
    summary = orders.summary(scorer) if orders and scorer else None
    if spent and summary is not None and "channel" in summary.column_names:
        spent, without = _spend(given, terms, summary["channel"].unique().to_pylist())
    spend = spent.rows if spent else None
    if orders is not None:
        yield of_orders(orders, terms, spend)
    if summary is not None and scorer is not None:
        yield from of_both(summary, scorer)
    if spent is not None:
        log = orders.log if orders else None
        plan = given.plan is None
        yield given.of_file("spend", lambda: of_spend(spend, log, summary, scorer, plan=plan))
        yield StoreParts(notes=spent.notes)
    yield from (without, *handed_in, named)


def _spend(
    given: RunFiles, terms: Mapping[str, Any], channels: Sequence[str | None] = ()
) -> tuple[SpendFile | None, StoreParts]:
    """The file of spend with its channels as the orders call them; or why it cannot be used."""
    if not given.spend:
        return None, StoreParts()
    try:
        spent = read_spend_file(given.spend, terms.get("currency"), config=given.config)
        return spent.beside(channels) if channels else spent, StoreParts()
    except ClvError as error:
        if not given.lenient:
            raise
        return None, not_made("spend", error)


def _earlier(
    folder: Path, given: RunFiles, made: StoreParts, scores: pa.Table, terms: Mapping[str, Any]
) -> StoreParts:
    """What the run before had, where nothing that could be used takes its place."""
    if not given.take_on:
        return StoreParts()
    brought = given.brought() - made.refused
    return made_or_why("taken_on", lambda: taken_on(folder, brought, scores, terms))


def _campaigns(
    folder: Path,
    given: RunFiles,
    scores: pa.Table,
    orders: Orders | None,
    terms: Mapping[str, Any],
) -> StoreParts:
    """What came of campaigns; where a new one cannot be used, of those before it alone."""
    make = partial(of_campaigns, folder)
    rest = scores, orders, terms
    if not given.campaigns.logs:
        return made_or_why("campaigns", lambda: make(given.campaigns, *rest))
    made = given.of_file("campaigns", lambda: make(given.campaigns, *rest))
    if not made.refused:
        return made
    return made_or_why("campaigns", lambda: make(CampaignFiles(), *rest)).then(made)


def _orders(
    given: RunFiles,
    terms: Mapping[str, Any],
    rules: Mapping[str, Any],
    scorer: CustomerScorer | None,
    *,
    anyway: bool,
) -> Orders | None:
    if given.log is not None:
        if "as_of" not in terms:
            raise InputError("the scores have no as_of.", hint="give what clv score wrote.")
        training = scorer.training if scorer else None
        return Orders.read(given.log, terms["as_of"], rules, training, anyway=anyway)
    if unused := sorted(name for name, rule in rules.items() if rule):
        raise InputError(
            f"{unused[0]} says how to clean a log, and no log is given.",
            hint="give it with --log, or leave that out.",
        )
    return None


def _require_one_source(given: RunFiles) -> None:
    """No option is overruled in silence by a NAME=FILE."""
    options = {"plan": given.plan, "monitor": given.monitor, "contracts": given.contracts}
    options |= {name: getattr(given, name) for name in ("offer_report", "funnel", "referrals")}
    tables = {"targets": given.targets, "channels": given.spend, "next_offers": given.offers}
    for named, ours in ((given.documents, options), (given.tables, tables)):
        for name in named or {}:
            if ours.get(name):
                raise InputError(
                    f"{name} is given twice: as an option, and as {name}=FILE.",
                    hint="leave one of them out.",
                )
