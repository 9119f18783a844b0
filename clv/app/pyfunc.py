"""The scorer as an MLflow model from code: what ``mlflow.pyfunc`` and ``mlflow models serve`` run.

MLflow runs this file when a model is loaded, beside the package that was logged with it. The
scorer itself is read from JSON and skops files; no pickle is involved. Input is a summary as the
signature says, output the scores of ``CustomerScorer.predict``. There are no params: a value on
other terms (horizon, margin, discount rate) is another model version.
"""

from __future__ import annotations

from typing import Any

import mlflow
import pandas as pd

from clv.errors import ClvError
from clv.scorer import CustomerScorer


class CustomerScores(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined, misc]
    """One row of scores for each row of a summary."""

    scorer: CustomerScorer

    def load_context(self, context: Any) -> None:
        """Read the scorer from the files that were logged with the model."""
        self.scorer = CustomerScorer.load(context.artifacts["scorer"])

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """The scores of ``CustomerScorer.predict``."""
        try:
            return self.scorer.predict(model_input)
        except ClvError as error:  # MLflow's server passes on no other error's words
            raise mlflow.MlflowException.invalid_parameter_value(str(error)) from error


mlflow.models.set_model(CustomerScores())
