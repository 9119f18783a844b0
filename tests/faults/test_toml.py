"""Files of settings whose values changed: read as they are meant, or refused by name.

The suite draws a few. All of them: ``CLV_FAULTS=10000 pytest tests/faults/test_toml.py``.
"""

from __future__ import annotations

import datetime as dt
import json
import random
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clv.app.contract_files import read_contract_section
from clv.app.data_file import champion_of, read_data, read_spend_recipe
from clv.app.plan_files.offers_file import OffersPlan
from clv.app.plan_files.plan_file import Plan
from clv.app.training.config import Config
from clv.errors import ClvError, InputError
from clv.web.access.sign_in import SignIn

from .conftest import no_longer_than, noting
from .hostile import VALUES, at, draws, places

Place = tuple[Any, ...]
FREE = {"totals", "roles"}  # tables whose keys the user makes up, in any order
TRAINING = """experiment = "shop"
[data]
files = ["a.csv", "b.csv"]
currency = "EUR"
date_order = "dmy"
decimal = "."
[data.columns]
customer_id = "Customer"
date = "Date"
amount = "Total"
[spend]
columns = { channel = "channel", spend = "cost" }
[terms]
margin_rate = 0.3
annual_discount_rate = 0.1
horizon = "3 years"
currency = "EUR"
[model]
name = "shop"
unit = "week"
purchase_model = "auto"
engine = "native"
churn_horizon = "13 weeks"
shrink = 0.9
[holdout]
cutoff = 2024-06-30
end = 2024-12-31
origins = 2
length = "26 weeks"
cutoffs = [2023-12-31, 2024-03-31]
[calendar.totals]
"2022-01" = 100.0
"2022-02" = 92.0
"2022-03" = 93.0
"2022-04" = 94.0
"2022-05" = 95.0
"2022-06" = 96.0
"2022-07" = 97.0
"2022-08" = 98.0
"2022-09" = 99.0
"2022-10" = 100.0
"2022-11" = 101.0
"2022-12" = 102.0
[[calendar.events]]
name = "sale"
first = 2024-11-29
last = 2024-12-02
multiplier = 1.5
[promotion]
measure = "money/gini"
"""
STATED = """budget = 900
currency = "EUR"
horizon = "3 years"
periods = 2
period = "week"
step = [0.5, 2.0]
[[channels]]
name = "search"
value = 60
current = 500
observed = [300, 800]
lo = 100
hi = 900
incrementality = 0.8
decline = 0.1
response = { curve = "power", k = 9, b = 0.5 }
[[channels]]
name = "social"
value = 80
step = [0.8, 1.5]
response = { curve = "point", spend = 400, customers = 90, b = 0.6 }
[[channels]]
name = "video"
value = 100
current = 40
locked = true
response = { curve = "michaelis-menten", V = 900, K = 20000 }
[target]
ltv_to_cac = 3
per = "portfolio"
"""
ESTIMATED = """budget = 900
currency = "EUR"
periods = 13
[curves]
spend = "spend.csv"
log = "orders.csv"
model = "models/demo"
columns = { date = "day" }
as_of = "2024-12-31"
period_length = "1 week"
plan_from = "2024-07-01"
shape = "power"
time = "nothing"
draws = 500
seed = 0
tests = ["result.json"]
[[curves.lift_tests]]
channel = "search"
spend = 1000
extra_spend = 400
extra_customers = 9
standard_error = 4
[[channels]]
name = "search"
incrementality = 0.8
hi = 20000
[retention]
scores = "scores.parquet"
contact_cost = 1
incentive = 5
save_rate = 0.25
"""
OFFERS = """[[offers]]
name = "letter"
contact_cost = 1
incentive = 5
save_rate = [0.1, 0.4]
save_rate_source = "assumed"
redemption = 0.4
capacity = 2000
leavers = "silent"
[[offers]]
name = "call"
uplift = "call.json"
capacity = 500
"""
SIGN_IN = """from = ["127.0.0.1", "10.0.0.0/8"]
user = "X-Forwarded-Email"
groups = "X-Forwarded-Groups"
everyone = "viewer"
[roles]
marketing = "planner"
"user:anna@example.com" = "admin"
"""
CONTRACTS = """[contracts]
files = ["subscriptions.csv"]
kind = "subscriptions"
interval = "month"
as_of = 2025-12-31
covariates = ["plan"]
[contracts.columns]
customer_id = "customer"
start = "from"
end = "to"
amount = "price"
plan = "plan"
"""


def training(file: Path) -> object:
    config = Config.read(file)
    return config, read_data(file), champion_of(file), read_spend_recipe(file)


def contracts(file: Path) -> object:
    section = read_contract_section(file)
    if section is None:
        raise InputError("there is no [contracts].")
    return section


def stated(file: Path) -> object:
    return Plan.read(file).allocate().spend


# what a file says, and what reads it
FILES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "training": (TRAINING, training),
    "stated plan": (STATED, stated),
    "estimated plan": (ESTIMATED, Plan.read),
    "offers": (OFFERS, OffersPlan.read),
    "sign-in": (SIGN_IN, SignIn.read),
    "contracts": (CONTRACTS, contracts),
}


def as_toml(value: Any) -> str:
    """A value within a line of TOML."""
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key)} = {as_toml(part)}" for key, part in value.items())
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, str):  # as in JSON, but for a sign that TOML wants written out
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value).replace("NaN", "nan").replace("Infinity", "inf")


def written(document: dict[str, Any], file: Path) -> Path:
    lines = (f"{json.dumps(key)} = {as_toml(value)}\n" for key, value in document.items())
    file.write_bytes("".join(lines).encode("utf-8", "surrogatepass"))
    return file


def keys_of(document: dict[str, Any]) -> list[Place]:
    """Where a key stands that the format has a meaning for."""
    return [
        path
        for path in places(document)
        if path and isinstance(path[-1], str) and not FREE & set(path[:-1])
    ]


def tables_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The tables of which the order says nothing."""
    return [v for k, v in document.items() if isinstance(v, dict) and k not in FREE]


def with_another_key(document: dict[str, Any], path: Place, key: str) -> None:
    table = at(document, path[:-1])
    items = [(key if name == path[-1] else name, value) for name, value in table.items()]
    table.clear()
    table.update(items)


def misspelt(document: dict[str, Any], rng: random.Random) -> bool:
    """A key with a letter too many: nobody may go on as if it were not there."""
    path = rng.choice(keys_of(document))
    word = path[-1]
    cut = rng.randrange(len(word))
    with_another_key(document, path, word[:cut] + rng.choice("qzx_") + word[cut:])
    return True


def another_kind(document: dict[str, Any], rng: random.Random) -> bool:
    """A table where a value stood."""
    leaves = [p for p in keys_of(document) if not isinstance(at(document, p), dict | list)]
    path = rng.choice(leaves)
    at(document, path[:-1])[path[-1]] = {"zz": 1}
    return True


def hostile(document: dict[str, Any], rng: random.Random) -> bool:
    """Any value at any place."""
    for _ in range(rng.choice([1, 1, 2])):
        path = rng.choice([p for p in places(document) if p])
        value = rng.choice([value for value in VALUES if value is not None and value != [None]])
        at(document, path[:-1])[path[-1]] = value
    return False


def removed(document: dict[str, Any], rng: random.Random) -> bool:
    path = rng.choice([p for p in places(document) if p])
    del at(document, path[:-1])[path[-1]]
    return False


def moved(document: dict[str, Any], rng: random.Random) -> bool:
    """A part in the place of another."""
    one, other = rng.sample([p for p in places(document) if p], 2)
    value = at(document, other)
    at(document, one[:-1])[one[-1]] = json.loads(json.dumps(value, default=str))
    return False


CHANGES = (misspelt, another_kind, hostile, hostile, hostile, removed, moved)


def refusal_of(file: Path, read: Callable[[Path], object]) -> str:
    """How a file is refused; empty where it is read."""
    with no_longer_than():
        try:
            read(file)
        except ClvError as error:
            return str(error)
    return ""


@pytest.mark.parametrize("name", FILES)
def test_the_files_are_read_before_they_are_changed(name: str, tmp_path: Path) -> None:
    text, read = FILES[name]
    (tmp_path / "as_written.toml").write_text(text)
    again = written(tomllib.loads(text), tmp_path / "again.toml")
    if name in ("training", "contracts"):  # their paths are seen from the file: the same folder
        assert repr(read(tmp_path / "as_written.toml")) == repr(read(again))
    else:
        assert read(tmp_path / "as_written.toml") == read(again)


def test_changed_settings_are_refused_or_read(tmp_path: Path) -> None:
    failures: list[str] = []
    for rng in draws("toml", 200):
        text, read = FILES[rng.choice(list(FILES))]
        document = tomllib.loads(text)
        must_be_refused = rng.choice(CHANGES)(document, rng)
        file = written(document, tmp_path / "settings.toml")
        with noting(failures, rng):
            refusal = refusal_of(file, read)
            assert refusal or not must_be_refused, file.read_text()
            assert len(refusal) < 5_000, refusal[:300]
    assert not failures, "\n\n".join(failures)


def test_the_same_in_another_order_is_the_same(tmp_path: Path) -> None:
    for seed in range(20):
        rng = random.Random(seed)
        text, read = FILES[rng.choice(list(FILES))]
        document = tomllib.loads(text)
        for table in [document, *tables_of(document)]:
            items = list(table.items())
            rng.shuffle(items)
            table.clear()
            table.update(items)
        plain = written(tomllib.loads(text), tmp_path / "settings.toml")
        before = repr(read(plain))
        assert repr(read(written(document, plain))) == before, document
