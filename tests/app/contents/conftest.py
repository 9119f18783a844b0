"""A small simulated brand, its scorer without a pooled forecast, and its scores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pytest

from clv.app.simulated_brand import write_brand
from clv.churn.model import ChurnModel
from clv.data.summary import margin_rate, summarize
from clv.data.transactions import clean
from clv.io.files import write_table
from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.gamma_gamma import GammaGamma
from clv.scorer import CustomerScorer
from clv.simulate import simulate_brand
from clv.store.intake import terms_of
from clv.value.value import Terms


@dataclass(frozen=True)
class Made:
    """Files of a brand (orders.csv, spend.csv, scores.parquet, model) and what is in them."""

    folder: Path
    log: pa.Table
    summary: pa.Table
    scorer: CustomerScorer
    scores: pa.Table

    @property
    def terms(self) -> dict[str, object]:
        """Those of the scores."""
        return terms_of(self.scores)

    def file(self, name: str) -> str:
        """The path of a file, as text."""
        return str(self.folder / name)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("contents")
    brand = simulate_brand(seed=5, customers=3000)
    write_brand(brand, folder / "brand", seed=5)
    for file in (folder / "brand").iterdir():
        file.rename(folder / file.name)
    log = pa.Table.from_pandas(clean(brand.orders)[0], preserve_index=False)
    summary = summarize(log)
    terms = Terms(margin_rate(log), 0.10, Duration(3, "year"), "EUR", margin_source="measured")
    scorer = CustomerScorer(
        purchases=BetaGeoNBD(unit="week").fit(summary),
        spend=GammaGamma().fit(summary),
        churn=ChurnModel(Duration(13, "week"), None, "no pool was asked for"),
        terms=replace(terms, periods_per_year=52.0),
        unit="week",
        as_of=str(brand.as_of.date()),
    )
    scorer.save(folder / "model")
    scores = scorer.predict(summary)
    write_table(scores, folder / "scores.parquet")
    return Made(folder, log, summary, scorer, scores)
