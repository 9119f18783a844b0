"""From lead to customer: published, on Channels, from the API; files that are none refused."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import clv
from clv.app.publishing import RunFiles, publish_run
from clv.errors import InputError
from clv.findings import saved
from clv.format import percent
from clv.web.application import create_app
from tests.web.page.conftest import Browser


@pytest.fixture(scope="module")
def funnel() -> dict[str, Any]:
    """The document of 1,500 simulated leads."""
    leads = clv.read_leads(clv.simulate_leads(1, leads=1_500).leads)
    made = clv.lead_funnel(leads, clv.FunnelTerms(90, 900.0))
    assert saved(made.findings)
    return dict(json.loads(json.dumps(made.to_dict(), default=str)))


@pytest.fixture
def store(scores: pd.DataFrame, funnel: dict[str, Any], tmp_path: Path) -> Path:
    """A store with these leads."""
    scores.head(20).to_parquet(tmp_path / "scores.parquet")
    (tmp_path / "funnel.json").write_text(json.dumps(funnel))
    files = RunFiles(funnel=str(tmp_path / "funnel.json"))
    publish_run(str(tmp_path / "scores.parquet"), tmp_path / "store", files)
    return tmp_path / "store"


def test_the_page_shows_what_was_published(store, funnel):
    page = Browser(create_app(None, store=store))
    text = page("/channels").text
    assert "From lead to customer" in text
    for stage in funnel["stages"]:
        assert stage["stage"] in text
    share = funnel["channels"][0]["conversion"]["share"]
    assert percent(share) in text
    answer = page("/v1/funnel").json()
    assert answer["funnel"]["stages"] == funnel["stages"]


def test_without_leads_there_is_nothing_to_show(bare):
    page = bare()
    assert "From lead to customer" not in page("/channels").text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stages": []}, "stages"),
        ({"age": -1}, "age"),
        ({"currency": "EUR"}, "currency"),
        ({"channels": [{"channel": "x"}]}, "channels"),
    ],
)
def test_files_that_are_no_funnel_are_refused(store, funnel, change, said):
    file = store.parent / "wrong.json"
    file.write_text(json.dumps(funnel | change))
    with pytest.raises(InputError, match=said):
        publish_run(
            str(store.parent / "scores.parquet"), store.parent / "new", RunFiles(funnel=str(file))
        )
    file.write_text("{}")
    with pytest.raises(InputError, match="is no funnel"):
        publish_run(
            str(store.parent / "scores.parquet"), store.parent / "new", RunFiles(funnel=str(file))
        )
