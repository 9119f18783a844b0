"""Budget plans saved on the server: under a name, with a note and who saved it, for all planners.

A plan is what was set, as an address carries it: it is solved anew with every store.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from clv.app.budget_plan import Setting
from clv.errors import InputError
from clv.format import count
from clv.web.page.budget_form import MOST, OPEN, SAVED, link_to
from clv.web.page.frame import visitor_name, write_audit
from clv.web.page.job_forms import Pairs, pairs_of
from clv.web.page.kept_file import Kept, KeptFile, checked_name, file_of, today

PLANS = "plans.json"  # in the folder that a server may write to
LONGEST_NOTE = 300

router = APIRouter(include_in_schema=False)


class SavedPlan(Kept):
    """A plan under a name; ``setting`` is what was set, as an address carries it."""

    setting: str
    note: str = ""


class PlanFile(KeptFile[SavedPlan]):
    """The plans that were saved."""

    kind, plural = SavedPlan, "plans"


def saved_plans(request: Request) -> list[SavedPlan] | None:
    """Those of a server; None where it keeps none."""
    file: PlanFile | None = getattr(request.app.state, "plans", None)
    return None if file is None else file.all()


def plan_of(pairs: Pairs, owner: str) -> SavedPlan:
    """The plan that a form asks to save; ``InputError`` if it has no name or is none."""
    fields = dict(pairs)
    note = " ".join(fields.get("note", "").split())
    if len(note) > LONGEST_NOTE:
        raise InputError(
            f"the note has {count(len(note))} characters.",
            hint=f"{count(LONGEST_NOTE)} at most.",
        )
    name = checked_name(fields.get("name", ""), "a plan")
    setting = Setting.parse(fields.get(OPEN, "")).text
    return SavedPlan(name=name, owner=owner, saved=today(), setting=setting, note=note)


@router.post("/budget/plans")
async def save(request: Request) -> Response:
    """Keep the plan of the form under its name, and show it beside those it stood beside."""
    pairs = await pairs_of(request)
    plan = plan_of(pairs, visitor_name(request))
    setting = Setting.parse(plan.setting)
    beside = [Setting.parse(text) for key, text in pairs if key == SAVED]
    await run_in_threadpool(file_of(request, "plans").save, plan)
    await write_audit(request, "plan", saved=plan.name)
    others = [one for one in beside if one != setting][: MOST - 1]
    return RedirectResponse(f"{link_to(setting, [*others, setting])}#compare", 303)


@router.post("/budget/plans/remove")
async def remove(request: Request) -> Response:
    """Forget a plan."""
    name = dict(await pairs_of(request)).get("name", "")
    await run_in_threadpool(file_of(request, "plans").remove, name)
    await write_audit(request, "plan", removed=name)
    return RedirectResponse("/budget#compare", 303)
