"""A worked-out plan as an MLflow run: what was asked, what came out, the plan and its page."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from clv.app.plans import Planned
from clv.app.run_evidence import Evidence
from clv.app.run_logging import log_result
from clv.io.json import plain
from clv.io.text_files import read_text
from clv.report.plan_report import plan_page

TOTALS = (
    "profit",
    "value",
    "profit_gain",
    "expected_customers",
    "portfolio_cac",
    "portfolio_ltv_to_cac",
    "retention_spend",
    "retention_share",
    "multiplier",
    "unspent",
    "kkt_residual",
)


def track_plan(experiment: str, planned: Planned, file: Path | None = None) -> str:
    """Log a plan in a run of its own, and give the run's id.

    Parameters
    ----------
    experiment
        Made if it is new.
    file
        The TOML file that it came from, logged beside the result.
    """
    files: dict[str, Any] = {
        "plan.json": plain(planned.to_dict()),
        "report.html": plan_page(planned).html(),
    }
    if file is not None:
        files[file.name] = read_text(file)
    evidence = Evidence(
        params=_params(planned),
        metrics=_metrics(planned),
        tags={"kind": "plan"},
        files=files,
        says="\n\n".join(map(str, planned.allocation.findings)),
    )
    return log_result(experiment, planned.name, evidence)


def _params(planned: Planned) -> dict[str, Any]:
    """What was asked."""
    best, curves = planned.allocation, planned.estimates.curves
    return {
        "budget": best.budget,
        "target": best.target,
        "horizon": best.horizon,
        "currency": planned.currency,
        "periods": planned.periods,
        "channels": len(planned.channels),
        "curves": "stated" if curves is None else curves.shape,
        "terms": None if planned.estimates.terms is None else str(planned.estimates.terms),
    }


def _metrics(planned: Planned) -> dict[str, float]:
    """What came out, as far as it is a finite number."""
    best, sure = planned.allocation, planned.uncertainty
    values = {name: getattr(best, name) for name in TOTALS}
    values |= {f"spend/{name}": spend for name, spend in best.spend.items()}
    if sure is not None:
        values |= {"probability_better": sure.probability_better, "evpi": sure.evpi}
        values |= {f"evppi/{name}": value for name, value in sure.evppi.items()}
    return {_key(n): float(v) for n, v in values.items() if v is not None and math.isfinite(v)}


def _key(name: str) -> str:
    """A name that MLflow takes: letters, digits and a few signs."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-. /") else "_" for c in name)
