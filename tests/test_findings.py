"""Every figure of a finding is written by its kind; no sentence is ever parsed."""

import ast
import datetime as dt
import html
import json
import math
import os
import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from string import Formatter
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import clv
from clv import format as write
from clv.app.plan_view import PlanView
from clv.app.plans import Planned, work_out
from clv.cli.plan_tables import show_plan
from clv.cli.screen import Screen
from clv.decide.budget.channel import Channel
from clv.decide.budget.modes import MinimumCost, TargetCPA, TargetLtvToCac
from clv.decide.budget.response import MichaelisMenten, Power
from clv.errors import InputError, PlanError
from clv.findings import KINDS, Finding, catalogue, finding, template
from clv.locales import in_locale
from clv.report.plan_report import plan_page

ROOT = Path(clv.__file__).parent
SENTENCES = {
    f"{section}.{name}": entry if isinstance(entry, str) else entry["text"]
    for section, entries in catalogue().items()
    for name, entry in entries.items()
}
FOR_THE_PAGE = {
    code: template(code, "page") for code in SENTENCES if template(code, "page") != template(code)
}
# How an amount must look in each currency, without what the sentence says around it.
AMOUNT = {
    "GBP": r"(under )?−?£(\d{1,3}(,\d{3})*(\.\d\d)?|\d(\.\d+)?e\+\d+)",
    "EUR": r"(under )?−?€(\d{1,3}(,\d{3})*(\.\d\d)?|\d(\.\d+)?e\+\d+)",
    "CHF": r"(under )?−?CHF\u00a0(\d{1,3}(,\d{3})*(\.\d\d)?|\d(\.\d+)?e\+\d+)",
}
NUMBER = r"−?(\d{1,3}(,\d{3})*(\.\d+)?|\d(\.\d+)?e\+\d+)"
LOOKS = {
    "share": rf"((under|nearly) )?{NUMBER}%",
    "change": rf"\+?{NUMBER}%",
    "ratio": rf"{NUMBER} : 1",
    "number": NUMBER,
    "difference": rf"\+?{NUMBER}",
    "count": rf"{NUMBER}( [a-z ]+)?",
    "date": r"\d{1,2} [A-Z][a-z]+ \d{4}",
}


def by_its_kind(says: Finding, currency: str) -> None:
    """Each value of a finding is written as its kind is, and nothing else in it is a figure."""
    rest = says.text
    for piece in template(says.code).pieces:
        assert not re.search(r"\d", piece.words), piece.words
        assert rest.lower().startswith(piece.words.lower())
        rest = rest[len(piece.words) :]
        if not piece.name:
            continue
        value = says.values[piece.name]
        written = piece.written(value, currency)
        if isinstance(value, Finding):
            by_its_kind(value.within(currency), currency)
        elif piece.kind == "money":
            assert re.fullmatch(AMOUNT[currency], written), written
        elif piece.kind == "return":
            amount = AMOUNT[currency]
            assert re.fullmatch(f"{amount} for every {amount} spent", written), (written, says)
        elif piece.kind in LOOKS:
            assert re.fullmatch(LOOKS[piece.kind], written), written
        assert rest.lower().startswith(written.lower())
        rest = rest[len(written) :]
    assert rest == ""


amounts = st.floats(1, 1e5)
curves = st.one_of(
    st.builds(Power, st.floats(0.5, 60), st.floats(0.2, 0.9)),
    st.builds(MichaelisMenten, st.floats(50, 2000), st.floats(500, 60_000)),
)
channels = st.builds(
    Channel,
    st.sampled_from(["Top 40", "search", "TV 2", "€5 off", "1,000 leaflets"]),
    curves,
    st.floats(1, 400),
    lo=st.sampled_from([0.0, 0.0, 100.0, 3000.0]),
    hi=st.sampled_from([math.inf, math.inf, 3000.0, 20_000.0]),
    current=st.one_of(st.none(), amounts),
    incrementality=st.sampled_from([1.0, 0.7]),
    horizon=st.just("3 years"),
)
plans = st.fixed_dictionaries(
    {
        "channels": st.lists(channels, min_size=1, max_size=4, unique_by=lambda c: c.name),
        "budget": st.one_of(st.none(), st.floats(50, 200_000)),
        "retention": st.one_of(
            st.none(),
            st.lists(st.tuples(st.floats(1, 50), st.floats(0, 400)), min_size=1, max_size=6).map(
                lambda rows: tuple(map(list, zip(*rows, strict=True)))
            ),
        ),
        "target": st.one_of(
            st.none(),
            st.builds(MinimumCost, st.floats(1, 500)),
            st.builds(TargetCPA, st.floats(2, 60), st.sampled_from(["portfolio", "channel"])),
            st.builds(TargetLtvToCac, st.sampled_from([2.0, 2.75, 3.0, 5.0])),
        ),
        "periods": st.sampled_from([1.0, 13.0]),
    }
)


def everything_said(planned: Planned) -> list[Finding]:
    """All findings that come with a plan."""
    costs = [part for cost in planned.costs for part in (cost.constraint, cost.words)]
    return [*planned.findings, *planned.notes, *costs]


def in_terminal(planned: Planned) -> str:
    """What ``clv allocate`` prints, in lines that are not wrapped."""
    with patch.dict(os.environ, COLUMNS="5000"), redirect_stdout(StringIO()) as out:
        show_plan(Screen(), planned)
    return "\n".join(line.strip(" -") for line in out.getvalue().splitlines())


def in_report(planned: Planned) -> str:
    """What the report says, as text."""
    return html.unescape(re.sub(r"<[^>]+>", "\n", plan_page(planned).html()))


def check_plan(plan: dict, currency: str) -> None:
    try:
        planned = work_out(**plan, currency=currency)
    except PlanError:
        assume(False)
    for says in everything_said(planned):
        assert says.currency == currency
        by_its_kind(says, currency)
    terminal, page, saved = in_terminal(planned), in_report(planned), planned.to_dict()
    for says in (*planned.findings, *planned.notes):
        assert str(says) in terminal
        assert says.code in NOT_IN_REPORT or str(says) in page
    texts = [one["text"] for one in json.loads(json.dumps(saved["findings"]))]
    assert texts == [str(says) for says in planned.findings]
    assert str(PlanView.of(planned.allocation).lead) in terminal.splitlines()[0]


# what the report shows as a chart or a table instead
NOT_IN_REPORT: set[str] = set()
PLANS = int(os.environ.get("CLV_PLANS", "120"))  # 2,000 take two minutes
QUIET = [HealthCheck.too_slow, HealthCheck.filter_too_much]


@given(plans, st.sampled_from(sorted(AMOUNT)))
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=QUIET)
def test_each_figure_of_a_plan_is_written_by_its_kind(plan, currency):
    check_plan(plan, currency)


@pytest.mark.slow
@given(plans, st.sampled_from(sorted(AMOUNT)))
@settings(max_examples=PLANS, deadline=None, suppress_health_check=QUIET)
def test_each_figure_of_many_more_plans_is_written_by_its_kind(plan, currency):
    check_plan(plan, currency)


def test_a_name_with_figures_gets_no_currency():
    says = finding("limit.gets", channel="Top 40", why=finding("limit.nothing", returned=0.5))
    assert str(says.within("GBP")) == (
        "Top 40 gets nothing: even its first money would return only £0.50 for every £1 spent."
    )


def test_a_finding_as_json_and_in_german():
    says = finding("plan.next_budget", step=1000.0, value=8515.4).within("EUR")
    assert says.to_dict() == {
        "code": "plan.next_budget",
        "text": "The next €1,000 of budget would bring about €8,515 of customer value.",
        "basis": None,
        "values": {
            "step": {"kind": "money", "value": 1000.0},
            "value": {"kind": "money", "value": 8515.4},
        },
    }
    with in_locale("de_DE"):
        assert "1.000\u00a0€" in str(says)
        assert "8.515\u00a0€" in str(says)
        assert write.day(dt.date(2011, 12, 9), short=True) == "09.12.2011"
        assert write.month("2011-03") == "März 2011"
        assert write.days(1000) == "33 months"  # words stay English
        assert write.count(16563) == "16.563"
        assert write.change(-0.041) == "−4,1\u00a0%"
        assert write.short_money(2_500_000, "EUR") == "2,5\u00a0Mio.\u00a0€"


def test_a_locale_that_is_none_is_an_error_with_a_hint(monkeypatch):
    monkeypatch.setenv("CLV_LOCALE", "xx_NOWHERE")
    with pytest.raises(InputError, match="'xx_NOWHERE' is no locale") as error:
        write.money(1)
    assert "CLV_LOCALE" in str(error.value.hint)


def test_every_sentence_has_kinds_and_no_figure_of_its_own():
    for code, sentence in SENTENCES.items():
        for words, name, kind, _ in Formatter().parse(sentence):
            assert not re.search(r"\d", words), f"a figure stands in the words of {code}: {words}"
            if name is not None:
                of_kind = (kind or "").split(" ")[0] in {*KINDS, "count"}
                assert of_kind, f"{code}: {name} is a {kind}"
        assert template(code).basis in ("", "measured", "estimated", "assumed"), code


def test_words_for_the_page_hold_no_command_and_no_other_values():
    for code, words_of_page in FOR_THE_PAGE.items():
        pieces, names = words_of_page.pieces, {p.name for p in template(code).pieces}
        assert {p.name for p in pieces} <= names, code
        words = "".join(p.words for p in pieces)
        assert not re.search(r"\d|--|clv | = |champion|challenger|holdout", words), words


def strings_of(file: Path) -> set[str]:
    """All strings of a module, and the parts of those with holes."""
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def put_together(name: str, parts: set[str]) -> bool:
    """Whether parts make up a name, joined by an underscore or by nothing."""
    return not name or any(
        put_together(name.removeprefix(part).removeprefix("_"), parts)
        for part in parts
        if part and name.startswith(part)
    )


def test_every_sentence_is_said_somewhere_and_every_code_has_one():
    files = [f for f in ROOT.rglob("*.py") if "finding(" in f.read_text(encoding="utf-8")]
    strings = set[str]().union(*map(strings_of, files))
    sections = {s.partition(".")[0] for s in strings if re.fullmatch(r"[a-z_]+\.([a-z_]+)?", s)}
    words = {s.rpartition(".")[2].strip("_") for s in strings if re.fullmatch(r"[a-z_.]+", s)}
    for code in SENTENCES:
        section, _, name = code.partition(".")
        parts = section in sections and put_together(name, words)
        assert code in strings or parts, f"nothing says {code}"
    for code in strings:
        if re.fullmatch(r"[a-z_]+\.[a-z_]*[a-z]", code) and code.partition(".")[0] in catalogue():
            assert code in SENTENCES or any(known.startswith(code) for known in SENTENCES), code


def test_no_sentence_is_parsed():
    """No module that holds findings matches patterns in text, or asks how a sentence begins."""
    for file in ROOT.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        if "clv.findings" not in text and "findings" not in text:
            continue
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            target = ast.unparse(node.func.value)
            method = node.func.attr
            about_text = re.search(r"\b(finding|findings|note|notes|says)\b|\.text$", target)
            parses = method in {
                "startswith",
                "endswith",
                "split",
                "partition",
                "removeprefix",
                "removesuffix",
                "replace",
                "find",
                "index",
                "match",
                "search",
            }
            assert not (about_text and parses), f"{file.name}: {ast.unparse(node)}"
            if target == "re" and method in {"search", "match", "fullmatch", "sub", "findall"}:
                arguments = " ".join(map(ast.unparse, node.args))
                assert not re.search(r"\b(finding|findings|note|notes|says)\b", arguments), file


# Figures for machines, or of charts' geometry: nobody reads them as text.
WRITES_FIGURES = {
    "clv/format.py": "the one place",
    "clv/report/charts/marks.py": "places in a drawing",
    "clv/report/charts/svg.py": "places in a drawing",
    "clv/app/budget_plan.py": "the value of a field of a form",
    "clv/app/plans.py": "the key of a plan beside others",
    "clv/evaluate/backtest/rolling.py": "the name of a column",
    "clv/simulate/simulated_subscriptions.py": "ids of made-up subscriptions",
    "clv/probability/covariance.py": "the direction in which a likelihood is flat",
    "clv/errors.py": "an error must not need Babel",
    "clv/defaults.py": "a name made when the package is imported, in no locale",
}


def test_no_figure_is_formatted_by_hand():
    """Thousands, shares and places behind a point are written by ``format.py``, by locale."""
    by_hand = re.compile(r"[+z]?,?(\.\d+)?[%f]|,(\.\d+g)?|[+]?,\.\d+[fg]")
    for file in sorted(ROOT.rglob("*.py")):
        place = str(file.relative_to(ROOT.parent))
        if place in WRITES_FIGURES:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FormattedValue) and node.format_spec is not None:
                spec = ast.unparse(node.format_spec)[2:-1]
                assert not by_hand.fullmatch(spec), f"{file}:{node.lineno}: {ast.unparse(node)}"
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found = re.search(r"\{\w*:([^{}]+)\}", node.value)
                assert not (found and by_hand.fullmatch(found[1])), f"{file}:{node.lineno}"
