"""The configuration: strict, frozen, and clear about what is wrong."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd
import pytest
from pydantic import ValidationError

from clv.app.training.config import Config
from clv.app.training.steps import unused_margin
from clv.cli.train import EXAMPLE
from clv.errors import InputError

RECIPE = Path(__file__).resolve().parents[2] / "training" / "online_retail.toml"
SALE = '[[calendar.events]]\nname = "sale"\nfirst = 2023-11-24\n'
LEAST = '[data]\nfiles = "orders.csv"\n[holdout]\ncutoff = 2024-03-31\n'


def read(tmp_path: Path, text: str) -> Config:
    file = tmp_path / "run.toml"
    file.write_text(text, encoding="utf-8")
    return Config.read(file)


def test_the_shipped_recipe_reads() -> None:
    config = Config.read(RECIPE)
    assert config.data.files == (str(RECIPE.parents[1] / "data" / "online_retail_orders.parquet"),)
    assert config.data.columns.date == "ts"
    assert config.holdout.cutoff == dt.date(2011, 8, 31)
    assert config.flat()["terms.margin_rate"] == 0.3


def test_the_example_of_the_help_reads(tmp_path: Path) -> None:
    config = read(tmp_path, EXAMPLE)
    assert config.data.files == (str(tmp_path / "orders.csv"),)
    assert (config.experiment, config.model.name, config.terms.currency) == (
        "my-shop",
        "my-shop",
        "GBP",
    )


def test_a_calendar_is_what_was_known(tmp_path: Path) -> None:
    totals = "".join(f"2023-{month:02} = {99 + month}\n" for month in range(1, 13))
    config = read(tmp_path, f"{LEAST}[calendar.totals]\n{totals}{SALE}")
    known, before = (config.calendar.known_at(dt.date(year, 12, 31)) for year in (2023, 2022))
    assert known.seasonal
    assert not before.seasonal
    assert known.events[0].last == dt.date(2023, 11, 24)
    assert Config.from_values(config.model_dump(mode="json"), Path("config.json")) == config


def test_a_margin_of_the_orders_that_is_not_used_is_named(tmp_path: Path) -> None:
    log = pd.DataFrame({"amount": [100.0, 50.0], "margin": [30.0, 15.0]})
    (said,) = unused_margin(log, read(tmp_path, LEAST))
    assert str(said) == (
        "Values count revenue, though the orders have a margin, 30% of it: "
        'margin_rate = "measured" in [terms] takes it.'
    )
    measured = read(tmp_path, LEAST + '[terms]\nmargin_rate = "measured"\n')
    assert [*unused_margin(log, measured), *unused_margin(log[["amount"]], measured)] == []


def test_the_least_that_must_be_said(tmp_path: Path) -> None:
    config = read(tmp_path, LEAST)
    assert config.data.files == (str(tmp_path / "orders.csv"),)
    assert (config.model.unit, config.model.churn_horizon) == ("week", "13 weeks")
    assert config.promotion.measure == "money/gini"
    assert config.model.purchase_model == "bg_nbd"
    assert (config.holdout.origins, config.holdout.length, config.holdout.cutoffs) == (3, None, ())


def test_cutoffs_of_a_rolling_origin_can_be_given(tmp_path: Path) -> None:
    text = LEAST + "length = '8 weeks'\ncutoffs = [2024-01-31, 2024-03-31]\n"
    config = read(tmp_path, text + '[model]\npurchase_model = "auto"\n')
    assert config.holdout.cutoffs == (dt.date(2024, 1, 31), dt.date(2024, 3, 31))
    assert config.holdout.length == "8 weeks"
    assert config.model.purchase_model == "auto"
    again = Config.from_values(config.model_dump(mode="json"), Path("config.json"))
    assert again == config


def test_the_recipe_of_an_older_run_reads_as_what_it_was(tmp_path: Path) -> None:
    """Before a purchase model could be chosen it was BG/NBD, and promotion judges that again."""
    plain = read(tmp_path, LEAST).model_dump(mode="json")
    del plain["model"]["purchase_model"]
    for name in ("origins", "length", "cutoffs"):
        del plain["holdout"][name]
    assert Config.from_values(plain, Path("config.json")).model.purchase_model == "bg_nbd"


def test_columns_are_those_of_clv_init(tmp_path: Path) -> None:
    text = LEAST.replace("[holdout]", '[data.columns]\ndate = ["day", "time"]\n[holdout]')
    recipe = read(tmp_path, text).data.recipe()
    assert recipe.names("date") == ("day", "time")
    assert list(recipe.undecided()) == ["columns.customer_id"]


def test_it_survives_json(tmp_path: Path) -> None:
    """As a run logs it, and a promotion reads it again."""
    config = read(tmp_path, LEAST + "end = 2024-06-30\n")
    plain = config.model_dump(mode="json")
    assert Config.from_values(plain, Path("config.json")) == config


def test_it_is_frozen(tmp_path: Path) -> None:
    config = read(tmp_path, LEAST)
    with pytest.raises(ValidationError, match="frozen"):
        config.model.unit = "day"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ('colour = "red"\n', "colour is not a known key"),
        (
            '[model]\nchurn_horizont = "13 weeks"\n',
            "churn_horizont is not a known key (did you mean 'churn_horizon'?)",
        ),
        ('[modell]\nunit = "week"\n', "modell is not a known key (did you mean 'model'?)"),
        ('[model]\nunit = "fortnight"\n', "model.unit should be 'day', 'week'"),
        ('[model]\nchurn_horizon = "soon"\n', "model.churn_horizon: 'soon' is not a duration"),
        ("[model]\nchurn_horizon = 13\n", "model.churn_horizon: 13 is not a duration"),
        (
            "[terms]\nmargin_rate = 30\n",
            "terms.margin_rate: margin_rate = 30 is not in",
        ),
        (
            "[terms]\nannual_discount_rate = '10%'\n",
            "annual_discount_rate = 10% is not in",
        ),
        ('[promotion]\nmeasure = "auc"\n', "promotion.measure should be 'money/gini'"),
        ("[calendar.totals]\n2023-13 = 5\n", "calendar: '2023-13' is no month; write"),
        ("[calendar.totals]\n2023-01 = 5\n", "calendar: the totals have no February, March,"),
        (SALE + "last = 2023-11-01\n", "ends 2023-11-01, before its first day."),
        (SALE + "multiplier = -1\n", "has the multiplier -1.0; 0 while closed, 2 for twice"),
        (SALE + "lasst = 2023-11-30\n", "calendar.events.sale.lasst is not a known key"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, added: str, said: str) -> None:
    text = added + LEAST if not added.startswith("[") else LEAST + added
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert said in str(caught.value)
    assert "run.toml: " in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LEAST.replace("2024-03-31", '"in spring"'), "holdout.cutoff: 'in spring' is not a day"),
        (LEAST + "cutoffs = [2024-03-31, 2024-01-31]\n", "holdout: cutoffs are not in order"),
        (LEAST + "origins = -1\n", "holdout.origins should be greater than or equal to 0, not -1"),
        (LEAST + '[model]\npurchase_model = "nbd"\n', "model.purchase_model should be"),
        (LEAST + "end = 2024-03-01\n", "holdout: end 2024-03-01 is not after cutoff 2024-03-31"),
        ("[holdout]\ncutoff = 2024-03-31\n[data]\nas_of = 2024-12-31\n", "data.files is missing"),
        ("[data\n", "is no valid TOML"),
        (
            "[data]\nfiles = 3\ndate_format = 4\n[holdout]\ncutoff = 5\n",
            "3; holdout.cutoff: 5 is not a day",
        ),
    ],
)
def test_what_else_cannot_be_read(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=r"run\.toml") as caught:
        read(tmp_path, text)
    assert said in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        Config.read(tmp_path / "nothing.toml")
