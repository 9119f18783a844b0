"""Calls whose right answer is known: what must be refused is, and what changes nothing changes
nothing. Misspelt choices, percentages for shares, columns that are not there; rows in another
order, another engine's table, a column more.
"""

from __future__ import annotations

import inspect
import math
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from clv.arguments import _kind
from clv.errors import ClvError

from .calls import Call

SHARES = {
    *("control_share", "level", "margin_rate", "annual_discount_rate", "power", "propensity"),
    *("incremental_share", "redemption", "discount", "rate", "save_rate", "retention_rate"),
    *("renewal_rate", "acceptance", "first_margin_rate", "discount_rate", "shrink"),
}
COLUMNS = {"by", "measure", "segment", "stratify", "event", "tenure", "covariates", "columns"}
TABLES = {
    "shuffled": lambda table: table.sample(frac=1, random_state=1),
    "with a column more": lambda table: table.assign(zz_note="x"),
    "of Polars": pl.from_pandas,
    "of PyArrow": lambda table: pa.Table.from_pandas(table, preserve_index=False),
    "with columns turned": lambda table: table[list(table.columns)[::-1]],
}
ALIKE = (
    *("clean", "summarize", "split_holdout", "propose_horizon", "customer_value", "value_interval"),
    *("total_value", "totals_by", "calendar_total", "concentration", "regular_charges"),
    *("read_contract_table", "choose_contract_model", "segment_costs", "plan_campaign"),
    *("retention_targets", "assign_test", "measure_test", "pair_regions", "plan_offer_test"),
    *("read_leads", "read_referrals", "BetaGeoNBD.fit", "GammaGamma.fit"),
    *("ShiftedBetaGeometric.fit", "BetaGeoNBD.conditional_expected_purchases"),
    *("CustomerScorer.predict", "CustomerScorer.total_value", "response_curves"),
)


def kinds(call: Call) -> Iterator[tuple[str, Any]]:
    """The parameters of a call, each with what its annotation means."""
    function: Any = call.function
    function = function.__init__ if inspect.isclass(function) else function
    function = inspect.unwrap(getattr(function, "__func__", function))
    for name, parameter in inspect.signature(function).parameters.items():
        if name not in ("self", "cls"):
            yield name, _kind(parameter.annotation, function)


def refuses(call: Call, **wrong: Any) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):
            call.function(**call.arguments | wrong)
    except ClvError:
        return True
    return False


def is_model(call: Call) -> bool:
    """Whether a call makes an estimator, whose settings are looked at when it is fitted."""
    return inspect.isclass(call.function) and hasattr(call.function, "get_params")


def test_settings_of_models_are_refused_when_they_are_fitted(calls: dict[str, Call]) -> None:
    table = calls["BetaGeoNBD.fit"].arguments["X"]
    for name in ("BetaGeoNBD", "ParetoNBD", "GammaGamma"):
        for key in ("engine", "unit"):
            if key in calls[name].arguments:
                with pytest.raises(ClvError, match="nothing known"):
                    calls[name].function(**{key: "nothing known"}).fit(table)


def test_a_misspelt_choice_is_refused(calls: dict[str, Call]) -> None:
    taken = [
        f"{name}({parameter})"
        for name, call in calls.items()
        for parameter, kind in kinds(call)
        if any(get_origin(one) is Literal for one in (kind, *get_args(kind)))
        and not is_model(call)
        and not refuses(call, **{parameter: "no such choice"})
    ]
    assert not taken


def test_a_percentage_is_no_share(calls: dict[str, Call]) -> None:
    taken = [
        f"{name}({parameter})"
        for name, call in calls.items()
        for parameter, _ in kinds(call)
        if parameter in SHARES
        if not refuses(call, **{parameter: 30.0})
    ]
    assert not taken


def test_a_column_that_is_not_there_is_refused(calls: dict[str, Call]) -> None:
    taken = []
    for name, call in calls.items():
        for parameter, _ in kinds(call):
            one = not isinstance(call.arguments.get(parameter), list | tuple)
            wrong = "no_such" if one else ["no_such"]
            if parameter in COLUMNS and name != "ContractModels" and not is_model(call):
                taken += [] if refuses(call, **{parameter: wrong}) else [f"{name}({parameter})"]
    assert not taken


def figures(found: Any, depth: int = 0) -> list[Any]:
    """All that a result says, of tables each column in order of its values."""
    if isinstance(found, int | float | np.number) and not isinstance(found, bool):
        return [float(found)]
    if found is None or isinstance(found, str | bool):
        return [found]
    if isinstance(nw.from_native(found, pass_through=True), nw.DataFrame | nw.LazyFrame):
        rows = nw.from_native(found).lazy().collect()
        return [value for name in sorted(rows.columns) for value in column(rows[name])]
    if isinstance(found, dict):
        return [each for key in sorted(found, key=str) for each in figures(found[key], depth + 1)]
    if isinstance(found, np.ndarray):
        return sorted(found.ravel().tolist(), key=str)
    if isinstance(found, list | tuple):
        return [each for part in found for each in figures(part, depth + 1)]
    if hasattr(found, "to_dict"):
        return figures(found.to_dict(), depth + 1)
    return figures(vars(found), depth + 1) if hasattr(found, "__dict__") and depth < 3 else []


def column(values: Any) -> list[Any]:
    if values.dtype.is_numeric():
        return sorted(np.nan_to_num(values.cast(nw.Float64).to_numpy(), nan=-1e99).tolist())
    return sorted(str(value)[:10] for value in values.to_list())


def alike(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9) or one != one != other
    return bool(one == other)


@pytest.mark.parametrize("name", ALIKE)
def test_what_changes_nothing_changes_nothing(calls: dict[str, Call], name: str) -> None:
    call, other = calls[name], []
    with warnings.catch_warnings(action="ignore"):
        right = figures(call.function(**call.arguments))
        for key, table in call.arguments.items():
            for how, changed in TABLES.items() if isinstance(table, pd.DataFrame) else ():
                found = figures(call.function(**call.arguments | {key: changed(table)}))
                if len(found) != len(right) or not all(map(alike, right, found)):
                    other.append(f"{key} {how}")
    assert right
    assert not other


SETTINGS = {
    "plan.toml": ("allocate", "{}"),
    "offers.toml": ("targets", "scores.csv", "--offers", "{}"),
    "clv.toml": ("check", "--config", "{}"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_misspelt_key_of_settings_is_refused_and_their_order_is_none(
    home: Path, tmp_path: Path, verdict: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(home)
    text, taken = (home / name).read_text(), []
    place = home / f"changed-{name}"

    def run(changed: str, words: tuple[str, ...]) -> Any:
        place.write_text(changed)
        return verdict(*(word.replace("{}", place.name) for word in words))

    right = run(text, SETTINGS[name])
    assert right[0] == 0
    for key in re.finditer(r"(?<![\w\"])(\w+)(?= *=)", text):
        typo = text[: key.start()] + key[1][:-1] + "zz" + text[key.end() :]
        code, _, _ = run(typo, SETTINGS[name])
        taken += [] if code == 3 else [(key[1], code)]
    assert not taken
    blocks = [sorted(block.splitlines()[1:]) for block in text.split("\n[")]
    heads = [block.splitlines()[0] for block in text.split("\n[")]
    turned = "\n[".join("\n".join([h, *b]) for h, b in zip(heads, blocks, strict=True)) + "\n"
    assert run(turned, SETTINGS[name])[:2] == right[:2]
    place.unlink()
