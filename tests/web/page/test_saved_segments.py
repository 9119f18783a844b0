"""Filters under a name: saved by planners, found by all, and nothing in them is code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clv.errors import InputError
from clv.exports.audit import read_audit
from clv.web.access.keys import add_key
from clv.web.access.who import Access
from clv.web.application import create_app
from clv.web.page.kept_file import MOST_KEPT
from clv.web.page.saved_segments import SEGMENTS, SavedSegment, SegmentFile

from .conftest import HOSTILE, Browser

Sent = Callable[..., Any]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="module")
def send(scorer: Any, folder: Path, place: Path) -> Sent:
    """Posts a form, or gets a page, by the key of a role."""
    keys = {role: add_key(place / "keys.json", role, role) for role in ("viewer", "planner")}
    access = Access.on("127.0.0.1", keys=place / "keys.json", audit=place / "audit.jsonl")
    browse = Browser(create_app(scorer, store=folder, access=access, jobs=place / "jobs"))

    def sent(path: str, role: str = "planner", **form: str) -> Any:
        headers = {"x-api-key": keys[role], "accept": "text/html"}
        more = {"data": form} if form else {}
        return browse(path, "POST" if form else "GET", headers=headers, **more)

    return sent


def test_a_filter_is_saved_found_and_forgotten(send: Sent, place: Path) -> None:
    filters = {"churn_from": "50", "tiers": "top 1%", "sort": "clv", "page": "2"}
    assert "Save this filter" in send("/customers?churn_from=50").text
    where = send("/customers/segments", name="Risky best", **filters).headers["location"]
    assert where == "/customers?churn_from=50&tiers=top+1%25&sort=clv"
    shown = send("/customers", "viewer").text
    assert f'<a href="{where.replace("&", "&amp;")}">Risky best</a>' in shown
    assert "Remove Risky best" not in shown
    assert send(where, "viewer").status_code == 200
    assert send("/customers/segments", name="Risky best", churn_from="80").status_code == 303
    (kept,) = SegmentFile(place / "jobs" / SEGMENTS).all()
    assert (kept.query, kept.owner) == ("churn_from=80", "planner")
    assert send("/customers/segments/remove", name="Risky best").status_code == 303
    assert "Risky best" not in send("/customers").text
    events = [(line["event"], line["segment"]) for line in read_audit(place / "audit.jsonl")]
    assert events == [("segment", "Risky best")] * 3


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"name": "", "churn_from": "50"}, "needs a name"),
        ({"name": "x" * 61, "churn_from": "50"}, "needs a name"),
        ({"name": "everybody", "sort": "clv"}, "no filter is set"),
        ({"name": "wrong", "churn_from": "much"}, "much"),
    ],
)
def test_what_is_no_segment_is_refused(send: Sent, form: dict[str, str], words: str) -> None:
    answer = send("/customers/segments", **form)
    assert (answer.status_code, words in answer.text) == (422, True)


def test_a_viewer_saves_nothing_and_a_name_is_text(send: Sent) -> None:
    assert send("/customers/segments", "viewer", name="mine", churn_from="50").status_code == 403
    assert send("/customers/segments", name=HOSTILE, churn_from="50").status_code == 303
    assert HOSTILE not in send("/customers").text
    assert send("/customers/segments/remove", name=HOSTILE).status_code == 303


def test_the_file_is_bounded_and_read_strictly(tmp_path: Path) -> None:
    file = SegmentFile(tmp_path / "segments.json")
    one = SavedSegment(name="a", query="churn_from=50", owner="ann", saved="2024-01-01")
    for number in range(MOST_KEPT):
        file.save(one.model_copy(update={"name": f"s{number}"}))
    with pytest.raises(InputError, match="remove one"):
        file.save(one)
    file.path.write_text('[{"name": 1}]')
    with pytest.raises(InputError, match="no file of saved segments"):
        SegmentFile(file.path)
