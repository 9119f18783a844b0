"""The report that no fit ends without: where the search ended, how surely, and what that means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from clv.findings import Finding, saved
from clv.format import counted, figure, number
from clv.notebook import InNotebook


@dataclass(frozen=True)
class FitReport(InNotebook):
    """How a fit ended, for people and for the tracking server.

    Attributes
    ----------
    log_likelihood
        Total, in the data's own unit, as the papers print it.
    gradient_norm
        Largest derivative of the mean log-likelihood by the log of a parameter, bounds excluded.
    condition
        Condition number of the Hessian there; large means that some direction is nearly flat.
    starts, starts_agreeing
        Starting points tried, and how many reached the same log-likelihood to 1e-6.
    findings
        What a maximum at the edge of the parameter space means, and which assumption
        of the model the data do not bear out.
    """

    model: str
    engine: str
    parameters: dict[str, float]
    log_likelihood: float
    gradient_norm: float
    condition: float
    starts: int
    starts_agreeing: int
    cells: int
    customers: float
    findings: tuple[Finding, ...] = ()

    @property
    def converged(self) -> bool:
        """Whether the gradient vanished in every direction that is not against a bound."""
        return self.gradient_norm < 1e-5

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        finite = np.isfinite(self.condition)  # JSON has no infinity
        return vars(self) | {
            "condition": self.condition if finite else None,
            "findings": saved(self.findings),
            "converged": self.converged,
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> FitReport:
        """The report that ``to_dict`` wrote."""
        fields = {name: value for name, value in saved.items() if name != "converged"}
        if fields["condition"] is None:
            fields["condition"] = float("inf")
        return cls(**fields | {"findings": tuple(map(Finding.from_dict, saved["findings"]))})

    def __str__(self) -> str:
        values = "  ".join(f"{name} {figure(value, 5)}" for name, value in self.parameters.items())
        lines = [
            f"{self.model} ({self.engine}): {values}",
            f"  log-likelihood {number(self.log_likelihood, 3)}, "
            f"{counted(self.customers, 'customer')} in {counted(self.cells, 'cell')}",
            f"  {'converged' if self.converged else 'NOT CONVERGED'}: gradient "
            f"{self.gradient_norm:.1e}, condition {self.condition:.1e}, "
            f"{self.starts_agreeing} of {self.starts} starts agree",
        ]
        return "\n".join([*lines, *(f"  note: {line}" for line in self.findings)])
