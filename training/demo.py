"""The main job on real orders, then channels and one budget on the simulated brand.

    make demo

Trains on the shipped Online Retail orders, promotes, scores every customer, picks whom to keep,
plans a quarter's budget of the simulated brand, writes it all into one HTML page, and publishes the
brand as a store for ``clv serve``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from clv.app.batch import score_log
from clv.app.mlflow_store import tracking_uri, without_password
from clv.app.registry import load_scorer
from clv.app.training.config import Config
from clv.cli.application import command
from clv.cli.main import run
from clv.cli.plan_tables import show_plan
from clv.cli.promote import promote_and_show
from clv.cli.screen import Screen, table
from clv.cli.train import train_and_show
from clv.decide.retention.offer import Offer
from clv.decide.retention.plan import CampaignPlan, retention_targets
from clv.errors import PromotionError
from clv.io.files import read_table, write_table
from clv.report.customer_report import customer_report
from clv.simulate import simulate_brand
from training.brand import BrandPlan, judge, plan_quarter
from training.brand_report import brand_sections
from training.brand_store import publish_brand

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "data" / "demo"
SEED = 1  # of the brand
REGISTERED = "clv-demo"
OFFER, BUDGET = Offer(contact_cost=2.0, incentive=20.0), 5_000.0


def demo(screen: Screen) -> None:
    """Run everything and say where it is."""
    screen.title("\n1. Online Retail: train on real orders")
    config = demo_config()
    trained = train_and_show(config, screen)
    champion = promoted(config.model.name, screen)

    screen.title("\n2. Score every customer, and pick whom to keep")
    scores, targets = decide(config, champion, screen)

    screen.title("\n3. A SIMULATED brand: what a channel costs, what it wins, where money goes")
    with screen.step("Planning the quarter"):
        planned = plan_quarter(simulate_brand(seed=SEED))
        judged = judge(planned)
    show_costs(planned, screen)
    screen.points([*planned.uplift.findings, *str(planned.campaign.summary).splitlines()[:2]])
    show_plan(screen, planned.quarter)
    screen.points([str(judged)])

    page = customer_report(
        trained.scorer,
        scores,
        targets=targets.table,
        campaign_notes=str(targets.summary).splitlines(),
        judged=trained.judged,
        heading="What the customers are worth, whom to keep, where to spend",
    )
    page = replace(
        page,
        subtitle="Online Retail (UCI, Chen 2015). "
        f"{page.subtitle} Channels and budget are of a simulated brand.",
        sections=[*page.sections, *brand_sections(planned, judged)],
    )
    page.write(OUTPUT / "report.html")
    with screen.step("Publishing the brand, to be seen in a browser"):
        publish_brand(planned, OUTPUT, SEED)
    finish(screen)


def demo_config() -> Config:
    """The shipped configuration, under a name of its own: the champion of ``clv`` is the user's."""
    config = Config.read(ROOT / "training" / "online_retail.toml")
    model = config.model.model_copy(update={"name": REGISTERED})
    return config.model_copy(update={"model": model})


def promoted(name: str, screen: Screen) -> str:
    """The URI to score with: the champion, whoever the holdout makes it."""
    try:
        promote_and_show(name, screen)
    except PromotionError as refused:
        screen.warn(refused.message)  # a second demo meets the champion of the first
    return f"models:/{name}@champion"


def decide(config: Config, model: str, screen: Screen) -> tuple[Any, CampaignPlan]:
    """Scores and retention list of the registered champion, written to files."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    file = OUTPUT / "scores.parquet"
    with screen.step("Scoring in batch with the registered champion"):
        score_log(config.data.files[0], load_scorer(model), file)
    scores = read_table(file).to_pandas()
    targets = retention_targets(scores, OFFER, BUDGET)
    write_table(targets.table, OUTPUT / "targets.csv")
    screen.points(str(targets.summary).splitlines())
    return scores, targets


def show_costs(planned: BrandPlan, screen: Screen) -> None:
    """What a channel's customers cost and are worth today."""
    columns = {
        "channel": "channel",
        "new_customers": "customers",
        "cac": "CAC",
        "marginal_cac": "marginal CAC",
        "new_customer_value": "worth",
        "ltv_to_cac": "LTV:CAC, 3 years",
        "payback": "payback, weeks",
    }
    whole = "{:,.0f}".format
    costs: list[dict[str, Any]] = [dict(row) for _, row in planned.table.iterrows()]
    screen.show(table(costs, columns, {"new_customers": whole}, left=["channel"]))


def finish(screen: Screen) -> None:
    """Where everything is, and what to run next."""
    screen.title("\nDone")
    screen.pairs(
        {
            "report": str(OUTPUT / "report.html"),
            "scores": str(OUTPUT / "scores.parquet"),
            "targets": str(OUTPUT / "targets.csv"),
            "store": f"{OUTPUT / 'store'}: the brand, with every page filled",
            "models, runs": without_password(tracking_uri()),
        }
    )
    clv = ".venv/bin/clv"
    screen.next(f"{clv} check YOUR_ORDERS.csv          what your own log holds")
    screen.next(f"{clv} serve --store data/demo/store --model data/demo/model     page and API")


@command("make demo")
def main(ctx: typer.Context) -> None:
    """Run the main job on real orders, then one budget on the simulated brand."""
    demo(ctx.obj)


if __name__ == "__main__":
    run(main, "python -m training.demo")
