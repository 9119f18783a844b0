"""A campaign from files: what the last one taught, offers, rules, the plan, and where it goes.

The learning loop: ``clv targets`` writes a list with a control group; the campaign runs; the list
with a column outcome_margin (and the true cost) is the campaign log; with the scores that the list
was planned on it retrains the uplift, by offer where there were several.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clv.app.plan_files.offers_file import OfferPlan, OffersPlan
from clv.decide.retention.actions import AnyOffer, MeasuredOffer
from clv.decide.retention.offer import Offer
from clv.decide.retention.offer_actions import next_offer_actions, offered_items
from clv.errors import ColumnError, InputError
from clv.format import count, counted, figure
from clv.io.files import read_table
from clv.uplift import UpliftModel, fit_uplift

if TYPE_CHECKING:
    import pyarrow as pa

    from clv.decide.retention.plan import CampaignPlan

SINGLE = Offer.name  # what the only offer of a campaign is called
REGISTERED = "clv-uplift"
NEEDED = (
    "clv score LOG --as-of <the day before the campaign> -o before.parquet, then "
    "--campaign-scores before.parquet."
)
FAR = 0.05  # share of the customers beyond the campaign's range that is worth saying
Learned = Mapping[str, UpliftModel]


def learn(
    log: str | None,
    before: str | None,
    *,
    propensity: float | None = None,
    value: str | None = None,
    seed: int = 0,
) -> dict[str, UpliftModel]:
    """What a finished campaign taught, by offer; nothing without a log.

    Parameters
    ----------
    log
        File of the campaign: customer_id, treated, outcome_margin and propensity (or as an
        argument), best with cost and date; with ``action`` where there were several offers, which
        also the held-out customers have: the list that ``clv targets`` wrote is of that kind.
    before
        File of everybody's scores as of a day before the campaign.
    propensity, value, seed
        As for :func:`clv.uplift.fit_uplift`.

    Raises
    ------
    InputError, FitError
        There are no scores of before, or as ``fit_uplift``.
    """
    if log is None:
        return {}
    if before is None:
        raise InputError(
            "a campaign log says what happened, not who the customers were.", hint=NEEDED
        )
    table, features = read_table(log), read_table(before)
    arms = arms_of(table)
    return {
        name: fit_uplift(arm, features, propensity=propensity, value=value, seed=seed)
        for name, arm in arms.items()
    }


def arms_of(log: pa.Table) -> dict[str, pa.Table]:
    """The log by offer, each with its own held-out customers."""
    if "action" not in log.column_names:
        return {SINGLE: log}
    import pyarrow.compute as pc

    names = sorted({str(name) for name in log["action"].to_pylist() if name is not None})
    if not names or log["action"].null_count:
        raise InputError(
            "some customers of the campaign log have no action.",
            hint="name the offer also of those held out, or leave the column away.",
        )
    return {name: log.filter(pc.equal(log["action"], name)) for name in names}


def offers_of(
    scores: Any, single: Offer | None, file: Path | None, learned: Learned
) -> tuple[AnyOffer, ...]:
    """The offers of a campaign: one, those of a file, or those that the last campaign taught.

    What it taught replaces what the file assumes of an offer of that name.

    Raises
    ------
    InputError
        The file is wrong, or a campaign is of an offer that the file does not have.
    """
    if single is not None:
        return (single,)
    if file is None:
        return tuple(_measured(name, model, scores, None) for name, model in learned.items())
    plan = OffersPlan.read(file)
    names = [offer.name for offer in plan.offers]
    if list(learned) == [SINGLE] and len(names) == 1:
        learned = {names[0]: learned[SINGLE]}
    if unknown := [name for name in learned if name not in names]:
        raise InputError(
            f"the campaign was of {', '.join(unknown)}, the offers are {', '.join(names)}.",
            hint="name them alike, in the column action of the log and in the file.",
        )
    return tuple(_built(offer, file.parent, scores, learned) for offer in plan.offers)


def with_next_offers(
    scores: pa.Table,
    single: Offer | None,
    files: tuple[Path | None, str],
    share: float | None,
    learned: Learned,
) -> tuple[AnyOffer, ...]:
    """As ``offers_of``, with the next offers of a file beside them, by kind.

    What a campaign taught of a kind replaces what is assumed of it.

    Raises
    ------
    InputError, ColumnError, RowError
        As ``offers_of`` and :func:`clv.next_offer_actions`.
    """
    file, offered = files
    kinds = next_offer_actions(scores, read_table(offered), share)
    named = {kind.name for kind in kinds}
    others = {name: model for name, model in learned.items() if name not in named}
    keep = offers_of(scores, single, file, others)
    both = (
        _learned_kind(kind, learned[kind.name], scores) if kind.name in learned else kind
        for kind in kinds
    )
    return (*keep, *both)


def _learned_kind(kind: MeasuredOffer, model: UpliftModel, scores: pa.Table) -> MeasuredOffer:
    """What a campaign taught of a kind of offer, and nothing for who has no such offer."""
    import pyarrow as pa

    effects = _measured(kind.name, model, scores, None).effects
    has_offer = kind.effects["expected_gain"].to_numpy() > 0
    for name in ("expected_gain", "gain_low", "gain_high"):
        if name in effects.column_names:
            gain = np.where(has_offer, effects[name].to_numpy(), 0.0)
            place = effects.column_names.index(name)
            effects = effects.set_column(place, name, pa.array(gain))
    return MeasuredOffer(kind.name, effects)


def with_items(table: pa.Table, file: str) -> pa.Table:
    """A plan with the item of each reminder, new item and upsell."""
    import pyarrow as pa

    items = offered_items(table, read_table(file))
    return table.append_column("item", pa.array(items, pa.string()))


def _built(offer: OfferPlan, folder: Path, scores: Any, learned: Learned) -> AnyOffer:
    if offer.name in learned:
        return _measured(offer.name, learned[offer.name], scores, offer.capacity)
    if offer.uplift is not None:
        return _measured(offer.name, read_uplift(offer.uplift, folder), scores, offer.capacity)
    return offer.build()


def _measured(name: str, model: UpliftModel, scores: Any, capacity: int | None) -> MeasuredOffer:
    try:
        return MeasuredOffer(name, model.predict(scores), capacity)
    except ColumnError as error:
        raise ColumnError(
            f"the uplift of {name} was learned from other columns: {error.message}",
            hint="score with the same version of clv and the same options as before the campaign.",
        ) from error


def beyond(name: str, model: UpliftModel, scores: pa.Table) -> str | None:
    """That many customers are unlike any of the campaign, in words; None if hardly any are.

    The model takes them to be like those at the edge of what it saw, which nobody has tested.
    """
    outside = {}
    for column, knots in model.columns.knots.items():
        values = scores[column].to_numpy()
        outside[column] = int(((values < knots[0]) | (values > knots[-1])).sum())
    most = max(outside, key=lambda column: outside[column], default=None)
    if most is None or outside[most] < FAR * scores.num_rows:
        return None
    low, high = model.columns.knots[most][0], model.columns.knots[most][-1]
    whose = "" if name == SINGLE else f"of {name} "
    return (
        f"{count(outside[most])} of {counted(scores.num_rows, 'customer')} are unlike any whom the "
        "campaign "
        f"{whose}tried: {most} was {figure(low)} to {figure(high)} there. "
        "What is expected of them is untested; a rule such as --silent-for leaves them out."
    )


def read_uplift(source: str, folder: Path = Path()) -> UpliftModel:
    """An uplift model from a JSON file (beside ``folder``) or an MLflow URI."""
    if source.startswith(("models:/", "runs:/")):
        from clv.app.registry import load_uplift

        return load_uplift(source)
    return UpliftModel.load(folder / source)


def save_uplift(learned: Learned, folder: Path) -> list[Path]:
    """Write each model as JSON, named for its offer; the files are returned.

    Raises
    ------
    InputError
        The folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [model.save(folder / f"{_slug(name)}.json") for name, model in learned.items()]
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written: {error.strerror or error}.", hint="name another folder."
        ) from error


def register_uplift(learned: Learned, log: str | None) -> dict[str, str]:
    """Make each model a new version in MLflow; its URI by offer."""
    from clv.app.run_logging import log_uplift

    source = None if log is None else Path(log)
    uris = {}
    for name, model in learned.items():
        as_ = REGISTERED if name == SINGLE else f"{REGISTERED}-{_slug(name)}"
        uris[name] = log_uplift(model, as_, source=source).uri
    return uris


def contact_limit(text: str | None, contacts: str | None) -> dict[str, int]:
    """A limit on contacts for ``Rules``: how many, in how many days.

    >>> contact_limit("2:30", "contacts.csv")
    {'most_contacts': 2, 'contact_days': 30}
    """
    if text is None:
        return {}
    if contacts is None:
        raise ValueError("--contact-limit needs --contacts, a file of customer_id and date")
    try:
        most, days = (int(part) for part in text.split(":"))
    except ValueError as error:
        raise ValueError(f"{text!r} should be contacts:days, such as 2:30") from error
    return {"most_contacts": most, "contact_days": days}


def campaign_json(
    plan: CampaignPlan,
    learned: Learned,
    versions: Mapping[str, str],
    top: int,
    roi: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The plan and what was learned, as JSON values."""
    uplift = {
        name: {
            "reason": model.reason.to_dict(),
            "findings": [each.to_dict() for each in model.findings],
            "policies": model.figures,
            "uri": versions.get(name),
            "roi": roi[name].to_dict() if roi and name in roi else None,
        }
        for name, model in learned.items()
    }
    targets = plan.best(top).to_arrow().to_pylist()
    content = {"summary": plan.summary.to_dict(), "targets": targets}
    return content | ({"uplift": uplift} if uplift else {})


def _slug(name: str) -> str:
    """A name as a file may be called.

    >>> _slug("E-Mail / 10% off")
    'e-mail-10-off'
    """
    words = "".join(c if c.isalnum() or c in "-_" else " " for c in name.lower()).split()
    return "-".join(word for word in words if word.strip("-_")) or "offer"
