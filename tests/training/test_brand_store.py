"""The demo's store: nothing on its pages is empty."""

from __future__ import annotations

import pytest

from clv.app.budget_plan import published, solve
from clv.simulate import simulate_brand
from clv.store import Store
from training.brand import plan_quarter
from training.brand_store import publish_brand

DOCUMENTS = {
    "calibration",
    "campaigns",
    "concentration",
    "data_report",
    "model_card",
    "monitor",
    "order_months",
    "plan",
    "plan_draws",
    "repeat_revenue",
    "run_figures",
    "stated_plan",
    "terms",
    "total",
    "uplift",
}


@pytest.mark.slow
def test_the_brands_store_holds_all_that_pages_show(tmp_path):
    planned = plan_quarter(simulate_brand(seed=1, customers=2000))
    done = publish_brand(planned, tmp_path, seed=1)
    assert done.customers == planned.brand.orders["customer_id"].nunique()
    with Store.open(tmp_path / "store") as store:
        assert set(store.documents) == DOCUMENTS
        assert {"channels", "cohorts", "curves", "targets"} <= set(store.tables)
        card = store.document("model_card")
        assert len(card["training"]["holdout"]["rolling"]["cutoffs"]) == 1
        assert solve(store, published(store), published(store).setting).spent > 0
        who = {row["segment"]: row["customers"] for row in store.segments()["eligible"]}
        assert min(who["eligible"], who["not eligible"]) > 0
        barred = {row["customer_id"] for row in store.table("targets").to_pylist()} & {
            row["customer_id"] for row in store.export().read_all().to_pylist() if row["reason"]
        }
        assert barred == set()
