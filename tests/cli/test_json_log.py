"""``--log-format json``: one line an event on stderr, whatever happens, and the same exit codes."""

from __future__ import annotations

import json

import pandas as pd
import pytest


def events(shown):
    return [json.loads(line) for line in shown.err.splitlines()]


@pytest.fixture
def orders(tmp_path):
    days = pd.date_range("2024-01-01", periods=60, freq="D")
    log = pd.DataFrame({"customer_id": list("abcdef") * 10, "date": days, "amount": 12.5})
    log.to_csv(tmp_path / "orders.csv", index=False)
    return tmp_path / "orders.csv"


def test_a_command_that_works(run, orders):
    shown = run("check", orders, "--log-format", "json")
    begins, *steps, ends = events(shown)
    assert shown.code == 0
    assert shown.out == ""
    assert (begins["event"], begins["command"]) == ("start", "check")
    assert [step["event"] for step in steps] == ["step", "warning"]
    assert "these are contracts" in steps[1]["message"]  # each pays 12.5 a week
    assert steps[0]["step"] == "reading and cleaning"
    assert ends["event"] == "end"
    assert ends["exit_code"] == 0
    assert 0 <= steps[0]["seconds"] <= ends["seconds"]
    assert ends["peak_mib"] > 10
    assert {line["time"][-6:] for line in (begins, *steps, ends)} == {"+00:00"}


def test_json_that_was_asked_for_stays_on_stdout(run, orders):
    shown = run("--log-format=json", "check", orders, "--json")
    assert json.loads(shown.out)["customers"] == 6
    assert events(shown)[-1]["exit_code"] == 0


def test_orders_that_must_be_fit_to_train_on_end_with_a_code_of_their_own(run, orders):
    shown = run("check", orders, "--require-fit", "--log-format", "json")
    *_, error, end = events(shown)
    assert error["message"].startswith("Not fit to train on: 6 customers came back")
    assert shown.code == end["exit_code"] == 10


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("check", "none.csv"), 3, "there is no file none.csv."),
        (("check", "--frob"), 2, "No such option: --frob"),
        (("frobnicate",), 2, "No such command 'frobnicate'."),
    ],
)
def test_what_went_wrong_is_an_event(run, words, code, says):
    shown = run(*words, "--log-format", "json")
    *_, error, end = events(shown)
    assert shown.code == end["exit_code"] == code
    assert error["event"] == "error"
    assert says in error["message"]
    assert error["hint"]


@pytest.mark.parametrize("words", [("--log-format", "xml"), ("--log-format=",), ("--log-format",)])
def test_another_format_is_refused(run, words):
    shown = run("check", "orders.csv", *words)
    assert shown.code == 2
    assert "is neither text nor json" in shown.err
