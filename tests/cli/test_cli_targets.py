"""``clv targets`` with several offers, rules, and a finished campaign to learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import clv
from clv.app.plan_files.offers_file import OffersPlan
from clv.app.registry import load_uplift
from clv.cli.targets import OFFERS
from clv.decide.retention.eligibility import Rules
from clv.decide.retention.offer import Offer
from clv.decide.retention.plan import plan_campaign
from clv.errors import InputError, ModelError
from clv.uplift import UpliftModel, fit_uplift

OFFERS_FILE = """
[[offers]]
name = "letter"
contact_cost = 1
incentive = 3
save_rate = [0.1, 0.3]
[[offers]]
name = "call"
contact_cost = 6
save_rate = 0.5
capacity = 25
leavers = "gone"
"""
LETTER = Offer(1, 3, (0.1, 0.3), name="letter")
CALL = Offer(6, save_rate=0.5, name="call", capacity=25, leavers="gone")


def scores(seed: int, as_of: str, n: int = 4000) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "customer_id": [f"c{i}" for i in range(n)],
            "days_since_last": rng.integers(0, 180, n),
            "clv": rng.gamma(1, 30, n),
            "probability_alive": rng.beta(2, 2, n),
            "churn_probability": rng.beta(2, 2, n),
            "value_at_stake": rng.gamma(1, 60, n),
            "horizon": "3 years",
            "currency": "EUR",
            "as_of": pd.Timestamp(as_of),
            "model_version": "7",
        }
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Scores of before and of now, offers, and a finished campaign with a known effect."""
    folder = tmp_path_factory.mktemp("targets")
    before = scores(0, "2024-03-31")
    before.to_parquet(folder / "before.parquet")
    scores(1, "2024-09-30").to_parquet(folder / "now.parquet")
    (folder / "offers.toml").write_text(OFFERS_FILE)
    rng = np.random.default_rng(2)
    treated = rng.integers(0, 2, len(before))
    saved = 0.4 * treated * (before["churn_probability"] > 0.5)
    log = pd.DataFrame(
        {
            "customer_id": before["customer_id"],
            "date": "2024-04-01",
            "treated": treated,
            "propensity": 0.5,
            "cost": 2.0 * treated,
            "outcome_margin": 40.0 * (rng.random(len(before)) < 0.1 + saved),
        }
    )
    log.to_csv(folder / "done.csv", index=False)
    two = log.assign(action=np.where(np.arange(len(log)) % 2 == 0, "letter", "call"))
    two.to_csv(folder / "two.csv", index=False)
    return folder


def test_offers_and_rules_are_those_of_the_decision_room(run, home, tmp_path):
    now = pd.read_parquet(home / "now.parquet")
    out = now["customer_id"].head(200).to_frame()
    out.to_csv(tmp_path / "out.csv", index=False)
    contacts = now["customer_id"].tail(300).to_frame().assign(date="2024-09-15")
    contacts.to_csv(tmp_path / "contacts.csv", index=False)
    words = ("targets", home / "now.parquet", "--offers", home / "offers.toml", "--budget", 600)
    rules = ("--exclude", tmp_path / "out.csv", "--contacts", tmp_path / "contacts.csv")
    rules += ("--contact-limit", "1:20", "--bought-within", 14, "--stratify", "value_at_stake")
    files = ("-o", tmp_path / "plan.parquet", "--eligibility", tmp_path / "why.csv")
    found = run(*words, *rules, *files, "--seed", 3, "--json").json
    same = plan_campaign(
        now,
        [LETTER, CALL],
        600,
        rules=Rules(exclude=out, contacts=contacts, contact_days=20, bought_within=14),
        stratify="value_at_stake",
        seed=3,
    )
    written = pd.read_parquet(tmp_path / "plan.parquet")
    for name in ("customer_id", "action", "group"):
        assert written[name].tolist() == same.table[name].tolist()
    assert found["summary"]["expected_profit"] == pytest.approx(same.summary.expected_profit)
    assert found["summary"]["not_contacted"]["contacted within 20 days"] > 0
    assert len(pd.read_csv(tmp_path / "why.csv")) == len(now)
    assert found["summary"]["cost"] <= 600
    shown = run(*words, *rules, "--seed", 3)
    assert "call" in shown.said
    assert (
        "call is full: one more place would earn EUR" in shown.said
        or "call is full: one more place would earn €" in shown.said
    )
    assert "on the list of exclusions (200)" in shown.said


@pytest.mark.usefixtures("store")
def test_a_finished_campaign_is_learned_from_and_kept(run, home, tmp_path):
    words = ("targets", home / "now.parquet", "--campaign-log", home / "done.csv")
    words += ("--campaign-scores", home / "before.parquet", "--budget", 500)
    shown = run(*words, "--save-uplift", tmp_path / "uplift", "--register")
    assert shown.code == 0, shown.failed
    model = fit_uplift(pd.read_csv(home / "done.csv"), pd.read_parquet(home / "before.parquet"))
    kept = UpliftModel.load(tmp_path / "uplift" / "offer.json")
    assert kept.method == model.method
    assert kept.ate == pytest.approx(model.ate)
    assert "A contact earned" in shown.said
    assert "T-learner" in shown.said
    assert "is measured" in shown.said
    assert "Registered: models:/clv-uplift/1" in shown.said
    assert load_uplift("models:/clv-uplift/1").version == kept.version
    again = run(*words, "--register", "--json").json
    assert again["uplift"]["offer"]["uri"] == "models:/clv-uplift/2"
    assert again["summary"]["save_rate_source"] == "measured"
    done, before = pd.read_csv(home / "done.csv"), pd.read_parquet(home / "before.parquet")
    roi = clv.campaign_roi(clv.measure_test(done, before))
    assert again["uplift"]["offer"]["roi"]["roi"] == pytest.approx(roi.roi)
    assert roi.interval[0] < roi.roi < roi.reported
    assert "What the campaign earned" in shown.said
    now = pd.read_parquet(home / "now.parquet")
    gain = kept.predict(now).set_index("customer_id")["expected_gain"]
    for row in again["targets"]:
        if row["group"] == "treat":
            assert row["expected_gain"] == pytest.approx(gain[row["customer_id"]])
    with pytest.raises(ModelError, match="no uplift model"):
        load_uplift("models:/clv-uplift/9")


def test_what_two_arms_taught_replaces_what_was_assumed(run, home, tmp_path):
    words = ("targets", home / "now.parquet", "--offers", home / "offers.toml")
    learn = ("--campaign-log", home / "two.csv", "--campaign-scores", home / "before.parquet")
    done = run(*words, *learn, "--save-uplift", tmp_path / "models", "--json").json
    sources = {o["name"]: (o["save_rate_source"], o["capacity"]) for o in done["summary"]["offers"]}
    assert sources == {"letter": ("measured", None), "call": ("measured", 25)}
    kept = tmp_path / "kept.toml"
    kept.write_text(
        '[[offers]]\nname = "letter"\nuplift = "models/letter.json"\n'
        '[[offers]]\nname = "call"\nuplift = "models/call.json"\ncapacity = 25\n'
    )
    later = run("targets", home / "now.parquet", "--offers", kept, "--json").json
    assert later["summary"]["expected_profit"] == done["summary"]["expected_profit"]


def test_customers_unlike_any_of_the_campaign_are_warned_of(run, home, tmp_path):
    now = pd.read_parquet(home / "now.parquet")
    now.assign(days_since_last=now["days_since_last"] * 3).to_parquet(tmp_path / "far.parquet")
    learn = ("--campaign-log", home / "done.csv", "--campaign-scores", home / "before.parquet")
    said = run("targets", tmp_path / "far.parquet", *learn).failed
    assert "unlike any whom the campaign tried: days_since_last was 0 to 179" in said
    assert run("targets", home / "now.parquet", *learn).failed == ""


FAILURES = [
    (2, "say what a contact costs", ("now.parquet",)),
    (2, "the costs are in the offers", ("now.parquet", "--contact-cost", 1,
                                        "--offers", "offers.toml")),
    (2, "the other offers have their own", ("now.parquet", "--offers", "offers.toml",
                                            "--incentive", 2)),
    (2, "goes with --campaign-log", ("now.parquet", "--contact-cost", 1, "--gain", "clv")),
    (2, "needs --contacts", ("now.parquet", "--contact-cost", 1, "--contact-limit", "2:30")),
    (2, "such as 2:30", ("now.parquet", "--contact-cost", 1, "--contacts", "done.csv",
                         "--contact-limit", "2")),
    (3, "--campaign-scores before.parquet", ("now.parquet", "--campaign-log", "done.csv")),
    (3, "they saw its effect", ("now.parquet", "--campaign-log", "done.csv",
                                "--campaign-scores", "now.parquet")),
    (3, "not who the customers were", ("now.parquet", "--campaign-log", "two.csv")),
    (3, "saw its effect", ("now.parquet", "--contact-cost", 1, "--date", "2024-09-30")),
    (3, "there is no file of offers", ("now.parquet", "--offers", "nowhere.toml")),
    (3, "is the file that is read", ("now.parquet", "--contact-cost", 1,
                                     "--eligibility", "now.parquet")),
]  # fmt: skip


@pytest.mark.parametrize(("code", "said", "words"), FAILURES, ids=lambda case: str(case))
def test_failures_say_what_to_try(run, home, monkeypatch, code, said, words):
    monkeypatch.chdir(home)
    ended = run("targets", *words)
    assert (ended.code, ended.said) == (code, "")
    assert said in ended.failed.replace("│ ", "").replace(" │", "")


def test_shares_may_be_typed_as_percentages(run, home):
    words = ("targets", home / "now.parquet", "--contact-cost", 1, "--json")
    typed = run(*words, "--save-rate", "10%:30%", "--control-share", "25%").json
    assert typed == run(*words, "--save-rate", "0.1:0.3", "--control-share", 0.25).json


def test_next_offers_stand_in_one_plan_with_keeping(run, home, tmp_path):
    offers = pd.DataFrame({"customer_id": [f"c{i}" for i in range(0, 4000, 5)], "rank": 1})
    offers = offers.assign(item="tea", kind="new", chance=0.9, spend=200.0, margin=0.5, value=89.0)
    offers.to_parquet(tmp_path / "offers.parquet")
    words = ("targets", home / "now.parquet", "--contact-cost", "1", "--incentive", "3")
    words = (*words, "--budget", "2000", "--next-offers", tmp_path / "offers.parquet")
    out = tmp_path / "joint.parquet"
    ended = run(*words, "--incremental-share", "0.3", "--output", out)
    assert ended.code == 0, ended.failed
    table = pd.read_parquet(out)
    assert set(table["action"]) == {"offer", "new"}
    assert (table["item"].notna() == (table["action"] == "new")).all()
    assert table["customer_id"].is_unique
    assert "which share of the purchases" in " ".join(run(*words).failed.split())
    alone = run("targets", home / "now.parquet", "--contact-cost", "1", "--incremental-share", "1")
    assert alone.code == 2


def test_offers_of_the_help_and_of_json(run):
    shown = run("targets", "--help").said
    assert all(" ".join(line.split()) in shown for line in OFFERS.splitlines())
    assert [offer.name for offer in OffersPlan.parse(OFFERS).offers] == ["letter", "call"]
    as_json = '{"offers": [{"name": "letter", "contact_cost": 1.0, "save_rate": {"a": 2, "b": 8}}]}'
    offer = OffersPlan.parse(as_json, as_json=True).offers[0].build()
    assert offer.mean_save_rate == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[offers]]\nname = "a"\n', "contact_cost, or uplift"),
        ('[[offers]]\nname = "a"\ncontact_cots = 1\n', "did you mean 'contact_cost'"),
        ('[[offers]]\nname = "a"\ncontact_cost = -1\n', "offers.a.contact_cost"),
        ('[[offers]]\nname = "a"\nuplift = "x.json"\nincentive = 1\n', "alone beside uplift"),
        ('[[offers]]\nname = "a"\ncontact_cost = 1\n' * 2, "a name of its own"),
        ("offers = []\n", "offers"),
        ("offers", "no valid TOML"),
    ],
)
def test_mistakes_in_a_file_of_offers_are_named(text, words):
    with pytest.raises(InputError, match=words):
        OffersPlan.parse(text)
