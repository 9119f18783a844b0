"""The command line as its user meets it: results, exit codes, stderr, files."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import clv
from clv.app.plan_files.plan_file import Plan
from clv.cli.allocate import PLAN as PLAN_IN_HELP
from clv.cli.main import main
from clv.data.cdnow import END_OF_CALIBRATION, cdnow_log
from clv.data.summary import summarize
from clv.data.transactions import clean
from clv.decide.retention.offer import Offer
from clv.decide.retention.plan import retention_targets
from clv.errors import ClvError
from clv.periods import Duration
from clv.scorer import CustomerScorer
from clv.value.value import Terms

COMMANDS = (
    "init", "check", "fold", "score", "sql", "simulate", "targets", "allocate", "channels",
    "serve", "publish", "rollback", "export", "monitor", "train", "backtest", "promote", "report",
)  # fmt: skip
AS_OF = str(END_OF_CALIBRATION)

# Science 8, cases A2: s = 22307.9315, 7692.0685, 0; mu = 7.87227082
PLAN = """
budget = 30000
currency = "EUR"
horizon = "3 years"
[[channels]]
name = "search"
value = 60
response = { curve = "power", k = 12, b = 0.6 }
[[channels]]
name = "social"
value = 80
response = { curve = "power", k = 30, b = 0.45 }
[[channels]]
name = "video"
value = 100
response = { curve = "michaelis-menten", V = 900, K = 20000 }
"""


@pytest.fixture(scope="module")
def scorer(published_scorer) -> CustomerScorer:
    """The published CDNOW parameters."""
    return published_scorer(Terms(0.3, 0.15, Duration(3, "year"), "USD"), AS_OF)


@pytest.fixture(scope="module")
def home(scorer, tmp_path_factory) -> Path:
    """A folder with a model, a log, its scores, a simulated brand and a plan."""
    folder = tmp_path_factory.mktemp("cli")
    scorer.save(folder / "model")
    raw = cdnow_log(sample=True)[["customer_id", "date", "amount"]]
    raw.to_csv(folder / "log.csv", index=False)
    log, _ = clean(raw, as_of=AS_OF)
    scorer.predict(summarize(log, as_of=AS_OF)).to_parquet(folder / "scores.parquet")
    (folder / "plan.toml").write_text(PLAN)
    with pytest.raises(SystemExit):
        main(["simulate", "--output", str(folder / "brand"), "--customers", "800", "--quiet"])
    return folder


def test_version(run):
    assert run("--version").out == f"clv {clv.__version__}\n"


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)], ids=str)
def test_help_fits_80_columns_and_has_examples(run, command):
    shown = run(*command, "--help")
    assert shown.code == 0
    assert "Examples" in shown.out
    assert max(map(len, shown.out.splitlines())) <= 80


def test_the_help_says_every_exit_code(run):
    shown = run("--help").said
    errors = [ClvError, *ClvError.__subclasses__()]
    assert {error.exit_code for error in errors} == {1, 3, 4, 5, 6, 7, 8, 9, 10}
    assert all(re.search(rf" {code} +[a-z]", shown) for code in range(11))


def test_the_plan_in_the_help_is_one(run):
    shown = run("allocate", "--help").out
    lines = [line.strip() for line in shown.splitlines()]
    assert [line for line in PLAN_IN_HELP.splitlines() if line not in lines] == []
    plan = Plan.parse(PLAN_IN_HELP)
    assert [channel.name for channel in plan.to_channels()] == ["search", "social"]


def test_help_loads_no_heavy_library():
    heavy = ["mlflow", "matplotlib", "lifetimes", "sklearn", "pandas", "numpy", "duckdb", "fastapi"]
    code = f"import sys, clv.cli.main; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_check_accounts_for_every_row(run, home):
    check = run("check", home / "log.csv", "--json").json
    report = check["cleaning"]
    assert check["rows_in"] == report["rows_in"] == len(pd.read_csv(home / "log.csv"))
    assert report["rows_in"] - sum(f["rows_out"] for f in report["findings"]) == report["rows_out"]
    shown = run("check", home / "log.csv")
    assert f"{check['purchases']:,} purchases of {check['customers']:,} customers" in shown.out
    assert max(map(len, shown.out.splitlines())) <= 80 or "Next:" in shown.out


def test_contracts_are_no_orders_to_train_on(run, tmp_path):
    (tmp_path / "subscriptions.csv").write_text(
        "subscription_id,customer_id,status,currency_code,started_at,canceled_at,price_id,"
        "unit_price,quantity,billing_cycle_interval,billing_cycle_frequency\n"
        "s1,a,canceled,USD,2024-01-05,2024-03-05,p,10,1,month,1\n"
        "s2,b,active,USD,2024-01-09,,p,10,1,month,1\n"
    )
    assert run("check", tmp_path / "subscriptions.csv").code == 0
    required = run("check", tmp_path / "subscriptions.csv", "--require-fit")
    assert required.code == 10
    assert "it is a table of contracts, and clv train learns from orders" in " ".join(
        required.err.split()
    )


def test_columns_and_dates_are_read_as_said(run, tmp_path):
    (tmp_path / "log.csv").write_text("Wer;Wann;Wieviel;x\n007;31.01.2024;5.50;1\n")
    mapped = ("-c", "customer_id=Wer", "-c", "date=Wann", "-c", "amount=Wieviel")
    for more in ((), ("--date-format", "%d.%m.%Y")):
        check = run("check", tmp_path / "log.csv", *mapped, *more, "--json").json
        assert (check["purchases"], check["first_day"], check["amount"]) == (1, "2024-01-31", 5.5)
    following = run("check", tmp_path / "log.csv", *mapped).out.splitlines()[-1]
    assert following == f"Next: clv init {tmp_path / 'log.csv'}"
    unmapped = run("check", tmp_path / "log.csv")
    assert unmapped.code == 3
    assert "Which column names the customer?" in unmapped.err


def test_orders_of_the_future_stop_the_run_unless_a_last_day_is_given(run, tmp_path):
    (tmp_path / "log.csv").write_text("customer_id,date,amount\n1,2024-01-01,5\n1,2924-01-01,5\n")
    stopped = run("check", tmp_path / "log.csv", "--json")
    assert stopped.code == 3
    check = json.loads(stopped.out)
    assert check["purchases"] is None
    assert "1 row is dated after today" in check["questions"][0]["text"]
    stated = run("check", tmp_path / "log.csv", "--as-of", "2024-12-31", "--json")
    assert (stated.err, stated.json["last_day"]) == ("", "2024-01-01")


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_scores_are_those_of_the_scorer(run, home, scorer, tmp_path, kind):
    output = tmp_path / f"scores.{kind}"
    words = ("score", home / "log.csv", "--model", home / "model", "--as-of", AS_OF)
    shown = run(*words, "--output", output)
    assert shown.code == 0, shown.err
    read = pd.read_parquet if kind == "parquet" else pd.read_csv
    written = read(output).assign(customer_id=lambda t: t["customer_id"].astype(int))
    direct = pd.read_parquet(home / "scores.parquet").set_index("customer_id")
    assert len(written) == len(direct) > 2000
    same = direct.loc[written["customer_id"], "clv"]
    np.testing.assert_allclose(written["clv"], same, rtol=1e-12)
    assert set(written["model_version"]) == {scorer.version}
    assert f"{direct['clv'].sum():,.0f} in all" in shown.out
    assert "USD of contribution margin (30%, assumed) over 3 years" in " ".join(shown.out.split())
    assert scorer.version in shown.out
    top = direct["clv"].nlargest(int(np.ceil(len(direct) / 10))).sum() / direct["clv"].sum()
    assert f"best 10% hold            {top:.0%}" in shown.out


def test_targets_are_those_of_the_decision_room(run, home, tmp_path):
    output = tmp_path / "targets.csv"
    words = ("targets", home / "scores.parquet", "--budget", 300, "--contact-cost", 1)
    offer = ("--incentive", 2, "--save-rate", "0.1:0.4", "--seed", 3)
    found = run(*words, *offer, "--output", output, "--json").json
    scores = pd.read_parquet(home / "scores.parquet")
    campaign = retention_targets(scores, Offer(1, 2, (0.1, 0.4)), 300, seed=3)
    written = pd.read_csv(output)
    assert written["customer_id"].tolist() == campaign.table["customer_id"].tolist()
    assert written["group"].tolist() == campaign.table["group"].tolist()
    assert found["summary"]["expected_profit"] == pytest.approx(campaign.summary.expected_profit)
    assert [row["rank"] for row in found["targets"]] == list(range(1, 11))
    shown = run(*words, *offer).said
    assert "the offer saves, the save rate, is assumed: 25%." in shown
    assert "held out as a control group" in shown
    measured = run(*words, "--save-rate", 0.2, "--measured").said
    assert "the offer saves, the save rate, is measured: 20%." in measured


def test_allocation_of_science_case_a2(run, home, tmp_path):
    best = run("allocate", home / "plan.toml", "--json").json
    spend = [best["spend"][name] for name in ("search", "social", "video")]
    np.testing.assert_allclose(spend, [22307.9315, 7692.0685, 0], atol=1e-3)
    assert best["currency"] == "EUR"
    shown = run("allocate", home / "plan.toml", "--output", tmp_path / "plan.csv")
    assert "22,308" in shown.out
    assert "The next €1,000 of budget would bring about €7,872 of customer value." in shown.said
    table = pd.read_csv(tmp_path / "plan.csv").set_index("option")
    assert table.loc["search", "marginal_cac"] == pytest.approx(7.6217, abs=1e-4)


def test_channels_cost_and_worth(run, home):
    spend = pd.read_csv(home / "brand" / "spend.csv")
    sums = spend.groupby("channel")[["spend", "fixed_cost", "new_customers"]].sum()
    cac = (sums["spend"] + sums["fixed_cost"]) / sums["new_customers"]
    costs = run("channels", home / "brand" / "spend.csv", "--json").json
    found = {row["channel"]: row["cac"] for row in costs["channels"]}
    assert found["search"] == pytest.approx(cac["search"])
    assert found["organic"] is None
    assert "new_customer_value" not in costs["channels"][0]
    log, model = home / "brand" / "orders.csv", home / "model"
    worth = run("channels", home / "brand" / "spend.csv", "--log", log, "--model", model, "--json")
    for row in worth.json["channels"]:
        if row["cac"]:
            assert row["ltv_to_cac"] == pytest.approx(row["new_customer_value"] / row["cac"])
        assert row["horizon"] == "3 years"
    shown = run("channels", home / "brand" / "spend.csv", "--log", log, "--model", model)
    assert "LTV is the value of a NEW customer, in USD" in shown.out


def test_simulated_brand_says_so_and_is_reproducible(run, home, tmp_path):
    again = tmp_path / "again"
    shown = run("simulate", "--output", again, "--customers", 800)
    assert "simulated" in shown.out
    for name in ("orders.csv", "spend.csv", "campaign.csv", "truth.json"):
        assert (again / name).read_bytes() == (home / "brand" / name).read_bytes()
    truth = json.loads((again / "truth.json").read_text())
    assert "no real person" in truth["simulated"]
    orders = pd.read_csv(again / "orders.csv")
    assert orders["date"].max() <= truth["as_of"]
    assert orders["margin"].sum() / orders["amount"].sum() == pytest.approx(0.35, abs=1e-3)
    (again / "mine.txt").write_text("")
    assert run("simulate", "--output", again).code == 3


FAILURES = [
    (3, "there is no file", ("check", "nowhere.csv")),
    (3, "no column 'x'", ("check", "log.csv", "-c", "customer_id=x")),
    (3, "not a date", ("check", "log.csv", "--as-of", "soon")),
    (3, "is the file that is read", ("score", "log.csv", "-o", "log.csv", "--model", "model")),
    (3, "which kind of file", ("score", "log.csv", "-o", "x.xlsx", "--model", "model")),
    (6, "holds no scorer.json", ("score", "log.csv", "-o", "x.csv", "--model", "brand")),
    (3, "no column churn", ("targets", "log.csv", "--contact-cost", "1")),
    (3, "contact_cost is -1", ("targets", "scores.parquet", "--contact-cost", "-1")),
    (3, "control_share", ("targets", "scores.parquet", "--contact-cost", "1",
                          "--control-share", "2")),
    (3, "there is no plan", ("allocate", "nowhere.toml")),
    (3, "did you mean 'budget'", ("allocate", "typo.toml")),
    (5, "lower bounds add up", ("allocate", "infeasible.toml")),
    (3, "no column", ("channels", "log.csv")),
    (2, "OURS=THEIRS", ("check", "log.csv", "-c", "customer_id")),
    (2, "contact-cost", ("targets", "scores.parquet")),
    (2, "range 0.1:0.4", ("targets", "scores.parquet", "--contact-cost", "1",
                          "--save-rate", "x")),
    (2, "No such command", ("frobnicate",)),
    (3, "Hint: give it as --config typo.toml.", ("check", "typo.toml")),
    (3, "Hint: give the table itself", ("score", "typo.toml", "-o", "x.csv", "--model", "model")),
    (3, "typo.toml holds settings, and no table", ("targets", "typo.toml", "--contact-cost", "1")),
    (2, "'1,50' is not a number: write 1234.50", ("targets", "scores.parquet", "--contact-cost",
                                                  "1,50")),
    (2, "'--level': 'much' is not a number: write 0.3 or 30%.", ("measure-test", "log.csv",
                                                              "--level", "much")),
]  # fmt: skip


@pytest.mark.parametrize(("code", "said", "words"), FAILURES, ids=lambda case: str(case))
def test_failures_have_an_exit_code_and_say_what_to_try(
    run, home, monkeypatch, tmp_path, code, said, words
):
    monkeypatch.chdir(home)
    (home / "typo.toml").write_text(PLAN.replace("budget", "bugdet"))
    (home / "infeasible.toml").write_text(PLAN.replace("value = 60", "value = 60\nlo = 40000"))
    before = (home / "log.csv").read_bytes()
    ended = run(*words)
    assert ended.code == code
    assert said in " ".join(ended.err.split())
    assert ended.out == ""
    assert (home / "log.csv").read_bytes() == before
    assert code == 2 or "Hint:" in ended.err or said == "control_share"


def test_flags_may_stand_anywhere_and_quiet_is_quiet(run, home, tmp_path):
    words = ("targets", home / "scores.parquet", "--contact-cost", 1, "-o", tmp_path / "t.csv")
    for ended in (run("--quiet", *words), run(*words, "--quiet")):
        assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert (tmp_path / "t.csv").exists()
    assert run(*words, "--quiet", "--json").json["summary"]["audience"] > 0


def test_unexpected_faults_are_one_line_unless_debugged(home, capsys, monkeypatch):
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr("clv.intake.check.clean", fail)
    for words, shown in ((["check"], False), (["check", "--debug"], True)):
        with pytest.raises(SystemExit) as ended:
            main([*words, str(home / "log.csv")])
        err = capsys.readouterr().err
        assert ended.value.code == 1
        assert "ZeroDivisionError: by nothing" in err
        assert ("Traceback" in err) is shown


@pytest.mark.slow
def test_serve_answers_on_loopback_until_it_is_stopped(home):
    words = ("serve", "--model", "model", "--scores", "scores.parquet", "--port", "0")
    process = subprocess.Popen(
        [sys.executable, "-m", "clv", *words],
        cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1", "COLUMNS": "200"},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split(" on ")[1].split()[0]
        assert address.startswith("http://127.0.0.1:")
        answer = _get(f"{address}/v1/customers/1")
        assert answer["customer"]["customer_id"] == 1
        port = address.rsplit(":", 1)[1]
        taken = subprocess.run(
            [sys.executable, "-m", "clv", "serve", "--model", "model", "--port", port],
            cwd=home, capture_output=True, text=True,
        )  # fmt: skip
        assert taken.returncode == 3
        assert "cannot listen" in taken.stderr
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert "GET /v1/customers/{customer_id} 200" in err
    assert "Traceback" not in err


def _get(url: str) -> Any:
    for _ in range(50):
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                return json.load(response)
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"no answer from {url}")
