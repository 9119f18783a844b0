"""What changed since the run before, as page, API and ``clv digest`` say it of one store."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from clv.app.contents.earlier_runs import of_changes
from clv.data.summary import summarize
from clv.scorer import CustomerScorer
from clv.store import Store, publish
from clv.web.application import create_app

from .conftest import Browser, page_of

DAYS = ("1997-08-31", "1997-09-15", "1997-09-30")


@pytest.fixture(scope="module")
def weekly(log: pd.DataFrame, scorer: CustomerScorer, tmp_path_factory: Any) -> Path:
    folder: Path = tmp_path_factory.mktemp("weekly")
    for day in DAYS:
        table = scorer.predict(summarize(log, as_of=day))
        tables = [pa.Table.from_pandas(each, preserve_index=False) for each in (table, log)]
        found = of_changes(folder, *tables, scorer)
        publish(table, folder, log=log, documents=found.documents, tables=found.tables)
    return folder


@pytest.fixture(scope="module")
def records(weekly: Path) -> list[dict[str, Any]]:
    with Store.open(weekly) as store:
        found: list[dict[str, Any]] = store.document("changes")
        return found


def amounts_shown(page: str) -> list[float]:
    """The figures of the table behind the waterfall, as a reader would type them off."""
    caption = page.index("Steps from one value to the other")
    table = unescape(page[caption : page.index("</table>", caption)])
    return [
        float(text.replace("−", "-").replace("$", "").replace(",", ""))
        for text in re.findall(r"−?\$[\d,]+\.\d\d", table)
    ]


def test_overview_opens_with_steps_that_add_up_to_the_cent(weekly, records):
    browse = Browser(page_of(weekly))
    for record, path in zip(records, ("/", f"/?since={DAYS[0]}"), strict=True):
        page = browse(path).text
        then, *steps, now = amounts_shown(page)
        assert (then, now) == (record["before"], record["after"])
        assert round(sum(steps), 2) == round(now - then, 2)
        assert page.index('id="changed"') < page.index('class="headlines"')
        assert f'href="/customers/{record["movers"][0]["customer_id"]}"' in page
    assert "What changed since 15 September 1997" in browse("/?since=1890-01-01").text


def test_no_run_before_no_section(browse):
    assert 'id="changed"' not in browse("/").text


def test_the_api_gives_the_same(weekly, records, scorer):
    browse = Browser(create_app(scorer, store=weekly))
    found = browse("/v1/changes").json()
    assert {name: found[name] for name in records[0]} == records[0]
    assert found["runs"] == [DAYS[1], DAYS[0]]
    assert [each["code"].partition(".")[0] for each in found["sentences"]] == ["changes"] * 3
    longer = browse(f"/v1/changes?since={DAYS[0]}").json()
    assert longer["before"] == records[1]["before"]
    wrong = browse("/v1/changes?since=1890-01-01")
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "since")


def test_the_api_says_where_nothing_can_be_compared(folder, scorer):
    browse = Browser(create_app(scorer, store=folder))
    answer = browse("/v1/changes")
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (404, "no-earlier-run")


def test_digest_says_it_in_three_sentences(weekly, records, run, tmp_path):
    page = tmp_path / "monday.html"
    said = run("digest", weekly, "--output", page)
    assert said.code == 0, said.err
    assert "What changed since 15 September 1997" in said.said
    assert said.out.count(" - ") == 3
    assert round(records[0]["before"] - records[0]["after"]) == 215
    assert "$215 less than on 15 September 1997" in page.read_text(encoding="utf-8")
    assert "<script" not in page.read_text(encoding="utf-8")
    told = json.loads(run("digest", weekly, "--since", DAYS[0], "--json").out)
    assert told["before"] == records[1]["before"]
    assert "no run of '1890-01-01'" in run("digest", weekly, "--since", "1890-01-01").failed


def test_digest_of_a_first_run_says_what_to_do(folder, run):
    failed = run("digest", folder)
    assert failed.code == 3
    assert "publish the next run to the same folder" in failed.failed
