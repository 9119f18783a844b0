"""``clv offers``: files in, the fixed columns out, and mistakes said in a sentence."""

import json

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
