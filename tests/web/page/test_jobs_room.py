"""New data: what may be uploaded by whom, what the page says of it, and what its forms change."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from clv.app.jobs import job_worker
from clv.app.jobs.job_folder import JobFolder
from clv.app.jobs.job_steps import COMPARISON, NOTHING, JobRun, published_already
from clv.app.jobs.job_worker import work
from clv.exports.audit import read_audit
from clv.findings import finding
from clv.scorer import CustomerScorer
from clv.store import publish
from clv.store.folder import versions
from clv.web.access.keys import add_key
from clv.web.access.roles import Role
from clv.web.access.sessions import COOKIE
from clv.web.access.who import Access
from clv.web.application import create_app
from clv.web.page.job_view import EXTRAS

from .conftest import HOSTILE, Browser
from .test_rooms import Page

ORDERS = b"".join(
    b"c%d,%02d.%02d.2023,%d.5\n" % (k % 130, 1 + k % 28, 1 + (k * 5) % 12, 5 + k % 9)
    for k in range(600)
)


@pytest.fixture
def desk(scorer: CustomerScorer, scores: pd.DataFrame, tmp_path: Path) -> Any:
    """A server with keys that takes uploads, and what somebody with a session sends it."""
    publish(scores, tmp_path / "served")
    keys = {str(role): add_key(tmp_path / "keys.json", str(role), role) for role in Role}
    access = Access.on("127.0.0.1", keys=tmp_path / "keys.json", audit=tmp_path / "audit.jsonl")
    jobs = JobFolder(tmp_path / "jobs")
    app = create_app(scorer, store=tmp_path / "served", access=access, jobs=jobs.path)
    return Desk(Browser(app), access, jobs, keys, tmp_path)


def part(name: str, value: str, more: str = "") -> str:
    return f'--edge\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'


class Desk:
    """Someone at the page who has logged in."""

    def __init__(
        self, browse: Browser, access: Access, jobs: JobFolder, keys: dict[str, str], folder: Path
    ) -> None:
        self.browse, self.jobs, self.folder, self.keys = browse, jobs, folder, keys
        assert access.keys is not None
        key = access.keys.find(keys["admin"])
        assert key is not None
        session = access.sessions.begin(key)
        self.headers = {"cookie": f"{COOKIE}={session}"}
        read = access.sessions.read(session)
        assert read is not None
        self.token = access.sessions.token(read.nonce)

    def get(self, path: str) -> httpx.Response:
        return self.browse(path, headers=self.headers)

    def post(self, path: str, **fields: Any) -> httpx.Response:
        return self.browse(path, "POST", headers=self.headers, data={"csrf": self.token} | fields)

    def upload(
        self,
        name: str,
        content: bytes,
        path: str = "/jobs",
        *,
        token: str | None = None,
        **fields: str,
    ) -> httpx.Response:
        """As a browser sends it: fields first, in the order of the form."""
        fields = {"csrf": self.token if token is None else token} | fields
        body = "".join(part(key, value) for key, value in fields.items()).encode()
        head = part("file", "", f'; filename="{name}"').removesuffix("\r\n").encode()
        return self.send(path, body + head + content + b"\r\n--edge--\r\n")

    def send(self, path: str, body: bytes) -> httpx.Response:
        kind = {"content-type": "multipart/form-data; boundary=edge"}
        return self.browse(path, "POST", headers=self.headers | kind, content=body)

    def uploaded(self, content: bytes = ORDERS, name: str = "orders.csv") -> str:
        answer = self.upload(name, content)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]


def said(answer: httpx.Response) -> str:
    return re.sub(r"<[^>]+>", " ", answer.text)


def test_without_a_folder_for_uploads_there_is_no_such_room(scorer: Any, folder: Path) -> None:
    browse = Browser(create_app(scorer, store=folder))
    assert browse("/jobs").status_code == 404
    assert "New data" not in browse("/").text


@pytest.mark.parametrize("role", ["viewer", "planner"])
def test_who_may_not_publish_is_not_shown_the_room(desk: Desk, role: str) -> None:
    headers = {"x-api-key": desk.keys[role], "accept": "text/html"}
    overview = desk.browse("/", headers=headers).text
    assert 'href="/jobs"' not in overview
    assert re.search(rf"Not shown to {role}s: [\w, ]*New data\.", overview)
    refused = desk.browse("/jobs", headers=headers)
    assert refused.status_code == 403
    assert f"This takes the role admin; {role} has {role}." in refused.text
    assert desk.browse("/jobs", "POST", headers=headers, content=b"x" * 2**20).status_code == 403


def test_a_form_of_another_site_uploads_nothing(desk: Desk) -> None:
    assert desk.upload("orders.csv", ORDERS, token="wrong").status_code == 403
    late = part("x", "1") + part("csrf", desk.token) + "--edge--\r\n"
    answer = desk.send("/jobs", late.encode())
    assert answer.status_code == 403
    assert desk.jobs.all() == []


@pytest.mark.parametrize(
    ("name", "content", "status", "words"),
    [
        ("orders.exe", ORDERS, 422, "of a format that is not read"),
        ("orders.csv", b"", 422, "Choose a file"),
        ("", ORDERS, 422, "Choose a file"),
    ],
)
def test_what_cannot_be_read_is_refused_at_once(
    desk: Desk, name: str, content: bytes, status: int, words: str
) -> None:
    answer = desk.upload(name, content)
    assert (answer.status_code, desk.jobs.all()) == (status, [])
    assert words in answer.text


def test_half_an_upload_is_none(desk: Desk) -> None:
    half = part("csrf", desk.token) + part("file", "a,b", '; filename="a.csv"')
    answer = desk.send("/jobs", half.encode())
    assert (answer.status_code, desk.jobs.all()) == (400, [])
    assert list(desk.jobs.path.glob("[!.]*")) == []


def test_columns_are_mapped_and_what_is_unclear_is_answered(desk: Desk, store: Path) -> None:
    """Nobody knows these headers, and the days are written as in half of the world."""
    where = desk.uploaded(b"aa,bb,cc\n" + ORDERS, f"../{HOSTILE}.csv")
    assert "waits for its turn" in desk.get(where).text
    work(desk.jobs, desk.folder / "served", "clv")
    page = desk.get(where)
    assert HOSTILE not in page.text
    assert Page(page.text).open == []
    columns = {"customer_id": "aa", "date": "bb", "amount": "cc"}
    mapped = {f"column.{role}": json.dumps(name) for role, name in columns.items()}
    assert "decision" in said(page)
    wrong = desk.post(f"{where}/check", **mapped | {"column.date": '"nowhere"'})
    assert (wrong.status_code, "no column" in wrong.text) == (422, True)
    assert desk.post(f"{where}/check", **mapped).status_code == 303
    work(desk.jobs, desk.folder / "served", "clv")
    checked = said(desk.get(where))
    assert "Fit to train on." in checked
    assert re.search(r"Customers\s+130\s", checked)
    assert re.search(r"Purchases\s+\d", checked)
    assert "Train and compare" in checked


def test_rows_sent_twice_are_left_out_where_somebody_says_so(desk: Desk, store: Path) -> None:
    """Half of the orders came twice, as a line each of an order without a number."""
    half = b"".join(ORDERS.splitlines(keepends=True)[:300])
    where = desk.uploaded(b"customer,date,amount\n" + ORDERS + half)
    work(desk.jobs, desk.folder / "served", "clv")
    page = desk.get(where).text
    assert "300 rows the same as another in every column" in page
    assert "choose so under Further columns if they were sent twice" in page
    assert '<option value="keep" selected>real: count them all</option>' in page
    assert desk.post(f"{where}/check", **{"answer.duplicates": "burn"}).status_code == 303
    work(desk.jobs, desk.folder / "served", "clv")
    check = desk.jobs.document(where.rpartition("/")[2], "check")
    assert check["amount"] == sum(5.5 + k % 9 for k in (*range(600), *range(300)))
    assert desk.post(f"{where}/check", **{"answer.duplicates": "drop"}).status_code == 303
    work(desk.jobs, desk.folder / "served", "clv")
    page = desk.get(where).text
    assert '<option value="drop" selected>sent twice: leave the repeats out</option>' in page
    check = desk.jobs.document(where.rpartition("/")[2], "check")
    assert check["amount"] == sum(5.5 + k % 9 for k in range(600))


def test_what_goes_wrong_is_said_as_the_command_says_it(desk: Desk, store: Path) -> None:
    where = desk.uploaded(b"PAR1 no table at all", "orders.parquet")
    work(desk.jobs, desk.folder / "served", "clv")
    page = desk.get(where)
    assert 'role="alert"' in page.text
    assert "orders.parquet" in page.text
    assert "Try again" in page.text
    assert desk.post(f"{where}/again").status_code == 303
    assert desk.jobs.all()[0].state == "queued"


def test_a_running_step_is_watched_stopped_and_removed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = desk.uploaded()
    job = desk.jobs.begin(where.rpartition("/")[2])
    desk.jobs.note(job.job_id, doing="Reading", part=2, parts=6)
    page = desk.get(where)
    assert '<meta http-equiv="refresh" content="3">' in page.text  # without a script
    assert "was interrupted, and begins again by itself" in page.text  # no worker lives
    with desk.jobs.alone():
        assert "Check: Reading." in desk.get(where).text
    assert desk.post(f"{where}/remove").status_code == 422
    assert desk.post(f"{where}/stop").status_code == 303
    assert "Check: stopped." in desk.get(where).text
    assert desk.post(f"{where}/remove").headers["location"] == "/jobs"
    assert desk.get(where).status_code == 404
    assert desk.post(f"{where}/train").status_code == 404


def test_the_new_model_is_shown_beside_the_one_in_use(desk: Desk) -> None:
    where = desk.uploaded()
    name = where.rpartition("/")[2]
    desk.jobs.begin(name)
    desk.jobs.note(name, state="done", step="train", version=4)
    figures = {"measure": "money/gini", "new": ".7123", "old": ".7011"}
    better = finding("promotion.compared", **figures)
    row = {"measure": "money/gini", "new": 0.71234, "old": 0.70111, "naive": 0.69, "by": "rule"}
    compared = {
        "measures": [row], "measure": "money/gini", "holdout": "May", "new": 4, "old": 3,
        "beats_naive": True, "reason": better.to_dict(),
    }  # fmt: skip
    desk.jobs.write_document(name, COMPARISON, compared)
    page = desk.get(where)
    assert "Yes, it may take over." in page.text
    (row_shown,) = [row for row in Page(page.text).cells if row[0].startswith("Money, Gini")]
    assert row_shown[1:] == ["0.712", "0.701", "0.690", "rule"]
    assert "Money, Gini .7123 against the .7011 of the model in use" in page.text
    desk.jobs.queue(name, "publish")
    desk.jobs.begin(name)
    desk.jobs.note(name, state="done")
    taken = desk.get(where).text
    assert "The new model is in use now." in taken
    assert "Take the new model into use" not in taken
    tie = finding("promotion.tie", **figures)
    desk.jobs.queue(name, "train")
    desk.jobs.begin(name)
    desk.jobs.note(name, state="done", version=4)
    desk.jobs.write_document(name, COMPARISON, compared | {"refused": tie.to_dict()})
    refused = desk.get(where).text
    assert "No, the model in use stays." in refused
    assert "of the model in use, on the same time that neither had seen: a tie.</p>" in refused


def test_one_may_go_back_and_the_audit_says_who_did_what(desk: Desk, scores: Any) -> None:
    publish(scores.assign(model_version="later"), desk.folder / "served")
    assert desk.post("/jobs/rollback").status_code == 303
    assert not versions(desk.folder / "served")[0].model_version.startswith("later")
    where = desk.uploaded()
    desk.jobs.stop(where.rpartition("/")[2])
    spend = b"channel,period,spend\nsearch,2023-05-01,20\n"
    assert desk.upload("ads.csv", spend, f"{where}/file", kind="spend").status_code == 303
    (extra,) = desk.jobs.all()[0].extras.values()
    assert (extra.name, extra.title) == ("spend.csv", "ads.csv")
    assert desk.upload("x.csv", b"a\n1\n", f"{where}/file", kind="../x").status_code == 422
    lines = read_audit(desk.folder / "audit.jsonl")
    done = [(line["who"], line["event"], line.get("action")) for line in lines]
    assert done == [
        ("admin", "rollback", None), ("admin", "upload", "orders"), ("admin", "upload", "file"),
    ]  # fmt: skip


NO_LIST = "give what clv targets wrote."
WRONG = [
    ("spend", b"who,when\nc1,May\n", "no column", "channel"),
    ("spend", b"channel,period,spend\nsearch,2023-05-01,a lot\n", "in 1 row, such as row 2",
     "a channel that cost nothing has 0"),
    ("contacts", b"customer_id,plan\nc1,basic\n", "needs customer_id and one of", "first line"),
    ("contacts", b"customer_id,email\nc1,x@y.z\nc1,y@y.z\n", "1 row", "one row"),
    ("campaign", ORDERS, "mine.csv has no column customer_id.", NO_LIST),
    ("campaign", b"customer_id,treated\nc1,1\n", "neither date nor outcome_margin", "the day of"),
    ("campaign", b"customer_id,treated,date\nc1,1,soon\n", "date is no day in 1 row, such as "
     "customer c1: soon.", "2024-03-31"),
    ("campaign", b"customer_id,treated,outcome_margin\nc1,1,much\n", "not numbers", "convert it"),
    ("campaign", b"customer_id,treated,date\nc1,maybe,2023-05-01\n", "maybe", "yes or no"),
    ("campaign", b"customer_id,treated,date\nc1,7,2023-05-01\n", "treated is neither 1 nor 0 in "
     "1 row, such as customer c1: 7.", "held out"),
    ("campaign", b"customer_id,treated,date\nc1,1,2023-05-01\nc1,0,2023-05-01\n", "is there "
     "already", "give each customer one row"),
    ("order_lines", b"customer_id,date,amount\nc1,2023-05-01,5\n", "which item a line",
     "name it"),
    *((kind, b"\x00\x01\x02", "", "") for kind in EXTRAS),
]  # fmt: skip


def test_a_wrong_file_is_refused_as_it_comes_whatever_its_kind(desk: Desk) -> None:
    where = desk.uploaded()
    job = where.rpartition("/")[2]
    desk.jobs.stop(job)
    assert {kind for kind, *_ in WRONG} == {*EXTRAS}
    for kind, content, wrong, hint in WRONG:
        answer = desk.upload("mine.csv", content, f"{where}/file", kind=kind)
        assert answer.status_code == 422, (kind, content)
        said = html.unescape(answer.text)
        assert wrong in said, (kind, content, said[-1500:])
        assert hint in said, (kind, content, said[-1500:])
        assert str(desk.folder) not in said
    assert desk.jobs.read(job).extras == {}
    assert {file.stem for file in (desk.jobs.path / job).iterdir()} == {"job", "orders"}


def test_terms_that_are_none_are_refused(desk: Desk, store: Path) -> None:
    where = desk.uploaded(b"customer_id,date,amount\n" + ORDERS)
    work(desk.jobs, desk.folder / "served", "clv")
    page = desk.get(where).text
    assert 'name="margin" type="text" value="30"' in page  # as the pages have it now
    assert desk.post(f"{where}/train", margin="a lot").status_code == 422
    assert desk.post(f"{where}/train", margin="300").status_code == 422
    assert desk.post(f"{where}/publish", **{"with": "new"}).status_code == 422
    assert desk.post(f"{where}/train", margin="30 %", currency="eur").status_code == 303
    assert desk.jobs.all()[0].terms == {"margin_rate": 0.3, "currency": "EUR"}


def test_the_worker_is_told_of_the_fault_and_not_the_visitor() -> None:
    assert "customer" not in job_worker.FAULT


def test_it_begins_without_a_store_and_fills_with_the_first_publish(
    scorer: CustomerScorer, scores: pd.DataFrame, tmp_path: Path
) -> None:
    keys = {str(role): add_key(tmp_path / "keys.json", str(role), role) for role in Role}
    access = Access.on("127.0.0.1", keys=tmp_path / "keys.json")
    jobs = JobFolder(tmp_path / "jobs")
    app = create_app(None, store=tmp_path / "served", access=access, jobs=jobs.path)
    desk = Desk(Browser(app), access, jobs, keys, tmp_path)
    assert desk.get("/").headers["location"] == "/jobs"
    assert "Nothing yet" in desk.get("/jobs").text
    there = desk.upload("orders.csv", b"customer_id,date,amount\n" + ORDERS).headers["location"]
    work(jobs, tmp_path / "served", "clv")
    page = desk.get(there).text
    assert "Train a model on these orders" in page
    assert "as for the model in use" not in page
    assert re.search(r'name="horizon"[^>]*value="3 years"', page)
    viewer = {"authorization": f"Bearer {keys['viewer']}"}
    refused = desk.browse("/", headers=viewer)
    assert refused.status_code == 404
    assert "Nothing was published yet" in refused.text
    assert desk.browse("/v1/customers/7", headers=viewer).status_code == 404
    health, ready = (desk.browse(path, headers=viewer) for path in ("/v1/health", "/v1/ready"))
    assert (health.status_code, health.json()["status"]) == (200, "ok")
    assert health.json()["model_version"] is None
    assert (ready.status_code, ready.json()["scores"]) == (200, None)
    publish(scores, tmp_path / "served")
    assert app.state.stores.refresh()
    assert desk.get("/").status_code == 200


def test_the_first_publish_is_not_done_twice(tmp_path: Path, scores: pd.DataFrame) -> None:
    jobs = JobFolder(tmp_path / "jobs")
    (tmp_path / "orders.csv").write_bytes(ORDERS)
    job = jobs.add("anna", "orders.csv", tmp_path / "orders.csv")
    first = JobRun(jobs, job.model_copy(update={"served_before": NOTHING}), tmp_path / "s", "clv")
    assert published_already(first) == ""
    file = publish(scores, tmp_path / "s").path.name
    assert published_already(first) == file
    later = job.model_copy(update={"served_before": file})
    assert published_already(replace(first, job=later)) == ""
