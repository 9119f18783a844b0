"""Promotion: the alias moves when the holdout says so, and stays with a reason when it does not."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from clv.app import mlflow_store
from clv.app.registry import CHALLENGER, champion, set_alias
from clv.app.training import promotion
from clv.app.training.config import MEASURES, Config
from clv.app.training.promotion import is_better, judge_again
from clv.cli.main import run as run_command
from clv.cli.promote import promote_and_show
from clv.cli.screen import Screen
from clv.errors import ModelError, PromotionError
from clv.io.files import file_digest
from training import promote as recipe
from training.promote import promote

pytestmark = pytest.mark.usefixtures("store")

MODEL = {"gini": 0.7, "rmse": 2.0, "bias": -0.2}
NAIVE = {"gini": 0.6, "rmse": 3.0, "bias": -0.3}


def figures(model: Mapping[str, float] = MODEL, naive: Mapping[str, float] = NAIVE) -> Any:
    """The metrics of a run, the same for purchases and money."""
    found = {}
    for measure in MEASURES:
        key = measure.partition("/")[2]
        found[f"{measure}/model"] = model[key]
        found[f"{measure}/own_past_rate"] = naive[key]
        found[f"{measure}/population_mean"] = naive[key] - 0.5 if key == "gini" else 9.0
    return found


def version(
    metrics: Mapping[str, float], config: Mapping[str, Any] | None = None, **tags: str
) -> int:
    """A registered version with the alias challenger, and a run that logged these figures."""
    with mlflow_store.connect() as mlflow:
        client, home = mlflow.MlflowClient(), mlflow_store.experiment_id(mlflow, "clv")
        with mlflow.start_run(experiment_id=home) as run:
            mlflow.log_metrics(dict(metrics))
            if config is not None:
                mlflow.log_dict(dict(config), "config.json")
        if not client.search_registered_models():
            client.create_registered_model("clv")
        told = {"converged": "True", "measure": "money/gini", "log_sha256": "x"}
        told |= {"holdout": "2024-01-01 to 2024-03-31", "holdout_sha256": "y"} | tags
        made = client.create_model_version(
            "clv", run.info.artifact_uri, run_id=run.info.run_id, tags=told
        )
    set_alias("clv", CHALLENGER, int(made.version))
    return int(made.version)


def in_use() -> int | None:
    found = champion()
    return None if found is None else found.version


def test_without_a_challenger_there_is_nothing_to_promote() -> None:
    with pytest.raises(ModelError, match="no version with the alias challenger"):
        promote("clv", Screen(quiet=True))


def test_a_first_champion_that_beats_the_naive_forecasts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = version(figures())
    promote_and_show("clv", Screen())
    assert in_use() == first
    found = champion()
    assert found is not None
    assert "money/gini 0.7 beats the naive forecasts" in found.tags["promoted_because"]
    said = capsys.readouterr()
    assert said.err == ""
    assert "Next: clv score LOG --model models:/clv@champion" in said.out


@pytest.mark.parametrize(
    ("written", "step"),
    [
        ('[data]\nfiles = "orders.csv"\n', "clv publish --model models:/clv@champion"),
        ('[data]\nfiles = "gone.csv"\n', "clv score LOG --model models:/clv@champion"),
        ("[terms]\nmargin_rate = 0.3\n", "clv score LOG --model models:/clv@champion"),
    ],
)
def test_the_step_that_is_named_next_can_be_taken(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    written: str,
    step: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clv.toml").write_text(written)
    (tmp_path / "orders.csv").write_text("customer_id,date,amount\n")
    version(figures())
    promote_and_show("clv", Screen())
    assert f"Next: {step}" in capsys.readouterr().out


def test_a_first_champion_that_loses_is_promoted_with_a_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    version(figures(naive=NAIVE | {"gini": 0.75}))
    promote_and_show("clv", Screen(quiet=True))
    assert in_use() == 1
    said = " ".join(capsys.readouterr().err.split())
    assert 'Warning: the naive forecast "own past rate" is as good or better on money/gini' in said


def test_a_fit_that_did_not_converge_is_refused() -> None:
    version(figures(), converged="False")
    with pytest.raises(PromotionError, match="did not converge"):
        promote("clv", Screen(quiet=True))
    assert in_use() is None


def test_a_version_that_was_never_judged_is_no_challenger() -> None:
    number = version(figures())
    with mlflow_store.connect() as mlflow:
        mlflow.MlflowClient().delete_model_version_tag("clv", str(number), "holdout_sha256")
    with pytest.raises(ModelError, match="no tag holdout_sha256"):
        promote("clv", Screen(quiet=True))


def test_promoting_twice_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    version(figures())
    promote("clv", Screen(quiet=True))
    promote_and_show("clv", Screen())
    assert "models:/clv/1 is the champion already" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("measure", "change", "refused"),
    [
        ("money/gini", {}, "a tie"),
        ("money/gini", {"gini": 0.7 + 1e-12}, "a tie"),
        ("money/rmse", {"gini": 0.9}, "a tie"),
        ("purchases/bias", {"bias": 0.2}, "a tie"),  # as far off, to the other side
        ("money/gini", {"gini": 0.71}, ""),
        ("money/gini", {"gini": 0.69, "rmse": 1.0, "bias": 0.0}, "worse"),
        ("money/rmse", {"rmse": 1.9, "gini": 0.1}, ""),
        ("money/rmse", {"rmse": 2.1}, "worse"),
        ("purchases/bias", {"bias": 0.1}, ""),
        ("purchases/bias", {"bias": 0.25}, "worse"),
        ("purchases/bias", {"bias": -0.25}, "worse"),
    ],
)
def test_a_challenger_must_be_better_on_the_same_holdout(
    measure: str, change: dict[str, float], refused: str
) -> None:
    version(figures(), measure=measure)
    promote("clv", Screen(quiet=True))
    version(figures(MODEL | change), measure=measure)
    if not refused:
        promote("clv", Screen(quiet=True))
    else:
        why = f"stays challenger: {measure} .* which is {refused}"
        with pytest.raises(PromotionError, match=why):
            promote("clv", Screen(quiet=True))
    assert in_use() == (1 if refused else 2)


def test_on_a_tie_the_one_that_knows_later_orders_is_in_use() -> None:
    """A recipe that is trained anew on more orders ties with itself."""
    for day, champions in (("2024-03-31", 1), ("2024-06-30", 2)):
        version(figures(), as_of=day)
        promote("clv", Screen(quiet=True))
        assert in_use() == champions
    version(figures(), as_of="2024-06-30")
    with pytest.raises(PromotionError, match="a tie"):
        promote("clv", Screen(quiet=True))


def test_rounding_does_not_decide() -> None:
    assert not is_better("money/gini", 0.7, 0.7 - 1e-12)
    assert is_better("money/gini", 0.7, 0.7 - 1e-6)


@pytest.fixture
def recipe_of_today(cdnow_clean: pd.DataFrame, tmp_path: Path) -> dict[str, Any]:
    """A config as a run logs it, on a real log."""
    path = tmp_path / "orders.parquet"
    cdnow_clean[["customer_id", "date", "amount"]].to_parquet(path)
    plain = {"data": {"files": [str(path)]}, "holdout": {"cutoff": "1997-12-31"}}
    return Config.from_values(plain, Path("run.toml")).model_dump(mode="json")


def after_a_champion_on_other_data(
    today: dict[str, Any], metrics: Mapping[str, float], champions: dict[str, Any] | None
) -> None:
    """A champion judged on another holdout, with figures that nothing reaches; a challenger."""
    then = {"holdout_sha256": "another", "as_of": "1998-03-31"}
    version(figures(MODEL | {"gini": 0.999}), champions, **then)
    promote("clv", Screen(quiet=True))
    digest = file_digest(Path(today["data"]["files"][0]))
    version(metrics, today, log_sha256=digest, as_of="1998-06-30")


@pytest.mark.parametrize("worse_by", [0.0, 0.01])
def test_a_champion_judged_on_other_data_is_judged_again(
    worse_by: float, recipe_of_today: dict[str, Any]
) -> None:
    real = judge_again(Config.from_values(recipe_of_today, Path("config.json")))
    logged = {**real, "money/gini/model": real["money/gini/model"] - worse_by}
    earlier = recipe_of_today | {"holdout": {"cutoff": "1997-09-30"}}
    after_a_champion_on_other_data(recipe_of_today, logged, earlier)
    if worse_by:
        with pytest.raises(PromotionError, match="which is worse"):
            promote("clv", Screen(quiet=True))
    else:
        promote("clv", Screen(quiet=True))
    assert in_use() == (1 if worse_by else 2)


def test_without_the_champions_recipe_it_is_refused(recipe_of_today: dict[str, Any]) -> None:
    after_a_champion_on_other_data(recipe_of_today, figures(), None)
    with pytest.raises(PromotionError, match="its recipe is not logged"):
        promote("clv", Screen(quiet=True))
    assert in_use() == 1


def test_without_the_challengers_log_it_is_refused(recipe_of_today: dict[str, Any]) -> None:
    after_a_champion_on_other_data(recipe_of_today, figures(), recipe_of_today)
    Path(recipe_of_today["data"]["files"][0]).write_text("overwritten since")
    with pytest.raises(PromotionError, match="is gone or has changed since"):
        promote("clv", Screen(quiet=True))
    assert in_use() == 1


def test_the_command_ends_a_refusal_with_exit_code_7(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    version(figures(), converged="False")
    monkeypatch.setattr(sys, "argv", ["promote", "--model", "clv"])
    with pytest.raises(SystemExit) as ended:
        run_command(recipe.main, recipe.NAME)
    assert ended.value.code == 7
    said = capsys.readouterr().err
    assert said.startswith("Error: models:/clv/1 stays challenger")
    assert "Hint: " in said
    assert "Traceback" not in said


def test_a_promotion_killed_before_its_reason_is_written_is_completed_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version(figures())
    with mlflow_store.connect() as mlflow, monkeypatch.context() as patch:

        def killed(*_: object) -> None:
            raise SystemExit

        patch.setattr(mlflow.MlflowClient, "set_model_version_tag", killed)
        with pytest.raises(SystemExit):
            promote("clv", Screen(quiet=True))
    found = champion()
    assert found is not None
    assert "promoted_because" not in found.tags
    promote("clv", Screen(quiet=True))
    completed = champion()
    assert completed is not None
    assert "killed" in completed.tags["promoted_because"]


def test_a_champion_changed_by_another_promotion_meanwhile_is_not_overruled() -> None:
    version(figures())
    case = promotion.promotion_case("clv")
    promote("clv", Screen(quiet=True))
    version(figures(MODEL | {"gini": 0.71}))
    second = promotion.promotion_case("clv")
    promotion.promote(second)
    with pytest.raises(PromotionError, match="another promotion changed the champion"):
        promotion.promote(case)
    assert in_use() == 2


def test_a_database_that_another_program_holds_is_named(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.store.db import utils

    version(figures())
    text = utils.sql.text  # MLflow waits for 20 seconds, and here for a fifth of one
    shorter = lambda words: text(words.replace("busy_timeout = 20000", "busy_timeout = 200"))  # noqa: E731
    monkeypatch.setattr(utils.sql, "text", shorter)
    with sqlite3.connect(store / "mlflow.db", isolation_level=None) as held:
        held.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ModelError, match=r"database is locked(.|\n)*run it again"):
            promote("clv", Screen(quiet=True))
        held.execute("ROLLBACK")
    promote("clv", Screen(quiet=True))
    assert in_use() == 1
