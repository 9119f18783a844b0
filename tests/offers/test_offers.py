"""Offers against known truth, exact reasons, and the figures on the shipped lines."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from scipy import sparse

import clv
from clv.errors import InputError
from clv.offers import candidates, ease
from clv.offers.candidates import blocks, top_of_rows
from clv.offers.ease import Ease, fit_ease
from clv.offers.largest import largest_of_rows
from clv.offers.order_lines import EPOCH
from clv.offers.ranking import NextOffers, next_best_offers
from clv.offers.terms_of_offers import NextOfferTerms

SHIPPED = Path(__file__).parents[2] / "data" / "online_retail_lines.parquet"
HORIZON = "8 weeks"


@pytest.fixture(scope="module")
def simulated():
    return clv.simulate_order_lines(3, customers=1_500, items=160)


@pytest.fixture(scope="module")
def order_lines(simulated):
    return clv.read_order_lines(simulated.lines)


@pytest.fixture(scope="module")
def offers(order_lines) -> NextOffers:
    terms = NextOfferTerms(horizon=HORIZON, top=5, contact_cost=0.01, incremental_share=0.2)
    exclude, stocked = ["p00000"], [f"p{n:05d}" for n in range(150)]
    return next_best_offers(order_lines, terms, exclude_items=exclude, in_stock=stocked)


def test_columns_and_ranks(offers):
    table = offers.table.to_pandas()
    assert list(table.columns[:9]) == [
        *("customer_id", "rank", "item", "kind", "chance", "spend", "margin", "value", "because")
    ]
    by_customer = table.groupby("customer_id")
    assert by_customer["rank"].apply(lambda r: r.tolist() == list(range(1, len(r) + 1))).all()
    assert by_customer["value"].apply(lambda v: v.is_monotonic_decreasing).all()
    assert table["rank"].max() == 5
    assert set(table["kind"]) == {"reminder", "new", "upsell"}
    assert not table.duplicated(["customer_id", "item"]).any()
    assert table["due"].notna().equals(table["kind"] == "reminder")


def test_value_is_chance_times_margin_times_spend_less_cost(offers):
    table = offers.table.to_pandas()
    worth = table["chance"] * table["margin"] * table["spend"]
    np.testing.assert_allclose(table["value"], worth - 0.01)
    np.testing.assert_allclose(table["break_even"] * worth, 0.01)
    np.testing.assert_allclose(table["increment"], 0.2 * table["chance"])
    assert (table["value"] > 0).all()


def test_items_left_out_are_counted_and_never_offered(offers):
    items = set(offers.table["item"].to_pylist())
    assert not items & {"p00000", *(f"p{n:05d}" for n in range(150, 160))}
    assert offers.items_out["on the list of exclusions"] == 1
    assert offers.items_out["not in stock"] == 10
    assert offers.items_out["loses money"] >= 1
    losing = offers.model.spending.losing
    assert not items & set(offers.order_lines.items["item"][losing])


def test_reasons_sum_to_the_score(offers):
    new = pc.field("kind") != "reminder"
    rows = offers.table.filter(new).slice(0, 50).to_pylist()
    history, fitted = offers.model.history, offers.model.ease
    items = offers.order_lines.items["item"].tolist()
    for row in rows:
        customer = np.flatnonzero(offers.order_lines.customers == row["customer_id"])
        score = fitted.scores(history.bought()[customer]).toarray()[0, items.index(row["item"])]
        points = offers.contributions(row["customer_id"], row["item"])
        assert points["points"].sum() == pytest.approx(score, rel=1e-5)
        assert row["because"].startswith(f"bought item {points['item'][0]} (")
    with pytest.raises(InputError, match="there is no item 'none'"):
        offers.contributions(rows[0]["customer_id"], "none")


def test_weights_are_the_regression_without_the_item_itself():
    """B_ji is the ridge regression of item i on all others: a second way to the same number."""
    X = (np.random.default_rng(0).random((60, 8)) < 0.4).astype(float)
    weights = fit_ease(sparse.csr_array(X), 2.0).weights.toarray()
    for item in range(8):
        others = np.delete(np.arange(8), item)
        A = X[:, others]
        ridge = np.linalg.solve(A.T @ A + 2.0 * np.eye(7), A.T @ X[:, item])
        np.testing.assert_allclose(weights[others, item], ridge, rtol=1e-5, atol=1e-6)
    assert (weights.diagonal() == 0).all()


def test_in_a_large_catalogue_each_item_has_neighbours_of_its_own(monkeypatch):
    """A ridge regression still, on the others that explain most; on all others it is the same."""
    X = (np.random.default_rng(0).random((80, 12)) < 0.4).astype(float)
    whole = fit_ease(sparse.csr_array(X), 2.0).weights.toarray()
    monkeypatch.setattr(ease, "EXACT", 5)
    monkeypatch.setattr(ease, "BLOCK", 5)
    for neighbours in (4, 11):
        monkeypatch.setattr(ease, "NEIGHBOURS", neighbours)
        weights = fit_ease(sparse.csr_array(X), 2.0).weights.toarray()
        for item in range(12):
            near = np.flatnonzero(weights[:, item])
            A, y = X[:, near], X[:, item]
            ridge = np.linalg.solve(A.T @ A + 2.0 * np.eye(neighbours), A.T @ y)
            np.testing.assert_allclose(weights[near, item], ridge, rtol=1e-4, atol=1e-6)
            alone = (X.T @ y) ** 2 / (X.sum(axis=0) + 2.0)
            others = np.delete(np.arange(12), [*near, item])
            assert item not in near
            assert alone[others].max(initial=0.0) <= alone[near].min()
    np.testing.assert_allclose(weights, whole, rtol=1e-4, atol=1e-6)
    monkeypatch.setattr(ease, "STRONGEST", 3)
    few = fit_ease(sparse.csr_array(X), 2.0).weights.toarray()
    least_left = np.abs(np.where(few, few, np.inf)).min(axis=1, keepdims=True)
    assert (np.count_nonzero(few, axis=1) == 3).all()
    np.testing.assert_array_equal(few, np.where(np.abs(weights) >= least_left, weights, 0.0))
    monkeypatch.undo()
    best = fit_ease(sparse.csr_array(X), 2.0, revenue=np.arange(12.0), most_items=7)
    assert best.items == 7
    assert not best.weights[:5].nnz


def test_upsell_is_dearer_than_usual_in_its_category(offers):
    upsell = offers.table.filter(pc.field("kind") == "upsell").to_pylist()
    times = [float(row["because"].rpartition("; ")[2].split()[0]) for row in upsell]
    assert times
    assert all(1.1 <= t <= 2.0 for t in times)


def test_rules_of_contact_bar_customers(order_lines):
    barred = {"no consent": np.arange(len(order_lines.customers)) < 100}
    terms = NextOfferTerms(horizon=HORIZON, top=1, kinds=("reminder",))
    offers = next_best_offers(order_lines, terms, barred=barred)
    assert offers.customers_out["no consent"] == 100
    assert set(offers.table["kind"].to_pylist()) == {"reminder"}
    assert not set(offers.table["customer_id"].to_pylist()) & set(order_lines.customers[:100])
    everybody = {"no consent": np.ones(len(order_lines.customers), dtype=bool)}
    nobody = next_best_offers(order_lines, terms, barred=everybody)
    assert (nobody.table.num_rows, nobody.to_dict()["customers"]) == (0, 0)


def test_chances_against_the_truth(simulated, order_lines, offers):
    """On the simulated lines the true chance of every pair is known."""
    table = offers.table.to_pandas()
    people = np.sort(table["customer_id"].unique())
    truth = simulated.chance(people, 56)
    item = table["item"].str[1:].astype(int).to_numpy()
    true = truth[np.searchsorted(people, table["customer_id"]), item]
    assert table["chance"].mean() == pytest.approx(true.mean(), rel=0.1)
    model, everything = offers.model, np.ones(len(order_lines.items), dtype=bool)
    places = np.searchsorted(order_lines.customers, people).astype(np.int32)
    pairs, chance, new = model.pairs(places, everything)
    bought = model.history.orders[places].toarray() > 0
    codes = order_lines.items["item"].str[1:].astype(int).to_numpy()
    truth = truth[:, codes]
    scores = np.full(truth.shape, -1.0)
    scores[np.searchsorted(places, pairs.customer[new]), pairs.item[new]] = chance[new]
    popular = np.broadcast_to(model.history.popularity, truth.shape)

    def five(order):
        first = np.argsort(-np.where(bought, -9.0, order), axis=1)[:, :5]
        return np.take_along_axis(truth, first, axis=1).sum()

    share, popularity_share = five(scores) / five(truth), five(popular) / five(truth)
    assert share > 0.85 > 0.5 > popularity_share


def test_popularity_that_is_not_beaten_is_said():
    """Where every customer likes the same, items that go together say nothing."""
    same = clv.simulate_order_lines(5, customers=600, items=60, groups=1)
    lines = clv.read_order_lines(same.lines)
    assert str(clv.offers_backtest(lines, "2023-12-01", HORIZON).verdict) == (
        "New items: not better than popularity."
    )


def test_top_of_rows():
    scores = sparse.csr_array(np.array([[1.0, 3.0, 2.0], [0.0, 5.0, 0.0]]))
    rows, places = top_of_rows(scores, 2)
    assert sorted(zip(rows.tolist(), scores.data[places].tolist(), strict=True)) == [
        (0, 2.0), (0, 3.0), (1, 5.0)
    ]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_largest_are_the_first_of_a_stable_sort(dtype):
    """Among few different values, with rows of minus infinity, as scores have them."""
    rng = np.random.default_rng(0)
    values = rng.choice([-np.inf, 0.0, 1.0, 2.0, 3.0], (300, 40)).astype(dtype)
    values[0] = -np.inf
    for most in (1, 7, 40, 50):
        first = np.argsort(-values, axis=1, kind="stable")[:, :most]
        expected = np.zeros(values.shape, dtype=bool)
        np.put_along_axis(expected, first, True, axis=1)
        np.testing.assert_array_equal(largest_of_rows(values, most), expected)


# section 13 of the notes on science, from the same lines before returns were taken off
PUBLISHED = {
    ("popularity", "all"): 0.122,
    ("popularity", "new"): 0.060,
    ("personal frequency", "all"): 0.374,
    ("EASE", "new"): 0.121,
}


@pytest.mark.slow
def test_the_shipped_lines_give_the_published_figures():
    lines = clv.read_order_lines(SHIPPED)
    assert len(lines.lines.day) == 404_876
    assert {p.reason.partition(" (")[0]: p.rows for p in lines.left_out} == {
        "no product but a fee, postage or a correction": 1_920,
        "no money: given away, or a correction of stock": 33,
    }
    backtest = clv.offers_backtest(lines, "2011-09-01", "91 days")
    for (method, over), recall in PUBLISHED.items():
        assert backtest.of(method, over).recall == pytest.approx(recall, abs=0.005)  # type: ignore[arg-type]
    gain = next(d for d in backtest.differences if (d.better, d.over) == ("by value", "new"))
    assert gain.mean > 2 * gain.se > 0
    assert pq.read_metadata(SHIPPED).num_rows == 406_829
    assert (lines.as_of - EPOCH).days == 15_317


def test_blocks_hold_so_many_scores_though_many_customers_have_none(monkeypatch):
    """Of 3,000 customers 2,000 bought what speaks for nothing, and the rest more and more."""
    monkeypatch.setattr(candidates, "BLOCK", 5_000)
    rng = np.random.default_rng(0)
    weights = np.ones((40, 40)) - np.eye(40)
    weights[0] = 0.0  # the first item speaks for no other
    bought = (rng.random((3_000, 40)) < np.linspace(0.02, 0.6, 3_000)[:, None]).astype(np.float32)
    bought[:2_000] = np.eye(40)[0]

    history = SimpleNamespace(orders=bought, bought=lambda: sparse.csr_array(bought))
    everybody = np.arange(3_000, dtype=np.int32)
    parts = list(blocks(history, Ease(sparse.csr_array(weights), 1.0, 40), everybody))
    assert sorted(np.concatenate(parts).tolist()) == everybody.tolist()
    reached = np.minimum(bought @ (weights > 0).sum(axis=1), 40) + 1
    assert all(len(part) * reached[part].max() <= 5_000 for part in parts)
    assert len(parts) <= 2 * reached.sum() / 5_000  # and not many more than it takes
