"""Records in a notebook: HTML, escaped, from the words that print gives."""

from dataclasses import dataclass

import pandas as pd

import clv
from clv.notebook import InNotebook
from clv.probability.optimize import FitReport


@dataclass(frozen=True)
class Shelf(InNotebook):
    """A record with words that HTML would take for tags."""

    name: str

    def __str__(self):
        return f"{self.name}\n  note: a < b & c\n\n"


def test_the_first_line_is_the_heading_and_each_further_one_a_point():
    assert Shelf("<script>")._repr_html_() == (
        "<div><p><strong>&lt;script&gt;</strong></p><ul><li>note: a &lt; b &amp; c</li></ul></div>"
    )


def test_a_cleaning_report_is_a_ledger():
    log = pd.DataFrame({"customer_id": ["a", None], "date": ["2024-01-01"] * 2, "amount": [9, 5.0]})
    left, right = '<td style="text-align: left">', '<td style="text-align: right">'
    heads = (
        '<th style="text-align: left">what happened</th>'
        '<th style="text-align: right">rows</th><th style="text-align: right">amount</th>'
    )
    rows = (
        ("read", "2", "14.00"),
        ("customer id is missing: dropped", "-1", "-5.00"),
        ("purchases in the clean log", "1", "9.00"),
    )
    body = "".join(
        f"<tr>{left}{what}</td>{right}{count}</td>{right}{amount}</td></tr>"
        for what, count, amount in rows
    )
    assert clv.clean(log)[1]._repr_html_() == (
        "<div><p><strong>1 purchase of 1 customer, 2024-01-01 to 2024-01-01</strong></p>"
        f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
        "<ul><li>all that a customer buys on one calendar day is one purchase.</li></ul></div>"
    )


def test_a_fit_report_is_its_parameters_and_how_sure_the_fit_is():
    report = FitReport("BetaGeoNBD", "native", {"r": 0.25}, -9.5, 1e-7, 160, 3, 3, 10, 20, ())
    assert report._repr_html_() == (
        "<div><p><strong>BetaGeoNBD (native): r 0.25</strong></p>"
        "<ul><li>log-likelihood -9.500, 20 customers in 10 cells</li>"
        "<li>converged: gradient 1.0e-07, condition 1.6e+02, 3 of 3 starts agree</li></ul></div>"
    )


def test_terms_are_a_sentence():
    assert clv.Terms(0.3, currency="EUR")._repr_html_() == (
        "<div><p><strong>EUR of contribution margin (30%, assumed) over 3 years, "
        "discounted at 10% a year</strong></p></div>"
    )
