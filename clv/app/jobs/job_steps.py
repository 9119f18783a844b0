"""The steps of an upload: check, train and compare, publish, as the commands of these names do.

Each may be begun again after it was killed: what it writes is replaced whole, a model that was
registered already is not trained again, and a store that was published already is not published
twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clv.app.contents.campaign_results import CampaignFiles
from clv.app.contents.document import first_line
from clv.app.data_file import write_data_file
from clv.app.jobs.job_folder import CHECK, SETTINGS, JobFolder
from clv.app.jobs.upload_job import UploadJob
from clv.app.next_offers import lines_of
from clv.app.publishing import RunFiles, publish_run, score_configured
from clv.app.registry import (
    CHALLENGER,
    CHAMPION,
    Registered,
    load_scorer,
    read_logged,
    registered,
)
from clv.app.training.config import Config
from clv.app.training.promotion import promote, promotion_case
from clv.app.training.steps import (
    fit_scorer,
    judge,
    read_training_log,
    register,
    with_rolling_origin,
)
from clv.contracts.billing_tables import recognise_contracts
from clv.contracts.regular_charges import regular_charges
from clv.data.days import as_day
from clv.errors import ClvError, InputError, ModelError, PromotionError
from clv.findings import Finding, finding
from clv.intake.check import Intake, check_files, error_of
from clv.intake.recipe import Recipe
from clv.intake.sources import read_source
from clv.io.files import write_json, write_table
from clv.io.text_files import parse_toml, read_text
from clv.offers.ranking import next_best_offers
from clv.offers.terms_of_offers import NextOfferTerms
from clv.scorer import CustomerScorer
from clv.store.folder import served_file, versions

COMPARISON = "comparison"
AS_BEFORE = ("experiment", "terms", "model", "calendar", "promotion")  # of the model in use
NOTHING = "-"  # was served before the first publish
EVERY = 0.5  # seconds between two notes of how far scoring is


@dataclass(frozen=True)
class JobRun:
    """A job that is worked on: where it is kept, and what it is to change.

    Attributes
    ----------
    jobs, job
        The folder, and the job as it was when its step began.
    store
        The folder of the store that is served.
    model
        The name in the registry.
    """

    jobs: JobFolder
    job: UploadJob
    store: Path
    model: str

    @property
    def settings(self) -> Path:
        """What ``clv init`` would write of the orders."""
        return self.jobs.file(self.job.job_id, SETTINGS)

    def path(self, name: str) -> str:
        """A file of the job."""
        return str(self.jobs.file(self.job.job_id, name))

    def tell(self, doing: str, part: int = 0, parts: int = 0) -> None:
        """Note what is done now; ``StoppedError`` if the job is to be stopped."""
        self.jobs.note(self.job.job_id, doing=doing, part=part, parts=parts)

    def write(self, name: str, content: Any) -> None:
        """Write down what came of the step."""
        self.jobs.write_document(self.job.job_id, name, content)

    def config(self) -> Config:
        """How to train: the file's own ``[data]``, all else as the model in use was trained."""
        values = parse_toml(read_text(self.settings), str(self.settings), "check the file again.")
        before = earlier_settings(self.model)
        values |= {name: before[name] for name in AS_BEFORE if name in before}
        checked = self.jobs.document(self.job.job_id, CHECK) or {}
        values["terms"] = {**values["terms"], **checked.get("terms", {}), **self.job.terms}
        values["model"] = {**values["model"], "name": self.model}
        return Config.from_values(values, self.settings)


def earlier_settings(model: str) -> dict[str, Any]:
    """The configuration that the model in use was trained by; empty without one."""
    return _logged_settings(_version(CHAMPION, model))


def _version(alias: str, model: str) -> Registered | None:
    try:
        return registered(alias, model)
    except ModelError:  # there are no models yet
        return None


def _logged_settings(version: Registered | None) -> dict[str, Any]:
    """The configuration of a version; empty if no training run logged it."""
    if version is None:
        return {}
    try:
        logged = read_logged(version.run_id, "config.json")
    except (ClvError, OSError):
        return {}
    return logged if isinstance(logged, dict) else {}


def run_check(run: JobRun) -> None:
    """What the orders hold, as ``clv check`` says it; read as those of the model in use were."""
    run.tell("Reading and cleaning the orders")
    source = read_source([run.path(run.job.orders)])
    if recognise_contracts(source.names) is not None:
        raise InputError(
            "this is a table of subscriptions or invoices, not of orders.",
            hint="clv contracts reads it; clv publish --contracts shows it on the page.",
        )
    before = earlier_settings(run.model)
    recipe = earlier_recipe(before.get("data", {}), source.names)
    stated = dict(run.job.answers)
    if "as_of" in stated:
        stated["as_of"] = as_day(stated["as_of"], "as_of")
    intake = check_files([run.path(run.job.orders)], recipe=recipe, stated=stated, source=source)
    stopped = error_of(intake)
    if stopped is None:
        write_data_file(intake, run.settings)
    shown = _checked(intake, before.get("terms", {}), usable=stopped is None)
    run.write(CHECK, shown | {"in_use": _version(CHAMPION, run.model) is not None})


def _checked(intake: Intake, terms: Mapping[str, Any], *, usable: bool) -> dict[str, Any]:
    """What the page shows of a check, and the columns, names and terms that it may change."""
    charges = None if intake.purchases is None else regular_charges(intake.purchases)
    regular = [f"{charges}."] if charges is not None and charges.contractual else []
    currency = intake.check.currency or terms.get("currency", "")
    return intake.check.to_dict() | {
        "usable": usable,
        "regular": regular,
        "names": list(intake.source.names),
        "columns": intake.recipe.columns.model_dump(exclude_none=True),
        "unclear": {
            name: getattr(intake.recipe, name) for name in ("unclear_status", "unclear_kinds")
        },
        "duplicates": intake.recipe.duplicates,
        "terms": {**terms, "currency": currency},
        "notes": [n.to_dict() if isinstance(n, Finding) else n for n in intake.check.notes],
    }


def earlier_recipe(data: Mapping[str, Any], names: Sequence[str]) -> Recipe | None:
    """How the orders of the model in use were read, if these have the same columns.

    >>> data = {"columns": {"customer_id": "Kunde", "date": "Tag"}, "files": ["a.csv"]}
    >>> earlier_recipe(data, ["Kunde", "Tag", "Summe"]).names("date")
    ('Tag',)
    >>> earlier_recipe(data, ["customer", "date"]) is None
    True
    """
    fields = {name: value for name, value in data.items() if name not in ("files", "as_of")}
    recipe = Recipe(**{name: value for name, value in fields.items() if value is not None})
    used = {column for role, _ in recipe.columns for column in recipe.names(role)}
    if not used or not used <= set(names):
        return None
    columns = {role: name for role, name in recipe.columns if name is not None}
    fields = recipe.model_dump(exclude_unset=True) | {"columns": columns}
    return Recipe(**fields)


def run_train(run: JobRun) -> None:
    """Train and register as ``clv train``, and compare with the model in use as ``clv promote``."""
    config = run.config()
    version = _trained_already(run, config) if run.job.attempts > 1 else 0
    if not version:
        version = _train(run, config)
    run.jobs.note(run.job.job_id, version=version)
    run.tell("Comparing with the model in use", 6, 6)
    run.write(COMPARISON, _compared(run.model))


def _train(run: JobRun, config: Config) -> int:
    run.tell("Cleaning the order log", 1, 6)
    data = read_training_log(config)
    run.tell(f"Fitting on what was known on {config.holdout.day}, as a test", 2, 6)
    judged = judge(data, config)
    run.tell("Forecasting from several earlier days, as a test of every model", 3, 6)
    judged, _ = with_rolling_origin(judged, data, config)
    run.tell("Fitting on everything: purchases, spend, churn", 4, 6)
    scorer = fit_scorer(data, judged, config)
    run.tell("Logging and registering", 5, 6)
    return register(scorer, data, judged, config).version


def _trained_already(run: JobRun, config: Config) -> int:
    """The version that a worker registered before it was killed; 0 if it did not come so far."""
    newest = _version(CHALLENGER, run.model)
    same = _logged_settings(newest) == config.model_dump(mode="json")
    return newest.version if newest is not None and same else 0


def _compared(model: str) -> dict[str, Any]:
    """The figures of both models on one holdout, and whether the new one may take over."""
    try:
        case = promotion_case(model)
    except PromotionError as error:
        return {"measures": []} | _refused(error)
    shown = {
        "measures": case.measures(),
        "measure": case.measure,
        "holdout": case.challenger.tags["holdout"],
        "new": case.challenger.version,
        "old": case.champion.version if case.champion else None,
        "beats_naive": case.beats_naive,
    }
    try:
        return shown | {"reason": case.reason().to_dict()}
    except PromotionError as error:
        return shown | _refused(error)


def _refused(error: PromotionError) -> dict[str, Any]:
    why = error.why
    return {"refused": why.to_dict() if isinstance(why, Finding) else error.message}


def run_publish(run: JobRun) -> None:
    """Promote if that was asked for, score and publish, as ``clv promote`` and ``clv publish``."""
    if run.job.attempts > 1 and (file := published_already(run)):
        run.jobs.note(run.job.job_id, published=file)
        return
    current = served_file(run.store) or NOTHING
    run.jobs.note(run.job.job_id, served_before=current, published="")
    if run.job.with_new:
        run.tell("Taking the new model into use", 1, 3)
        _promote(run)
    scorer = load_scorer(f"models:/{run.model}@{CHAMPION}")
    run.tell("Scoring", 2, 3)
    done = score_configured(run.settings, scorer, _at_times(run))
    run.tell("Publishing", 3, 3)
    files = _files(run, done.log, scorer)
    published = publish_run(done.scores, run.store, files, scorer=scorer, **done.rules)
    run.jobs.note(run.job.job_id, published=published.path.name)


def _promote(run: JobRun) -> None:
    current = _version(CHAMPION, run.model)
    if current is not None and current.version == run.job.version:
        return
    case = promotion_case(run.model)
    if case.challenger.version != run.job.version:
        raise PromotionError(
            f"another model, version {case.challenger.version}, was trained after this one.",
            hint="train again, so that the two are compared.",
        )
    promote(case)


def _files(run: JobRun, paths: list[str], scorer: CustomerScorer) -> RunFiles:
    """What is published with the scores: what can be used, beside what was published before."""
    extras = {kind: run.path(extra.name) for kind, extra in run.job.extras.items()}
    campaign = run.job.extras.get("campaign")
    logs = {Path(campaign.title).stem: run.path(campaign.name)} if campaign else {}
    return RunFiles(
        log=paths,
        config=run.settings,
        spend=extras.get("spend"),
        contacts=extras.get("contacts"),
        campaigns=CampaignFiles(logs, publisher=run.job.owner),
        take_on=True,
        lenient=True,
        **(_offers(run, extras["order_lines"], scorer) if "order_lines" in extras else {}),
    )


def _offers(run: JobRun, lines: str, scorer: CustomerScorer) -> dict[str, Any]:
    """What to offer whom next, of order lines as ``clv offers`` ranks them; or why nothing."""
    run.tell("Ranking next offers", 3, 3)
    rate = scorer.terms.margin_rate
    try:
        ranked = next_best_offers(lines_of([lines], {}), NextOfferTerms(margin_rate=rate))
    except ClvError as error:
        return {"notes": (finding("store.no_offers", why=first_line(error)),)}
    offers, report = Path(run.path("offers.parquet")), Path(run.path("offers.json"))
    write_table(ranked.table, offers)
    write_json(ranked.to_dict(), report)
    return {"offers": str(offers), "offer_report": str(report)}


def published_already(run: JobRun) -> str:
    """The file that a worker published before it was killed; empty if it did not come so far."""
    kept = [version.path.name for version in versions(run.store)] if served_file(run.store) else []
    before = run.job.served_before
    earlier = [] if before == NOTHING else [before]
    return kept[0] if before and kept and kept[0] != before and kept[1:] == earlier else ""


def _at_times(run: JobRun) -> Callable[[int, int], None]:
    """How far scoring is, noted now and then."""
    last = [time.monotonic()]

    def noted(done: int, total: int) -> None:
        if time.monotonic() - last[0] >= EVERY:
            last[0] = time.monotonic()
            run.tell(f"Scoring: {100 * done // max(total, 1)}%", 2, 3)

    return noted


STEPS: dict[str, Callable[[JobRun], None]] = {
    "check": run_check,
    "train": run_train,
    "publish": run_publish,
}
