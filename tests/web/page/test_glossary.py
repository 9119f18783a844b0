"""The glossary: each term once, on a page that every other page leads to."""

from pathlib import Path
from typing import Any

import pandas as pd
from fastapi import FastAPI

from clv.glossary import glossary
from clv.store import Stores, publish
from clv.web.page import mount_page

WANTED = (
    "CLV", "CAC", "Payback", "Control group", "Uplift", "Save rate", "Contribution margin",
    "Churn", "Active, P(alive)", "Shadow price", "Incremental", "LTV:CAC",
)  # fmt: skip


def test_each_term_stands_once_and_says_something() -> None:
    names = [term.name for term in glossary()]
    anchors = [term.anchor for term in glossary()]
    assert len(set(names)) == len(names) == len(set(anchors))
    assert names == sorted(names, key=str.lower)
    for term in WANTED:
        assert any(name.startswith(term) for name in names), term
    assert all(len(term.says) > 20 and term.says.endswith(".") for term in glossary())


def test_the_page_shows_all_terms_and_every_page_leads_to_it(
    scores: pd.DataFrame, tmp_path: Path, browse: Any
) -> None:
    publish(scores, tmp_path)
    app = FastAPI(openapi_url=None)
    mount_page(app, Stores(tmp_path))
    visitor = type(browse)(app)
    assert '<a href="/glossary">What the words mean</a>' in visitor("/").text
    page = visitor("/glossary")
    assert page.status_code == 200
    assert '<div id="save-rate"><dt>Save rate</dt><dd>The share of leavers whom an' in page.text
    assert page.text.count("<dt>") >= len(glossary())
