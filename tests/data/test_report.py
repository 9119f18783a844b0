import json

import pandas as pd
import pytest

from clv.data.cleaning_report import CleaningReport
from clv.data.transactions import clean


@pytest.fixture(scope="module")
def report() -> CleaningReport:
    log = pd.DataFrame(
        {
            "CustomerID": ["a", "a", "a", "b", "b", None],
            "order_date": [
                "2024-01-01",
                "2024-01-03",
                "2024-02-01",
                "2024-02-01",
                "2024-02-01",
                "x",
            ],
            "amount": [40.0, -30.0, 15.0, 1234.5, 1.0, 9.0],
        }
    )
    return clean(log)[1]


def test_it_reads_as_a_ledger(report):
    assert (
        str(report)
        == """\
3 purchases of 2 customers, 2024-01-01 to 2024-02-01

        rows           amount  what happened
           6         1,269.50  read
          −1            −9.00  customer id is missing: dropped
                               CustomerID missing, order_date x, amount 9.0
          −1           +30.00  refund of earlier orders: netted
                               customer_id a, date 2024-01-03, amount -30.0
           ·           −30.00  order refunded in part: reduced (1 row)
                               customer_id a, date 2024-01-01, amount 40.0
          −1                ·  further order of one day: joined
           3         1,260.50  purchases in the clean log

Taken as given:
  - column 'CustomerID' was taken as customer_id.
  - column 'order_date' was taken as date.
  - a refund undoes the latest earlier order of its amount, else the latest ones.
  - all that a customer buys on one calendar day is one purchase."""
    )


def test_it_survives_json(report):
    told = json.loads(json.dumps(report.to_dict()))
    assert (told["rows_in"], told["rows_out"], told["purchases"], told["customers"]) == (6, 3, 3, 2)
    assert (told["first_date"], told["last_date"]) == ("2024-01-01", "2024-02-01")
    assert told["findings"][0] == {
        "reason": "customer id is missing",
        "rows": 1,
        "action": "dropped",
        "rows_out": 1,
        "amount_out": 9.0,
        "examples": ["CustomerID missing, order_date x, amount 9.0"],
    }
    assert len(told["assumptions"]) == 4


def test_what_is_kept_elsewhere_shows_no_row_of_a_customer():
    """Such as in a tracking server, where whoever sees runs may not see customers."""
    ids, days = (
        ["ann@shop.example", "bob@shop.example", None],
        ["2024-01-01", "someday", "2024-02-03"],
    )
    log = pd.DataFrame(
        {"customer_id": ids * 4, "date": days * 4, "amount": [40.0, 77.77, 9.99] * 4}
    )
    report = clean(log)[1]
    assert "77.77" in str(report)
    kept = report.without_examples()
    for text in (str(kept), json.dumps(kept.to_dict())):
        assert not [word for word in ("shop.example", "someday", "77.77", "9.99") if word in text]
    assert [f.rows for f in kept.findings] == [f.rows for f in report.findings]
