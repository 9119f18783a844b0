"""From files to a published store: scores, what is behind them, and what was decided on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

from clv.app.batch import Progress, score_log
from clv.app.contents.campaign_results import CampaignFiles, of_campaigns
from clv.app.contents.document import StoreParts
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
from clv.app.contents.plan import STATED, of_plan
from clv.app.contents.spend import of_spend
from clv.app.contents.taken_on import taken_on, with_earlier_eligibility
from clv.app.data_file import read_data
from clv.app.spend_file import SpendFile, read_spend_file
from clv.errors import InputError
from clv.intake.recipe import Columns
from clv.io.files import read_json, read_table
from clv.scorer import CustomerScorer
from clv.store import PublishedStore, publish
from clv.store.intake import terms_of

OPTIONS = (
    *("spend", "plan", "targets", "monitor", "contracts", "offers", "offer_report"),
    *("funnel", "referrals", "contacts"),
)


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

    def brought(self) -> set[str]:
        """The options that name a file, and the tables and documents by their names."""
        named = {name for name in OPTIONS if getattr(self, name)}
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
    if given.eligibility:
        table = with_eligibility(table, given.eligibility)
    elif given.take_on:
        table = with_earlier_eligibility(table, folder)
    terms = terms_of(table)
    earlier = taken_on(folder, given.brought(), table, terms) if given.take_on else StoreParts()
    orders = _orders(given, terms, rules, scorer, anyway=anyway)
    log = None if orders is None else orders.table
    stated_plan = given.plan is not None or STATED in earlier.documents
    sources = [
        earlier,
        *_sources(given, terms, orders, scorer, plan=not stated_plan),
        of_changes(folder, table, log, scorer),
        of_runs(folder, table),
        of_campaigns(folder, given.campaigns, table, orders, terms),
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
    *,
    plan: bool,
) -> Iterator[StoreParts]:
    """What each source adds, the more particular ones later; ``plan`` is of the spend, or not."""
    # what is quickly seen to be wrong comes first, though it counts last
    named = StoreParts(
        {name: read_json(file) for name, file in (given.documents or {}).items()},
        {name: read_table(file) for name, file in (given.tables or {}).items()},
    )
    monitored = of_monitor(given.monitor, terms) if given.monitor else StoreParts()
    subscribed = of_contracts(given.contracts, terms) if given.contracts else StoreParts()
    targets = of_targets(given.targets, terms) if given.targets else StoreParts()
    offers = of_offers(given.offers, terms) if given.offers else StoreParts()
    contacts = of_contacts(given.contacts) if given.contacts else StoreParts()
    judged = of_offer_report(given.offer_report, terms) if given.offer_report else StoreParts()
    leads = of_funnel(given.funnel, terms) if given.funnel else StoreParts()
    brought = of_referrals(given.referrals) if given.referrals else StoreParts()
    planned = of_plan(given.plan, terms) if given.plan else StoreParts()
    money = _spend(given, terms) if given.spend else None
    if scorer is not None:
        yield of_model(scorer)
    summary = orders.summary(scorer) if orders and scorer else None
    if money and summary is not None and "channel" in summary.column_names:
        money = money.beside(summary["channel"].unique().to_pylist())
    spend = money.rows if money else None
    if orders is not None:
        yield of_orders(orders, terms, spend)
    if summary is not None and scorer is not None:
        yield of_both(summary, scorer)
    if spend is not None:
        log = orders.log if orders else None
        yield of_spend(spend, log, summary, scorer, plan=plan)
        yield StoreParts(notes=tuple(money.notes) if money else ())
    yield from (
        planned,
        targets,
        offers,
        judged,
        monitored,
        subscribed,
        leads,
        brought,
        contacts,
        named,
    )


def _spend(given: RunFiles, terms: Mapping[str, Any]) -> SpendFile:
    return read_spend_file(str(given.spend), terms.get("currency"), config=given.config)


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
