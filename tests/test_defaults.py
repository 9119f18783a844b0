"""What is taken where nobody says otherwise is said once: changed there, it changes everywhere."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import clv
from clv import defaults

ROOT = Path(clv.__file__).parent
DEFAULTS = Path(defaults.__file__)
NAMES = {"control_share", "save_rate", "level", "shrink"}
OTHER = """
import inspect, sys, types
from pathlib import Path

source = Path({file!r}).read_text()
for old, new in (
    ("CONTROL_SHARE = 0.1 ", "CONTROL_SHARE = 0.25 "),
    ("SAVE_RATE_B = 6.0, 14.0", "SAVE_RATE_B = 2.0, 3.0"),
):
    assert old in source
    source = source.replace(old, new)
changed = types.ModuleType("clv.defaults")
exec(source, changed.__dict__)
sys.modules["clv.defaults"] = changed

from clv.app.plan_files.offers_file import OffersPlan
from clv.app.plan_files.sections import RetentionPlan
from clv.app.requests import OfferBody
from clv.cli.targets import ControlGroup, OfferOptions
from clv.decide.retention.campaign import Campaign
from clv.decide.retention.plan import gain_curve, plan_campaign, retention_targets
from clv.uplift.lift import ASSUMED
from clv.web.page.retention_form import CONTROL, _save_rate
from clv.web.v1.retention import RetentionBody

body = RetentionBody.model_validate({{"offers": [{{"contact_cost": 1}}]}})
plan = RetentionPlan(scores="s.csv", contact_cost=1.0)
offers = OffersPlan.parse('[[offers]]\\nname = "letter"\\ncontact_cost = 1').offers
planners = (Campaign.prepare, plan_campaign, retention_targets, gain_curve)
print([inspect.signature(f).parameters["control_share"].default for f in planners])
print([body.control_share, plan.control_share, OfferBody(contact_cost=1.0).control_share])
print([ControlGroup().control_share, CONTROL / 100])
bodies = (body.offers[0], plan, OfferBody(contact_cost=1.0), offers[0])
print([round(b.offer().mean_save_rate, 9) for b in bodies])
print([OfferOptions(contact_cost=1.0).single().mean_save_rate, _save_rate("", "").mean])
print(tuple(round(x, 9) for x in ASSUMED))
help_text = inspect.get_annotations(OfferOptions, eval_str=True)["save_rate"].__metadata__[0].help
print(help_text.partition("Without it ")[2])
"""


def test_another_default_is_another_one_everywhere():
    script = OTHER.format(file=str(DEFAULTS))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == [
        "[0.25, 0.25, 0.25, 0.25]",
        "[0.25, 0.25, 0.25]",
        "[0.25, 0.25]",
        "[0.4, 0.4, 0.4, 0.4]",
        "[0.4, 0.4]",
        "(0.4, 0.2)",
        "Beta(2, 3), mean 0.40.",
    ], done.stderr


def test_no_default_of_these_is_typed_a_second_time():
    typed = []
    for file in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.arguments):
                last = [*node.posonlyargs, *node.args][::-1]
                pairs = [*zip(last, node.defaults[::-1], strict=False)]
                pairs += zip(node.kwonlyargs, node.kw_defaults, strict=True)
                stated = [(arg.arg, value) for arg, value in pairs]
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                stated = [(node.target.id, node.value)]
            else:
                continue
            typed += [
                f"{file.name}: {name}"
                for name, value in stated
                if name in NAMES and isinstance(value, ast.Constant) and value.value is not None
            ]
    assert typed == []
    words = [file.name for file in ROOT.rglob("*.py") if "Beta(6" in file.read_text("utf-8")]
    assert words == []
