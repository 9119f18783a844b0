"""The wheel is whole: built, installed into fresh environments outside the checkout, used there.

Without extras a person in Python cleans, fits, scores, plans and allocates; with ``[all]`` the
commands go from an order log to a page, from an empty folder.
"""

import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from zipfile import ZipFile

import pytest

import clv

ROOT = Path(clv.__file__).parent.parent
UV = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
OURS = ("PYTHON", "VIRTUAL_ENV", "MLFLOW")
ENVIRONMENT = {key: text for key, text in os.environ.items() if not key.startswith(OURS)}
LIMIT = 600  # MB that the base may take on disk
pytestmark = pytest.mark.slow

PYTHON_USER = """
import sys
import clv
from clv.data.cdnow import cdnow_log

log, report = clv.clean(cdnow_log(sample=True), zero_amounts="keep")
terms = clv.Terms(margin_rate=0.3, annual_discount_rate=0.1, currency="USD")
scorer = clv.CustomerScorer.fit(log, terms, churn_horizon=clv.Duration(13, "week"))
scorer.save("model")
scores = clv.CustomerScorer.load("model").predict(clv.summarize(log, unit="week"))
offer = clv.Offer(contact_cost=1, save_rate=(0.1, 0.3))
campaign = clv.plan_campaign(scores, offer, budget=300)
split = clv.allocate(
    [clv.Channel("search", clv.Power(k=12, b=0.6), value=60),
     clv.Channel("social", clv.Power(k=30, b=0.45), value=80)],
    budget=30_000,
)
optional = {"duckdb", "fastapi", "jinja2", "mlflow", "typer"} & set(sys.modules)
spend = round(sum(split.spend.values()))
print(report.customers, len(scores), len(campaign.table), spend, optional)
"""


def run(*command: str | Path, cwd: Path) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def environment(folder: Path, wheel: Path, extras: str = "") -> Path:
    """A fresh environment with the wheel in it, at the pinned versions."""
    run(UV, "venv", "--quiet", "--python", sys.executable, folder, cwd=folder.parent)
    pins = ROOT / "constraints.txt"
    command = ("pip", "install", "--quiet", "--python", folder / "bin" / "python", "-c", pins)
    run(UV, *command, f"clv{extras} @ {wheel.as_uri()}", cwd=folder.parent)
    return folder / "bin"


def megabytes(folder: Path) -> float:
    """What a folder takes on disk."""
    return sum(file.stat().st_size for file in folder.rglob("*") if not file.is_symlink()) / 1e6


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(UV, "build", "--quiet", "--wheel", "--out-dir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("clv-*.whl")
    return built


def test_the_wheel_has_every_file_of_the_package(wheel):
    package = [file for file in (ROOT / "clv").rglob("*") if "__pycache__" not in file.parts]
    names = {str(file.relative_to(ROOT)) for file in package if file.is_file()}
    assert {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name} == names
    assert {"clv/py.typed", "clv/__init__.pyi", "clv/app/pyfunc.py"} <= names


def test_without_extras_a_dataframe_becomes_a_plan(wheel, tmp_path):
    binaries = environment(tmp_path / "base", wheel)
    (tmp_path / "empty").mkdir()
    said = run(binaries / "python", "-W", "error", "-c", PYTHON_USER, cwd=tmp_path / "empty")
    assert said.split() == ["2357", "2357", "328", "30000", "set()"]
    assert megabytes(tmp_path / "base") < LIMIT
    done = subprocess.run(binaries / "clv", env=ENVIRONMENT, stderr=subprocess.PIPE, check=False)
    assert done.stderr == b'clv: this needs typer: pip install "clv[cli]"\n'


CONFIG = """
experiment = "shop"
[data]
files = "brand/orders.csv"
[terms]
margin_rate = 0.3
annual_discount_rate = 0.1
horizon = "1 year"
currency = "EUR"
[model]
name = "shop"
purchase_model = "bg_nbd"
churn_horizon = "13 weeks"
[holdout]
cutoff = 2024-06-30
origins = 1
"""


def test_with_all_a_log_becomes_a_page(wheel, tmp_path):
    command = environment(tmp_path / "all", wheel, "[all]") / "clv"
    home = tmp_path / "empty"
    home.mkdir()
    run(command, "simulate", "--output", "brand", "--customers", "1500", cwd=home)
    (home / "shop.toml").write_text(CONFIG, encoding="utf-8")
    run(command, "train", "--config", "shop.toml", cwd=home)
    run(command, "promote", "--model", "shop", cwd=home)
    model = ("--model", "models:/shop@champion")
    run(command, "score", "brand/orders.csv", *model, "--output", "scores.parquet", cwd=home)
    log = ("--log", "brand/orders.csv")
    run(command, "publish", "scores.parquet", *log, *model, "--to", "store", cwd=home)
    served = [command, "serve", "--store", "store", *model, "--port", "0"]
    with subprocess.Popen(
        served, cwd=home, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            line = next(line for line in server.stdout if " on http://" in line)
            address = line.partition(" on ")[2].split()[0]
            with urllib.request.urlopen(f"{address}/customers") as answer:
                assert answer.status == 200
                assert "customers" in answer.read().decode()
        finally:
            server.terminate()
