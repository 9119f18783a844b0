"""What ``clv serve`` runs: the API, and the page beside it where there is a store."""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import FastAPI

from clv.app.jobs.job_folder import JobFolder
from clv.app.store_models import StoreModels
from clv.scorer import CustomerScorer
from clv.store import Store
from clv.web.access.who import Access
from clv.web.api import MAX_BODY, create_api
from clv.web.page import mount_page, retention
from clv.web.page.jobs import JobDesk
from clv.web.page.routes import ROOMS, WITH_UPLOADS
from clv.web.page.saved_plans import PLANS, PlanFile
from clv.web.page.saved_segments import SEGMENTS, SegmentFile


def create_app(
    scorer: CustomerScorer | None,
    scores: str | os.PathLike[str] | None = None,
    *,
    store: str | os.PathLike[str] | None = None,
    max_body: int = MAX_BODY,
    access: Access | None = None,
    tools: bool = False,
    jobs: str | os.PathLike[str] | None = None,
) -> FastAPI:
    """API and page of one scorer; the parameters are those of :func:`clv.web.api.create_api`.

    Parameters
    ----------
    tools
        Whether assistants find the API's tools at /mcp.
    jobs
        Where order files are kept that an admin uploads on the page, and filters of customers
        that planners save; None: nobody may. With it the folder of the store may be empty: what is
        published on the page first fills it. A ``clv.app.jobs.job_worker.JobKeeper`` works there.

    Returns
    -------
    FastAPI
        Without ``scores`` or ``store`` it has no page, as there is nobody to show.

    Raises
    ------
    InputError
        The file is no file of scores, or the folder holds no store.
    """
    app = create_api(
        scorer,
        scores,
        store=store,
        max_body=max_body,
        access=access,
        warm=_warm,
        may_be_empty=jobs is not None,
    )
    if app.state.stores is not None:
        mount_page(app, app.state.stores, rooms=WITH_UPLOADS if jobs and store else ROOMS)
    if jobs and store:
        app.state.segments = SegmentFile(Path(jobs) / SEGMENTS)
        app.state.plans = PlanFile(Path(jobs) / PLANS)
        app.state.jobs = JobDesk(JobFolder(Path(jobs)), Path(store))
    if tools:
        from clv.web.assistants.mcp_server import mount_tools  # of an extra

        mount_tools(app)
    return app


def _warm(store: Store) -> None:
    """What the first visitor would wait for."""
    store.once(StoreModels.of)
    retention.warm(store)
