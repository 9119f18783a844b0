"""Tables of leads as CRM systems export them; what cannot be read is named, never a traceback."""

import os

import numpy as np
import pandas as pd
import pytest

import clv
from clv.errors import ClvError

HUBSPOT = {
    "Record ID": "lead_id", "Create Date": "created", "Original Traffic Source": "channel",
    "Became a Marketing Qualified Lead Date": "qualified_at", "Became an Opportunity Date":
    "proposal_at", "Became a Customer Date": "won_at",
}  # fmt: skip
PIPEDRIVE = {
    "Deal - ID": "lead_id", "Deal - Deal created": "created", "Deal - Source channel": "channel",
    "Deal - Won time": "won_at", "Deal - Lost time": "lost_at", "Deal - Value": "value",
}  # fmt: skip
SALESFORCE = {
    "Lead ID": "lead_id", "Create Date": "created", "Lead Source": "channel",
    "Converted Date": "won_at",
}  # fmt: skip


@pytest.fixture(scope="module")
def made():
    return clv.simulate_leads(seed=2, leads=400)


@pytest.mark.parametrize(
    "names", [HUBSPOT, PIPEDRIVE, SALESFORCE], ids=("hubspot", "pipedrive", "sf")
)
def test_exports_are_recognised(made, names):
    export = made.leads[list(names.values())].set_axis(list(names), axis=1)
    table = clv.read_leads(export)
    assert table.won.sum() == made.leads["won_at"].notna().sum()
    assert sorted(table.leads["channel"].unique()) == sorted(made.leads["channel"].unique())
    assert len(table.stages) == (4 if names is HUBSPOT else 2)


def test_a_history_of_stages_by_salesforce_is_recognised(made):
    rows = made.changes.assign(
        stage=made.changes["stage"].replace({"won": "Closed Won", "lost": "Closed Lost"})
    )
    names = {"lead_id": "OpportunityId", "stage": "StageName", "at": "CreatedDate"}
    table = clv.read_leads(rows[list(names)].rename(columns=names))
    assert table.won.sum() == made.leads["won_at"].notna().sum()
    assert table.stages == ("lead", "qualified", "proposal", "won")


def test_a_snapshot_of_statuses_counts_stages_but_compares_none(made):
    won = made.leads["won_at"].notna()
    rows = pd.DataFrame(
        {
            "Opportunity ID": made.leads["lead_id"],
            "Created Date": made.leads["created"],
            "Close Date": made.leads["won_at"].fillna(made.leads["created"]),
            "Stage": np.where(won, "Closed Won", np.where(made.leads["proposal_at"].notna(),
                              "Proposal", "Qualified")),
        }
    )  # fmt: skip
    funnel = clv.lead_funnel(rows)
    assert [s.stage for s in funnel.stages] == ["lead", "Qualified", "Proposal", "won"]
    assert funnel.stages[2].converted is None
    assert funnel.leads.won.sum() == won.sum()


CASES = {
    "won before it came": ({"won_at": "2020-01-01"}, "reaches a stage before the lead came"),
    "no id": ({"lead_id": None}, "lead id is missing"),
    "no day": ({"created": None}, "the day when the lead came is missing"),
    "text for a day": ({"created": "soon"}, "a day cannot be read as a date"),
    "day of a missing one": ({"created": "1970-01-01"}, "a day before 1971"),
    "negative cost": ({"cost": "-5"}, "cost is negative"),
}


@pytest.mark.parametrize("case", CASES)
def test_rows_that_cannot_be_used_are_counted_and_too_many_stop(made, case):
    change, reason = CASES[case]
    rows = made.leads.astype(dict.fromkeys(change, object))
    few = rows.copy()
    few.loc[:9, list(change)] = next(iter(change.values()))
    table = clv.read_leads(few.astype(str).replace({"NaT": None, "nan": None, "None": None}))
    (part,) = [part for part in table.left_out if part.reason.startswith(reason)]
    assert part.rows == 10
    assert part.examples
    rows[list(change)] = next(iter(change.values()))
    if case != "won before it came":
        with pytest.raises(ClvError):
            clv.read_leads(rows.astype(str).replace({"NaT": None, "nan": None, "None": None}))


def test_a_lead_twice_is_counted(made):
    table = clv.read_leads(pd.concat([made.leads, made.leads.head(7)]))
    assert [(p.reason, p.rows) for p in table.left_out] == [
        ("the lead stands on an earlier row already", 7)
    ]


LEAD = {"lead_id": ["a"], "created": ["2024-01-31"]}
NO_TABLES = [
    ({"x": [1]}, "no column names the lead"),
    ({"lead_id": ["a"], "channel": ["b"]}, "no column says when a lead came"),
    ({**LEAD, "stage": ["New"]}, "nothing says that a lead"),
    ({**LEAD, "stage": ["Won"]}, "won, and nothing says when"),
]


@pytest.mark.parametrize(("rows", "words"), NO_TABLES)
def test_what_is_no_such_table_says_so(rows, words):
    with pytest.raises(ClvError, match=words):
        clv.read_leads(pd.DataFrame(rows))


CELLS = (
    *("", None, "x", "-1", "1e400", "2024-13-45", "31/02/2024", "1970-01-01", "9999-12-31", "NaN"),
    *("inf", "Won", "lost", "🦄", "0", "=1+1", "2024-05-05T10:00:00+02:00", "5.5.24", "a" * 500),
    *("1,234.5", "1.234,5", "\x00", "true"),
)


def _bad_table(made, seed):
    """A table of leads with cells, columns and rows damaged at random."""
    rng = np.random.default_rng(seed)
    base = made.leads if rng.random() < 0.6 else made.changes
    rows = base.head(int(rng.integers(0, 60))).astype(object)
    if rng.random() < 0.7:
        rows = rows.astype(str).replace({"NaT": None, "nan": None, "None": None})
    for _ in range(int(rng.integers(1, 40))):
        if len(rows):
            row, column = rng.integers(len(rows)), rng.integers(rows.shape[1])
            rows.iat[row, column] = CELLS[rng.integers(len(CELLS))]
    for name in list(rows.columns):
        if rng.random() < 0.12:
            rows = rows.drop(columns=name)
    if rng.random() < 0.1 and rows.shape[1]:
        rows = rows.rename(columns={rows.columns[0]: rows.columns[-1]})
    if rng.random() < 0.1:
        rows = pd.concat([rows, rows])
    if rng.random() < 0.1:
        rows[rows.columns[:1]] = CELLS[rng.integers(len(CELLS))]
    return rows


@pytest.mark.parametrize("block", range(int(os.environ.get("CLV_FAULTS", "30")) // 10))
def test_bad_tables_end_in_figures_or_in_words(made, tmp_path, block):
    for seed in range(10 * block, 10 * block + 10):
        rows = _bad_table(made, seed)
        try:
            if seed % 2 and rows.shape[1]:
                rows.to_csv(tmp_path / "leads.csv", index=False)
                funnel = clv.lead_funnel(tmp_path / "leads.csv", value=100.0)
            else:
                funnel = clv.lead_funnel(rows, value=100.0)
        except ClvError:
            continue
        assert funnel.to_dict()["leads"] >= 1, seed
