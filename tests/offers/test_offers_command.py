"""``clv offers``: files in, the fixed columns out, and mistakes said in a sentence."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import clv
from clv.io.files import write_table
from clv.schema import as_frame

FIXED = [*("customer_id", "rank", "item", "kind", "chance", "spend", "margin", "value", "because")]


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    file = tmp_path_factory.mktemp("offers") / "lines.parquet"
    table = clv.simulate_order_lines(2, customers=700).lines
    write_table(as_frame(table).collect().to_arrow(), file)
    return file


def test_offers_are_written_and_what_was_left_out_is_said(run, lines, tmp_path):
    out = tmp_path / "OUT.parquet"
    stock, barred = tmp_path / "stock.csv", tmp_path / "barred.csv"
    codes = [f"p{n:05d},{n % 10}" for n in range(120)]
    stock.write_text("\n".join(["item,quantity", *codes]) + "\n")
    barred.write_text("customer_id\n1\n2\n")
    words = ("offers", lines, "--as-of", "2024-01-15", "--top", "3", "--horizon", "8 weeks")
    result = run(*words, "--stock", stock, "--exclude", barred, "--output", out)
    assert result.code == 0, result.err
    assert "not in stock" in result.out
    assert "on the list of exclusions" in result.out
    assert "personal frequency" in result.out
    table = pq.read_table(out)
    assert table.column_names[:9] == FIXED
    assert max(table["rank"].to_pylist()) == 3
    assert not {1, 2} & set(table["customer_id"].to_pylist())
    assert not [item for item in table["item"].to_pylist() if int(item[1:]) % 10 == 0]
    document = json.loads(run(*words, "--kinds", "new", "--json").out)
    assert set(document["offers"]) == {"new"}
    assert document["terms"]["horizon"] == "8 weeks"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--kinds", "gift"), "there is no kind of offer 'gift'"),
        (("--margin-rate", "30"), "margin_rate"),
        (("--horizon", "2 years"), "customers bought two items or more"),
        (("--column", "product=code"), "no column 'code'"),
    ],
)
def test_mistakes_are_said(run, lines, more, said):
    result = run("offers", lines, *more)
    assert result.code in (3, 4)
    assert said in " ".join(result.err.split())
    assert "Traceback" not in result.err


def test_order_lines_are_simulated_with_the_truth_apart(run, tmp_path):
    """The files alone give the true chance of each pair, and offers can be made at once."""
    place = tmp_path / "baskets"
    words = ("simulate", "--order-lines", "--output", place, "--customers", 600, "--items", 60)
    shown = run(*words)
    assert shown.code == 0, shown.err
    assert f"clv offers {place / 'lines.csv'}" in "".join(shown.out.split("\n"))
    customers, items = (pd.read_csv(place / f"true_{what}.csv") for what in ("customers", "items"))
    truth = json.loads((place / "truth.json").read_text())
    q = customers[items["group"]].to_numpy() * items["share"].to_numpy()
    held = 1 - (1 - q) * np.exp(-truth["more_lines"] * q)
    chance = 1 - np.exp(-customers["orders_a_day"].to_numpy()[:, None] * 56 * held)
    simulated = clv.simulate_order_lines(customers=600, items=60)
    np.testing.assert_allclose(chance, simulated.chance(np.arange(600), 56), atol=1e-5)
    lines = pd.read_csv(place / "lines.csv")
    assert lines["amount"].sum() == pytest.approx(simulated.lines["amount"].sum())
    assert set(lines["item"]) <= set(items["item"])
    assert lines["date"].max() == truth["as_of"]
    offers = run("offers", place / "lines.csv", "--horizon", "8 weeks")
    assert "offers to" in offers.out, offers.err
    assert run("simulate", "--output", tmp_path / "b", "--items", 60).code == 2
    assert run(*words[:4], "--customers", 1, "--items", 1).code == 0  # though nobody may order
