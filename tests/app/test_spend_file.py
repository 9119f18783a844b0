"""Channels of a spend table meet those of the orders, however the two spell them."""

import pandas as pd
import pytest

from clv.app.spend_file import read_spend_file
from clv.data.summary import summarize
from clv.data.transactions import clean
from clv.decide.acquisition.channels import channel_costs
from clv.decide.acquisition.ratios import channel_table
from clv.errors import InputError
from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.gamma_gamma import GammaGamma
from clv.simulate import simulate_brand
from clv.value.by_channel import models_by_channel, value_by_channel
from clv.value.value import Terms

LOG = ["search", "social", "affiliates"]


def spend(folder, *channels, config=""):
    rows = "".join(f"{name},2024-01-01,{10 if name != 'Free' else 0}\n" for name in channels)
    (folder / "spend.csv").write_text("channel,period,spend\n" + rows)
    (folder / "c.toml").write_text(config)
    return read_spend_file(folder / "spend.csv", config=folder / "c.toml")


def names(file):
    return file.rows["channel"].to_pylist()


@pytest.mark.parametrize(
    "written",
    [("Search", "SOCIAL", "Affiliates"), (" search", "social ", "affiliates")],
)
def test_case_and_blanks_make_no_other_channel(written, tmp_path):
    assert names(spend(tmp_path, *written).beside(LOG)) == LOG


def test_names_say_what_the_orders_call_a_channel(tmp_path):
    file = spend(
        tmp_path,
        "Search",
        "Social Media",
        "affiliates",
        config='[spend]\nnames = {"social media" = "social"}',
    )
    beside = file.beside(LOG)
    assert names(beside) == LOG
    assert [str(note) for note in beside.notes] == [
        "Search of the spend table is search of the orders.",
        "Social Media of the spend table is social of the orders.",
    ]


@pytest.mark.parametrize(
    ("written", "near"),
    [
        ("Social Media", "social"),
        ("Serach", "search"),
        ("Paid search", "search"),
        ("Affilate", "affiliates"),
    ],
)
def test_a_channel_of_another_name_is_an_error_with_the_nearest_name(written, near, tmp_path):
    others = [name for name in LOG if name != near]
    with pytest.raises(
        InputError, match=f"Is {written} of the spend table {near} of the orders"
    ) as e:
        spend(tmp_path, written, *others).beside(LOG)
    assert f'names = {{ "{written}" = "{near}" }}' in e.value.hint


def test_spend_without_customers_is_an_error_unless_stated(tmp_path):
    with pytest.raises(InputError, match="podcast of the spend table brought no customers") as e:
        spend(tmp_path, *LOG, "podcast").beside(LOG)
    assert 'without_customers = ["podcast"]' in e.value.hint
    config = '[spend]\nwithout_customers = ["Podcast"]'
    assert names(spend(tmp_path, *LOG, "podcast", config=config).beside(LOG)) == [*LOG, "podcast"]


def test_customers_without_spend_are_an_error_unless_stated_or_unpaid_by_name(tmp_path):
    with pytest.raises(InputError, match="radio brought customers and stands in no row") as e:
        spend(tmp_path, *LOG).beside([*LOG, "radio"])
    assert 'without_spend = ["radio"]' in e.value.hint
    beside = spend(tmp_path, *LOG, config='[spend]\nwithout_spend = ["radio"]').beside(
        [*LOG, "radio"]
    )
    assert beside.rows.to_pylist()[-1]["spend"] == 0.0
    assert names(spend(tmp_path, *LOG).beside([*LOG, "Organic", "(direct)", None])) == LOG
    assert names(spend(tmp_path, *LOG, "Free").beside([*LOG, "free"]))[-1] == "free"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            "[spend]\nwithout = ['a']",
            "spend.without is not a known key .did you mean 'without_spend",
        ),
        ("[spend]\ndecimal = ';'", "spend.decimal should be '.', ',' or 'both', not ';'"),
        ("spend = 3", "spend should be a section of fields, not 3"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(config, words, tmp_path):
    with pytest.raises(InputError, match=words):
        spend(tmp_path, *LOG, config=config)


# The simulated brand of 1,500 customers: figures worked out from its own tables.


@pytest.fixture(scope="module")
def brand():
    brand = simulate_brand(3, customers=1500)
    return brand.spend.drop(columns="new_customers"), summarize(clean(brand.orders)[0], unit="week")


def paid_cac(spend, summary):
    total = channel_costs(spend, summary).by_period[["loaded_spend", "paid_customers"]].sum()
    return total["loaded_spend"] / total["paid_customers"]


@pytest.mark.parametrize(
    "called", [{}, {"search": "Search"}, {"search": " SEARCH ", "social": "Social"}]
)
def test_paid_cac_of_channels_in_any_spelling(called, brand):
    spend, summary = brand
    renamed = spend.assign(channel=spend["channel"].replace(called))
    assert paid_cac(renamed, summary) == pytest.approx(19.73, abs=0.005)


def test_names_that_do_not_meet_are_an_error_in_python_too(brand):
    spend, summary = brand
    renamed = spend.assign(channel=spend["channel"].replace({"social": "Social Media"}))
    with pytest.raises(InputError, match="Is Social Media of the spend table social of the orders"):
        channel_costs(renamed, summary)


def test_rows_of_totals_and_rows_twice_are_an_error_in_python_too(brand):
    spend, summary = brand
    total = spend.groupby("period", as_index=False)[["spend", "fixed_cost"]].sum()
    with pytest.raises(InputError, match="row of totals among the channels in 104 rows"):
        channel_costs(pd.concat([spend, total.assign(channel="Total")]), summary)
    with pytest.raises(InputError, match="row repeats another in every column"):
        channel_costs(pd.concat([spend, spend.tail(4)]), summary)


def test_value_beside_cost_of_a_renamed_channel(brand):
    spend, summary = brand
    renamed = spend.assign(channel=spend["channel"].replace({"social": "Social "}))
    costs = channel_costs(renamed, summary)
    models = models_by_channel(
        summary, BetaGeoNBD(unit="week").fit(summary), GammaGamma().fit(summary), ["Social"]
    )
    terms = Terms(0.3, 0.10, Duration(3, "year"))
    value = value_by_channel(models, terms).set_index("channel")["new_customer_clv"].to_dict()
    table = channel_table(costs, value, horizon=terms.horizon).set_index("channel")
    # 24.10 is what a customer of social is worth in the simulation; 2.66 came out under two names
    assert table["ltv_to_cac"]["Social"] == pytest.approx(24.10 / 14.65, rel=0.15)
    assert table["cac"]["Social"] == pytest.approx(14.65, abs=0.005)
