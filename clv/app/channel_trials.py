"""The test that a budget plan calls for: from a plan file to the design of a test by region."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clv.app.plans import Planned, read_plan
from clv.defaults import SEED
from clv.errors import InputError
from clv.experiments.channel_test import ChannelTest, plan_channel_test
from clv.experiments.geo_pairs import MeasuredRegions, measure_regions
from clv.io.files import read_table


def channel_trial(
    file: Path, channel: str | None = None, rise: float = 1.0, seed: int = SEED
) -> ChannelTest:
    """The test of a channel of a plan file; by default of the one most worth testing.

    Raises
    ------
    InputError, PlanError, ModelError
        The plan cannot be used, its curves are stated, or no test could change it.
    """
    return of_planned(read_plan(file), channel, rise, seed)


def of_planned(
    planned: Planned, channel: str | None = None, rise: float = 1.0, seed: int = SEED
) -> ChannelTest:
    """The same of a plan that is worked out."""
    curves = planned.estimates.curves
    if curves is None or planned.uncertainty is None:
        raise InputError(
            "the curves of this plan are stated, so nothing says what a test would find.",
            hint="estimate them from a spend table: clv allocate --help shows such a plan.",
        )
    name = channel or planned.uncertainty.test_next
    if name is None:
        raise InputError(
            "no test could change this plan: it is best in every simulated outcome.",
            hint="give --channel to plan one all the same.",
        )
    return plan_channel_test(
        planned.channels,
        planned.allocation.budget,
        name,
        phi=curves.phi,
        rise=rise,
        retention=planned.retention,
        periods=planned.periods,
        seed=seed,
        currency=planned.currency,
    )


def measured_trial(
    pairs: str,
    after: str,
    before: str | None,
    channel: str | None,
    spend: float | None,
    extra_spend: float | None,
    *,
    level: float,
) -> tuple[dict[str, MeasuredRegions], dict[str, dict[str, Any]]]:
    """What a test by region found, by name; and as JSON values, with the lift test for plans.

    Raises
    ------
    InputError, ColumnError, RowError
        As ``measure_regions``; or the channel is named without its spend.
    """
    history = None if before is None else read_table(before)
    measured = measure_regions(
        read_table(pairs), read_table(after), history, extra_spend=extra_spend, level=level
    )
    document = measured.to_dict()
    if channel is not None:
        if spend is None or extra_spend is None:
            raise InputError(
                f"what {channel} spent is not stated, so its curve cannot learn from the test.",
                hint="give --spend and --extra-spend, a period.",
            )
        document["lift_test"] = vars(measured.lift_test(channel, spend))
    name = channel or "regions"
    return {name: measured}, {name: document}
