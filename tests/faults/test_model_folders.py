"""Hostile and absurd model folders: a named error, or a model that scores finite numbers.

A digest proves only who wrote last, so each mutation recomputes it. The suite tries a sample; all:
``CLV_FOLDERS=10000 pytest tests/faults/test_model_folders.py``, from the first of
``CLV_FOLDERS_FROM`` on.
"""

from __future__ import annotations

import copy
import dataclasses
import io
import json
import math
import os
import random
import shutil
import zipfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from clv.churn.model import ChurnModel
from clv.data.summary import summarize
from clv.errors import ClvError, ModelError
from clv.intake.fingerprint import recipe_of
from clv.periods import Duration
from clv.probability.pareto_nbd import ParetoNBD
from clv.scorer import CustomerScorer
from clv.uplift import UpliftModel, fit_uplift
from clv.value.value import Terms
from tests.faults.conftest import happened
from tests.forecast.made_pool import made_pool

MUTATIONS = int(os.environ.get("CLV_FOLDERS", "80"))
FIRST = int(os.environ.get("CLV_FOLDERS_FROM", "0"))
ABSURD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 0.5, 1e308, -1e308, 5e-324, 1e-12, 1e12, 10**400, 2**63),
    *(math.nan, math.inf, -math.inf, "", "x", "day", "week", "\ud800", "\x00", "1", "1e999", "-1"),
    *("13 weeks", "1e300 years", "1e-300 days", "2024-13-45", "../../etc/passwd", "a" * 10_000),
    *([], {}, [[]], [None], ["x"], [1.0] * 10, {"a": 1}, {"": None}, [0.0] * 100_000, "GBP"),
)


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where every value of a JSON document is, leaves and branches."""
    if path:
        yield path
    if isinstance(value, dict | list):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(child, (*path, key))


def mutated(document: Any, rng: random.Random) -> Any:
    """The document with one to three values changed, left out, doubled or nested."""
    document = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 2, 3))):
        if not (left := list(places(document))):
            break
        *way, last = rng.choice(left)
        parent = document
        for key in way:
            parent = parent[key]
        value = parent[last]
        match rng.randrange(8):
            case 0:
                del parent[last]
            case 1 if isinstance(value, list) and value:
                parent[last] = value + value[:1]
            case 2 if isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**1000):
                parent[last] = value * rng.choice((-1, 1e-9, 1e9, 1e300, 0))
            case 3:
                parent[last] = nested(rng.choice((3, 50, 400)))
            case 4 if isinstance(parent, dict):
                parent[f"{last}x"] = parent.pop(last)
            case _:
                parent[last] = copy.deepcopy(rng.choice(ABSURD))
    return document


def scores(scorer: CustomerScorer, summary: pd.DataFrame) -> None:
    """What a loaded scorer is used for gives figures that can be."""
    table = scorer.predict(summary)
    numbers = table.select_dtypes("number")
    assert np.isfinite(numbers.to_numpy()).all()
    for chance in ("probability_alive", "probability_no_purchase", "churn_probability"):
        assert table[chance].between(0, 1).all()
    assert (table["clv_low"] <= table["clv_median"]).all()
    assert (table["clv_median"] <= table["clv_high"]).all()
    json.dumps(scorer.card())
    recipe_of(scorer.training)
    assert np.isfinite(scorer.total_value(summary).mean)


def with_parts(folder: Path, change: Callable[[dict[str, bytes], random.Random], None], rng: Any):
    """Change the pieces of the classifier's file; its digest is made right again."""
    file = folder / "churn.skops"
    with zipfile.ZipFile(file) as archive:
        pieces = {name: archive.read(name) for name in archive.namelist()}
    change(pieces, rng)
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in pieces.items():
            archive.writestr(name, content)


def another_array(pieces: dict[str, bytes], rng: random.Random) -> None:
    name = rng.choice([name for name in pieces if name.endswith(".npy")])
    array = np.load(io.BytesIO(pieces[name]))
    match rng.randrange(5):
        case 0:
            array = array.ravel()[: max(array.size // 2, 1)]
        case 1 if array.dtype.names:
            field = rng.choice(array.dtype.names)
            array[field][rng.randrange(len(array))] = rng.choice((0, 1, 200))
        case 2 if array.dtype.kind == "f" and array.size:
            array.ravel()[rng.randrange(array.size)] = rng.choice((math.nan, math.inf, 1e308))
        case 3:
            array = np.zeros((3, 3))
        case _:
            array = array.astype("U8") if not array.dtype.names else array[::-1]
    out = io.BytesIO()
    np.save(out, array)
    pieces[name] = out.getvalue()


def another_schema(pieces: dict[str, bytes], rng: random.Random) -> None:
    pieces["schema.json"] = json.dumps(mutated(json.loads(pieces["schema.json"]), rng)).encode()


def a_piece_less(pieces: dict[str, bytes], rng: random.Random) -> None:
    del pieces[rng.choice(list(pieces))]


def mutate(folder: Path, rng: random.Random) -> None:
    """One folder that nobody trained; the digest of its classifier is right."""
    file, classifier = folder / "scorer.json", folder / "churn.skops"
    saved = json.loads(file.read_text())
    kind = rng.randrange(10)
    if kind < 7 or not classifier.exists():
        saved = mutated(saved, rng)
    elif kind == 7:
        whole = bytearray(classifier.read_bytes())
        whole[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        classifier.write_bytes(bytes(whole[: rng.choice((len(whole), len(whole) // 2, 0))]))
    else:
        with_parts(folder, rng.choice((another_array, another_schema, a_piece_less)), rng)
    if classifier.exists() and isinstance(saved, dict) and "classifier_sha256" in saved:
        saved["classifier_sha256"] = sha256(classifier.read_bytes()).hexdigest()
    text = json.dumps(saved)
    file.write_text(text if rng.random() > 0.02 else text[: rng.randrange(len(text))])


@pytest.fixture(scope="module")
def scorers(cdnow_scorer: CustomerScorer, cdnow_clean: pd.DataFrame) -> list[CustomerScorer]:
    """One as it is trained, with all that training adds; another model with made-up trees."""
    pareto = {"r": 0.55, "alpha": 10.58, "s": 0.61, "beta": 11.67}  # Fader, Hardie & Lee 2005
    trained = {
        "customers": 2349,
        "data": {"duplicates": "drop"},
        "fingerprint": {
            **{"currency": "USD", "customers": 2349, "median_amount": 25.0},
            **{"first_day": "1997-01-01", "last_day": "1998-06-30", "sample": ["00ab12cd"]},
        },
        "holdout": {
            "rolling": {
                "days": 91.0,
                "misses": {"money": {"log_ratios": [0.1, -0.05], "explained": [0.06, 0.05]}},
            }
        },
    }
    trained |= {"beyond": {"fade": 0.5, "without": -0.02, "lasting": 0.03}}
    fields = {f.name: getattr(cdnow_scorer, f.name) for f in dataclasses.fields(cdnow_scorer)}
    first = CustomerScorer(**{**fields, "training": trained})
    horizon = Duration(13, "week")
    made = made_pool(horizon, first.spend)
    churn = ChurnModel(horizon, made, "made up", base=cdnow_scorer.churn.base)
    second = {"purchases": ParetoNBD.from_params(pareto, unit="week"), "churn": churn}
    return [first, CustomerScorer(**{**fields, "training": trained, **second})]


def test_mutated_folders_are_named_errors_or_score_finite_numbers(
    scorers: list[CustomerScorer], cdnow_clean: pd.DataFrame, tmp_path: Path
) -> None:
    plain = summarize(cdnow_clean, unit="week")
    summary = scorers[0].churn.attach(plain, cdnow_clean, scorers[0].as_of, "week").head(20)
    bases = [scorer.save(tmp_path / f"base{i}") for i, scorer in enumerate(scorers)]
    refused, wrong = 0, []
    for number in range(FIRST, FIRST + MUTATIONS):
        rng = random.Random(number)
        folder = tmp_path / "mutated"
        shutil.copytree(rng.choice(bases), folder)
        mutate(folder, rng)
        try:
            scores(CustomerScorer.load(folder), summary)
        except ClvError:
            refused += 1
        except Exception as error:
            wrong.append(f"mutation {number}: {happened(error)}")
        shutil.rmtree(folder)
    print(f"{refused} of {MUTATIONS} refused")
    assert not wrong, "\n".join(wrong[:20])
    assert (
        MUTATIONS < 100 or 0.4 < refused / MUTATIONS < 1
    )  # some changes, such as other words, are harmless


def test_absurd_values_are_refused_by_name(scorers: list[CustomerScorer], tmp_path: Path) -> None:
    folder = scorers[0].save(tmp_path / "model")
    right = json.loads((folder / "scorer.json").read_text())
    for path, value in (
        ("purchases.parameters.a", 1e308),
        ("purchases.parameters.a", 0),
        ("purchases.parameters.r", -0.5),
        ("spend.parameters.q", 10**400),
        ("purchases.unit", None),
        ("unit", None),
        ("unit", "day"),
        ("as_of", -1),
        ("as_of", "2024-13-45"),
        ("shrink", math.nan),
        ("terms.horizon", "1e300 years"),
        ("churn.churn_rate", 1.5),
        ("churn.pool", None),
        ("churn.pool.size", 0),
        ("churn.pool.stretch", 1e3),
        ("churn.pool.fade", -1),
        ("churn.pool.horizon", "13 weeks"),
        ("churn.pool.unit", "day"),
        ("churn.pool.spend.q", 0.5),
        ("churn.base", {}),
        ("purchases.covariance.matrix", [[1.0]]),
        ("purchases.covariance.matrix", [[1.0, 2.0], [2.0, 1.0]]),
        ("training.holdout.rolling.misses.money.log_ratios", ["x"]),
        ("training.data", {"duplicates": "perhaps"}),
    ):
        *way, last = path.split(".")
        changed = copy.deepcopy(right)
        parent = changed
        for key in way:
            parent = parent[key]
        parent[last] = value
        (folder / "scorer.json").write_text(json.dumps(changed))
        with pytest.raises(ModelError, match=r"damaged|does not hold|no file|not of one model"):
            CustomerScorer.load(folder)


def test_only_our_own_classifiers_are_made_of_a_file(
    scorers: list[CustomerScorer], tmp_path: Path
) -> None:
    """Estimators that skops itself would trust are not among them."""
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from skops.io import dump

    folder = scorers[0].save(tmp_path / "model")
    X, y = np.array([[0.0, 1.0], [1.0, 0.0]] * 5), np.array([0, 1] * 5)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    for parts in ([pipeline], [LinearRegression().fit(X, y)], [np.sum], [len]):
        dump(parts, folder / "churn.skops")
        replace_digest(folder)
        with pytest.raises(ModelError, match="types that no model of this package has"):
            CustomerScorer.load(folder)
    ours = scorers[0].churn.pool.learner.parts
    for parts in (
        [LogisticRegression().fit(X, y)],
        ours[:3],
        ours[::-1],
        [ours[0], None, *ours[2:]],
    ):
        dump(parts, folder / "churn.skops")
        replace_digest(folder)
        with pytest.raises(ModelError, match="does not hold the trees"):
            CustomerScorer.load(folder)
    for content in (b"", b"no zip", b"PK\x03\x04"):
        (folder / "churn.skops").write_bytes(content)
        replace_digest(folder)
        with pytest.raises(ModelError, match="no file of classifiers"):
            CustomerScorer.load(folder)


def replace_digest(folder: Path) -> None:
    saved = json.loads((folder / "scorer.json").read_text())
    saved["classifier_sha256"] = sha256((folder / "churn.skops").read_bytes()).hexdigest()
    (folder / "scorer.json").write_text(json.dumps(saved))


def test_a_file_that_unpacks_to_gigabytes_is_not_unpacked(
    scorers: list[CustomerScorer], tmp_path: Path
) -> None:
    folder = scorers[0].save(tmp_path / "model")
    with zipfile.ZipFile(folder / "churn.skops", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("big.npy", bytes(100 * 2**20))
    replace_digest(folder)
    with pytest.raises(ModelError, match="unpacks to"):
        CustomerScorer.load(folder)


def test_pipes_and_folders_are_no_scorer(scorers: list[CustomerScorer], tmp_path: Path) -> None:
    """A pipe would be waited for, for ever."""
    for name in ("scorer.json", "churn.skops"):
        folder = scorers[0].save(tmp_path / f"model-{name}")
        (folder / name).unlink()
        os.mkfifo(folder / name)
        with pytest.raises(ModelError):
            CustomerScorer.load(folder)


def test_mutated_uplift_models_are_named_errors_or_give_finite_gains(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = 2000
    log = pd.DataFrame({"customer_id": range(n), "treated": rng.integers(0, 2, n), "cost": 0.0})
    features = {"churn_probability": rng.random(n), "tier": rng.choice(["a", "b"], n)}
    table = log.assign(**features, outcome_margin=10.0 * (rng.random(n) < 0.3))
    model = fit_uplift(table, propensity=0.5)
    right = model.to_dict()
    file = tmp_path / "uplift.json"
    unnamed = []
    for number in range(FIRST, FIRST + MUTATIONS // 2):
        wrong = mutated(right, random.Random(number))
        saved = {"format": 1, "version": "", "uplift": wrong}
        try:
            saved["version"] = UpliftModel.from_dict(wrong).version
        except Exception:
            saved["version"] = model.version
        file.write_text(json.dumps(saved))
        try:
            gains = UpliftModel.load(file).predict(table.head(20))
            assert np.isfinite(gains.select_dtypes("number").to_numpy()).all()
        except ClvError:
            continue
        except Exception as error:
            unnamed.append(f"mutation {number}: {happened(error)}")
    assert not unnamed, "\n".join(unnamed[:20])


def test_a_horizon_of_a_thousand_years_is_the_longest() -> None:
    assert Terms(horizon=Duration(1000, "year")).horizon.to("year") == 1000
    with pytest.raises(ClvError, match="1,000 years"):
        Terms(horizon=Duration(1e6, "week"))
