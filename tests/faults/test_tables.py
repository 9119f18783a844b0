"""Every table that a command reads, changed: without a column, with other kinds in one, without
rows, with rows twice. It is read or refused in words, and read where nothing is changed.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from clv.cli.main import main

from .conftest import noting
from .hostile import TEXTS, draws

MONTHLY = ("--as-of", "2026-01-01", "--interval", "month")
MARGIN = (*MONTHLY[2:], "--margin-rate", "0.3")
TEST = ("plan-test", "--lift", "0.1", "--output", "new.csv")
CONSENT = {"ad_user_data": "granted", "ad_personalization": "granted"}
TABLES: tuple[tuple[tuple[str, ...], str], ...] = (  # a command, and the table that is changed
    (("check", "{}"), "orders.csv"),
    (("score", "{}", "--model", "model", "--anyway", "--output", "new.csv"), "orders.csv"),
    (("fold", "newstate", "{}"), "orders.csv"),
    (("first-orders", "{}", "--model", "model", "--anyway"), "orders.csv"),
    (("offers", "{}"), "lines.csv"),
    (("offers", "lines.csv", "--stock", "{}"), "items.csv"),
    (("offers", "lines.csv", "--exclude-items", "{}"), "items.csv"),
    (("offers", "lines.csv", "--exclude", "{}"), "contacts.csv"),
    (("offers", "lines.csv", "--contacts", "{}"), "contacts.csv"),
    (("monitor", "{}", "--model", "model"), "later.csv"),
    (("monitor", "later.csv", "--model", "model", "--scores", "{}"), "scores.csv"),
    (("monitor", "later.csv", "--model", "model", "--scores-now", "{}"), "now.csv"),
    (("report", "{}", "--model", "model", "--output", "new.html"), "scores.csv"),
    (
        ("report", "scores.csv", "--targets", "{}", "--model", "model", "--output", "new.html"),
        "targets.csv",
    ),
    (("targets", "{}", "--contact-cost", "1", "--output", "new.csv"), "scores.csv"),
    (("targets", "scores.csv", "--contact-cost", "1", "--exclude", "{}"), "contacts.csv"),
    (("targets", "scores.csv", "--contact-cost", "1", "--contacts", "{}"), "contacts.csv"),
    (("targets", "scores.csv", "--contact-cost", "1", "--reasons", "{}"), "reasons.csv"),
    (
        ("targets", "scores.csv", "--campaign-log", "{}", "--campaign-scores", "scores.csv"),
        "campaign.csv",
    ),
    (
        ("targets", "scores.csv", "--campaign-log", "campaign.csv", "--campaign-scores", "{}"),
        "scores.csv",
    ),
    (("export", "{}", "--output", "new.csv"), "scores.csv"),
    (
        ("export", "scores.csv", "--to", "google", "--contacts", "{}", "--output", "new.csv"),
        "contacts.csv",
    ),
    (("channels", "{}", "--log", "orders.csv", "--model", "model"), "spend.csv"),
    (("publish", "{}", "--to", "newstore"), "scores.csv"),
    (("publish", "scores.csv", "--to", "newstore", "--log", "{}", "--anyway"), "orders.csv"),
    (("publish", "scores.csv", "--to", "newstore", "--spend", "{}"), "spend.csv"),
    (("publish", "scores.csv", "--to", "newstore", "--targets", "{}"), "targets.csv"),
    (("publish", "scores.csv", "--to", "newstore", "--eligibility", "{}"), "eligibility.csv"),
    (("publish", "scores.csv", "--to", "newstore", "--contacts", "{}"), "contacts.csv"),
    (("publish", "scores.csv", "--to", "newstore", "--table", "mine={}"), "spend.csv"),
    (("contracts", "{}", *MONTHLY), "contracts.csv"),
    (
        ("contracts", "subscribers.csv", *MARGIN, "--with-scores", "{}", "--output", "new.csv"),
        "scores.csv",
    ),
    (("funnel", "{}"), "leads.csv"),
    (("referrals", "{}", "--orders", "orders.csv"), "referrals.csv"),
    (("referrals", "referrals.csv", "--scores", "{}"), "scores.csv"),
    (("referrals", "referrals.csv", "--scores", "scores.csv", "--members", "{}"), "contacts.csv"),
    (
        (*TEST, "--baseline-mean", "9", "--baseline-sd", "45", "--scores", "{}"),
        "scores.csv",
    ),
    ((*TEST, "--scores", "scores.csv", "--orders", "{}"), "later.csv"),
    (("measure-test", "{}", "--orders", "later.csv"), "test.csv"),
    (("measure-test", "test.csv", "--orders", "{}"), "later.csv"),
)


@pytest.fixture(scope="module")
def tables(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of ``home`` and more, each of which a command reads as it stands."""
    folder = tmp_path_factory.mktemp("tables")
    for file in home.iterdir():
        (folder / file.name).symlink_to(file)
    scores = pd.read_csv(home / "scores.csv", dtype={"customer_id": str})
    orders = pd.read_csv(home / "orders.csv", dtype=str)
    ids, days = scores[["customer_id"]], orders["date"].str.replace("-02-29", "-02-28")
    later = orders.assign(date=days.str[:4].astype(int).add(2).astype(str) + days.str[4:])
    later = later[later["date"] < "2026-04"].assign(order_id=lambda rows: "b" + rows["order_id"])
    later = pd.concat([orders, later])
    people = [*ids["customer_id"], *(f"p{k}" for k in range(100))]
    lines = [
        (people[k % 300], f"2024-{1 + k // 300:02d}-07", f"i{k * 7 % 61}") for k in range(3000)
    ]
    contracts = pd.read_csv(home / "contracts.csv", dtype=str)
    half = [k % 2 for k in range(len(ids))]
    made = {
        "contacts": ids[::2].assign(date="2026-01-05", email="a@example.com", **CONSENT),
        "items": pd.DataFrame({"item": ["a", "b"], "quantity": [1, 0]}),
        "reasons": ids.assign(reason_1="silent", reason_2="few orders"),
        "referrals": pd.DataFrame(
            {"referrer_id": ids["customer_id"][:30], "referred_id": list(ids["customer_id"][30:60])}
        ).assign(date="2024-02-03"),
        "lines": pd.DataFrame(lines, columns=["customer_id", "date", "item"]).assign(amount=9.5),
        "later": later,
        "now": scores.assign(as_of="2026-03-30"),
        "subscribers": contracts.replace("2025-", "2024-", regex=True),
        "test": ids.assign(date="2025-12-15", treated=half, propensity=0.5, cost=1.0),
    }
    made["campaign"] = made["test"].assign(outcome_margin=5.0 * (ids.index % 3))
    for name, table in made.items():
        (folder / f"{name}.csv").unlink(missing_ok=True)
        table.to_csv(folder / f"{name}.csv", index=False)
    lists = ("--output", folder / "targets.csv", "--eligibility", folder / "eligibility.csv")
    with pytest.raises(SystemExit) as ended:
        main(
            [
                "--quiet",
                "targets",
                str(folder / "scores.csv"),
                "--contact-cost",
                "1",
                *map(str, lists),
            ]
        )
    assert not ended.value.code
    return folder


Table = pd.DataFrame
Change = Callable[[Table, random.Random], Table]


def _column(table: Table, rng: random.Random) -> str:
    return rng.choice(list(table.columns))


def without_column(table: Table, rng: random.Random) -> Table:
    return table.drop(columns=_column(table, rng))


def alone(table: Table, rng: random.Random) -> Table:
    return table[[_column(table, rng)]]


def foreign(table: Table, rng: random.Random) -> Table:
    return pd.DataFrame({"a": ["1"], "b": ["2"]})


def empty(table: Table, rng: random.Random) -> Table:
    return table[:0]


def first_row(table: Table, rng: random.Random) -> Table:
    return table[:1]


def filled(table: Table, rng: random.Random) -> Table:
    return table.assign(**{_column(table, rng): rng.choice([*TEXTS, None])})


def one_cell(table: Table, rng: random.Random) -> Table:
    table = table.copy()
    table.loc[rng.randrange(len(table)), _column(table, rng)] = rng.choice(TEXTS)
    return table


def swapped(table: Table, rng: random.Random) -> Table:
    one, other = _column(table, rng), _column(table, rng)
    return table.assign(**{one: table[other], other: table[one]})


def other_name(table: Table, rng: random.Random) -> Table:
    return table.rename(columns={_column(table, rng): rng.choice(TEXTS)})


def doubled(table: Table, rng: random.Random) -> Table:
    return pd.concat([table, table.sample(frac=0.5, random_state=rng.randrange(99))])


def as_it_stands(table: Table, rng: random.Random) -> Table:
    return table


def shuffled(table: Table, rng: random.Random) -> Table:
    return table.sample(frac=1, random_state=rng.randrange(99))


CHANGES: tuple[Change, ...] = (
    *(without_column, without_column, alone, foreign, empty, first_row),
    *(filled, one_cell, one_cell, swapped, other_name, doubled, shuffled, as_it_stands),
)


def test_no_table_makes_a_command_fail(
    tables: Path, tmp_path: Path, verdict: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    failures: list[str] = []
    here = {file.name: str(file) for file in tables.iterdir()}
    for rng in draws("table", 12):
        work = tmp_path / "work"
        work.mkdir()
        words, name = rng.choice(TABLES)
        change = rng.choice(CHANGES)
        copy = work / name
        change(pd.read_csv(tables / name, dtype=str), rng).to_csv(copy, index=False)
        new = {word: str(work / word) for word in words if word.startswith("new")}
        with noting(failures, rng):
            try:
                line = [(here | new).get(w, w).replace("{}", str(copy)) for w in words]
                code, _, err = verdict(*line)
                assert change is not as_it_stands or code == 0 or words[0] == "monitor", err
            except AssertionError as error:
                raise AssertionError(f"{change.__name__}: {error}") from error
        shutil.rmtree(work)
    assert not failures, "\n\n".join(failures)


@pytest.mark.parametrize(
    ("words", "text", "said"),
    [
        (("contracts", "{}", *MONTHLY), "customer_id,start,end,price\nk,2025-01-01,,10\n", "left"),
        (("measure-test", "{}", "--orders", "later.csv"), "customer_id,date,treated\n", "no rows"),
        (("targets", "{}", "--contact-cost", "1"), "a,b\n1,2\n", "have no column customer_id"),
        (("publish", "{}", "--to", "new"), "customer_id,clv\n1,2\n", "have no column expected_p"),
    ],
)
def test_what_a_table_lacks_is_named(
    words: tuple[str, ...], text: str, said: str, tables: Path, tmp_path: Path, verdict: Any
) -> None:
    here = {file.name: str(file) for file in tables.iterdir()} | {"new": str(tmp_path / "new")}
    (tmp_path / "table.csv").write_text(text)
    line = [here.get(word, word).replace("{}", str(tmp_path / "table.csv")) for word in words]
    code, _, err = verdict(*line)
    assert code in (3, 4)  # a table, or a fit, that cannot be used
    assert said in err
