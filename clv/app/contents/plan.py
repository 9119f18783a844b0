"""A plan file as a document that names no files, so that a page can work on it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from clv.app.contents.document import StoreParts, require_currency
from clv.app.estimates import Estimates, estimate
from clv.app.plan_files.plan_file import EstimatedPlan, Plan
from clv.app.plan_files.sections import ChannelSettings, MeanCurve, RetentionPlan
from clv.app.plan_gains import DOCUMENT as DRAWS_OF_PLAN
from clv.app.plan_gains import PlanDraws
from clv.app.requests import PlanBody
from clv.decide.budget.channel import Channel
from clv.decide.budget.draws import MeanOfDraws
from clv.decide.retention.offer import BetaRate
from clv.errors import InputError
from clv.io.files import read_json

STATED = "stated_plan"  # the document that says that a file brought the plan
UNBOUNDED = 1e15  # beyond this a bound is none
DRAWS = 100  # of an estimated curve that a page works with


def of_plan(file: str, terms: Mapping[str, Any]) -> StoreParts:
    """The document ``plan``, from a plan that ``clv allocate`` takes, or from JSON of its fields.

    Curves and values that the plan leaves to be estimated are estimated here, and their draws are
    kept; its retention becomes an offer to the customers of the store.

    Raises
    ------
    InputError, PlanError, ModelError
        The plan cannot be used, no allocation satisfies it, or it is in another currency or over
        another horizon than the scores.
    """
    draws = None
    if Path(file).suffix == ".json":
        document = read_json(file)
    else:
        document, draws = _of_toml(file)
    plan = checked(document)
    require_currency("the plan", plan.currency, terms)
    if plan.retention and plan.horizon and plan.horizon != terms["horizon"]:
        raise InputError(
            f"the plan counts values over {plan.horizon}, the scores over {terms['horizon']}.",
            hint="give both the same horizon, or leave retention out of the plan.",
        )
    stated = {"plan": document, STATED: True}
    return StoreParts(stated | ({DRAWS_OF_PLAN: draws} if draws else {}))


def checked(
    document: Any,
    what: str = "the plan",
    hint: str = "give what clv allocate takes; see clv.app.plan_files.plan_file.",
) -> PlanBody:
    """A plan's document as a plan; ``InputError`` about ``what`` if it is none."""
    try:
        return PlanBody.model_validate_json(json.dumps(document))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "it"
        raise InputError(f"{what} cannot be used: {where}: {first['msg']}.", hint=hint) from error


def document_of(
    channels: Sequence[Channel],
    plan: Plan | None = None,
    **stated: Any,
) -> dict[str, Any]:
    """The document of channels at hand; ``stated`` are further fields of a plan.

    >>> from clv.decide.budget.response import Power
    >>> drawn = Power(np.array([12.0, 20.0]), np.array([0.6, 0.5]))
    >>> search = Channel("search", MeanOfDraws(drawn), 60, current=9000.0)
    >>> made = document_of([search], budget=9000.0)
    >>> checked(made).allocate().spend
    {'search': 9000.0}
    """
    settings = {section.name: section for section in plan.channels} if plan else {}
    listed = [_channel(channel, settings.get(channel.name)) for channel in channels]
    return {**{name: value for name, value in stated.items() if value is not None}} | {
        "channels": listed
    }


def _of_toml(file: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The document of a plan, and that of its draws where there are any."""
    plan = Plan.read(file)
    estimates = Estimates(period=plan.period)
    if isinstance(plan, EstimatedPlan):
        plan, estimates = estimate(plan)
    terms = estimates.terms
    plan.allocate()  # a plan that nothing satisfies is not published
    channels = plan.to_channels()
    document = document_of(
        channels,
        plan,
        budget=plan.budget,
        currency=plan.currency or (terms.currency or None if terms else None),
        horizon=plan.horizon or (str(terms.horizon) if terms else None),
        periods=plan.periods,
        period=estimates.period,
        step=list(plan.step) if math.isfinite(plan.step[1]) else None,
        target=plan.target.model_dump(exclude_none=True) if plan.target else None,
        retention=_offer(plan.retention) if plan.retention else None,
    )
    return document, PlanDraws.written(channels, estimates.values)


def _channel(channel: Channel, settings: ChannelSettings | None) -> dict[str, Any]:
    """A channel as a section of a plan that builds the same one again."""
    response = settings.response if settings else None
    if response is None:
        if not isinstance(channel.response, MeanOfDraws):
            raise InputError(f"the curve of {channel.name} has no draws.")
        observed = channel.observed or (channel.current or 1.0, 1.0)
        response = MeanCurve.written(thinned(channel.response, max(observed)))
    section: dict[str, Any] = {
        "name": channel.name,
        "value": channel.value,
        "response": response.model_dump(mode="json", exclude_none=True),
        "incrementality": channel.incrementality,
        "decline": channel.decline,
    }
    if channel.current is not None:
        section["current"] = channel.current
    if channel.observed is not None:
        section["observed"] = list(channel.observed)
    if settings is not None and settings.locked:
        return section | {"locked": True}
    return section | _bounds(channel)


def thinned(curve: MeanOfDraws, spend: float, most: int = DRAWS) -> MeanOfDraws:
    """Nearly the same mean of fewer draws: each the average of some that bend alike at ``spend``.

    A page solves a plan anew whenever a slider moves, and time goes with the draws. From 500 to 100
    moved no spend of a plan by more than 0.05%, nor its profit.

    >>> from clv.decide.budget.response import Power
    >>> rng = np.random.default_rng(0)
    >>> b = rng.uniform(0.4, 0.6, 500)
    >>> many = MeanOfDraws(Power(rng.uniform(300, 400, 500) / 1000**b, b))
    >>> bool(abs(thinned(many, 1000.0).customers(2500) / many.customers(2500) - 1) < 0.001)
    True
    """
    names = curve.draws.parameters()
    values = np.broadcast_arrays(*(getattr(curve.draws, name) for name in names))
    bend = np.round(curve.draws.elasticity(spend), 9)  # all alike where curves are still straight
    order = np.lexsort((curve.draws.customers(spend), bend))
    groups = np.array_split(order, min(most, len(order)))
    means: dict[str, Any] = {
        name: np.array([value[group].mean() for group in groups])
        for name, value in zip(names, values, strict=True)
    }
    return replace(curve, draws=replace(curve.draws, **means))


def _bounds(channel: Channel) -> dict[str, Any]:
    """Bounds and step caps; a side without a cap has a bound instead, as JSON has no infinity."""
    low, high = channel.step
    section: dict[str, Any] = {"step": [low, high if math.isfinite(high) else max(low, 1.0)]}
    if channel.lo > 0:
        section["lo"] = channel.lo
    if not math.isfinite(high) or math.isfinite(channel.hi):
        section["hi"] = min(channel.hi, UNBOUNDED)
    return section


def _offer(retention: RetentionPlan) -> dict[str, Any]:
    """The retention of a plan as an offer to the customers of a store."""
    if retention.options is not None:
        raise InputError(
            f"the plan's retention is a table of options, {retention.options}, which a page cannot "
            "offer to the customers of these scores.",
            hint="state an offer in [retention]: scores, contact_cost, incentive, save_rate.",
        )
    fields = retention.model_dump(mode="json", exclude={"scores", "options"}, exclude_none=True)
    rate = retention.save_rate
    return fields | (
        {"save_rate": {"a": rate.a, "b": rate.b}} if isinstance(rate, BetaRate) else {}
    )
