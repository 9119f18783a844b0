"""Records in a notebook: HTML, escaped, from the words that print gives."""

from dataclasses import dataclass
from html import escape

import pandas as pd

import clv
from clv.notebook import InNotebook
from clv.probability.fit_report import FitReport


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
        ("customer id is missing: dropped", "−1", "−5.00"),
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
        "<ul><li>log-likelihood −9.500, 20 customers in 10 cells</li>"
        "<li>converged: gradient 1.0e-07, condition 1.6e+02, 3 of 3 starts agree</li></ul></div>"
    )


def test_terms_are_a_sentence():
    assert clv.Terms(0.3, currency="EUR")._repr_html_() == (
        "<div><p><strong>EUR of contribution margin (30%, assumed) over 3 years, "
        "discounted at 10% a year</strong></p></div>"
    )


def test_a_plan_is_a_table_of_its_options_and_what_it_says():
    search = clv.Channel("search & social", clv.Power(k=12, b=0.6), value=60)
    plan = clv.allocate([search], budget=10_000)
    shown = plan._repr_html_()
    assert (
        '<tr><td style="text-align: left">search &amp; social</td>'
        '<td style="text-align: right">3,014</td><td style="text-align: right">10,000</td>'
        '<td style="text-align: right">180,856</td><td style="text-align: right">170,856</td></tr>'
    ) in shown
    assert shown.startswith("<div><p><strong>The next 1,000 of budget would bring about ")
    assert f"<li>{plan.notes[-1]!s}</li></ul></div>" in shown


def test_a_campaign_shows_its_summary():
    scores = pd.DataFrame(
        {"customer_id": ["a", "b"], "churn_probability": [0.9, 0.5], "value_at_stake": [20.0, 9.0]}
    )
    plan = clv.plan_campaign(scores, clv.Offer(contact_cost=2), budget=5, control_share=0)
    first, *others = str(plan.summary).splitlines()
    points = "".join(f"<li>{escape(line)}</li>" for line in others)
    shown = f"<div><p><strong>{escape(first)}</strong></p><ul>{points}</ul></div>"
    assert plan._repr_html_() == plan.summary._repr_html_() == shown
    assert first.startswith("1 customer to contact")
