"""Starting is quick: what is heavy is imported when it is used, not before."""

import subprocess
import sys

import pytest

HEAVY = (
    "mlflow", "matplotlib", "lifetimes", "sklearn", "scipy", "pandas", "numpy", "duckdb",
    "fastapi", "rich",
)  # fmt: skip


def loaded_by(code: str) -> set[str]:
    """Which heavy packages a fresh process has loaded after ``code``, which may exit."""
    end = f"print('loaded:', *(name for name in {HEAVY!r} if name in sys.modules))"
    script = f"import sys, atexit\natexit.register(lambda: {end})\n{code}"
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    return set(found.stdout.split("loaded:")[-1].split())


def test_import_clv_loads_nothing_heavy():
    assert loaded_by("import clv") == set()


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--help"], ["score", "--help"], ["serve", "--help"]])
def test_help_loads_nothing_heavy(arguments):
    """``clv --help``, as ``python -m clv`` runs it."""
    code = (
        "import runpy\n"
        f"sys.argv = ['clv', *{arguments!r}]\n"
        "runpy.run_module('clv.cli.main', run_name='__main__')"
    )
    assert loaded_by(code) == set()


@pytest.mark.slow
def test_serve_says_what_it_waits_for_before_it_loads_it():
    code = (
        "import sys\n"
        "from clv.cli.main import main\n"
        "from clv.cli.screen import Screen\n"
        "Screen.note = lambda self, text: sys.exit(text != expected)\n"
        "expected = 'Starting: loading model shop, then opening store ...'\n"
        "main(['serve', '--model', 'shop', '--store', 'store'])"
    )
    assert loaded_by(code) == set()


@pytest.mark.slow
def test_the_models_load_no_reference_engine():
    loaded = loaded_by("import clv.probability.bg_nbd, clv.probability.gamma_gamma")
    assert loaded & {"lifetimes", "mlflow", "matplotlib"} == set()


@pytest.mark.slow
def test_every_public_name_can_be_had():
    code = "import clv\nassert all(getattr(clv, name) is not None for name in clv.__all__)"
    assert loaded_by(code) & {"lifetimes", "mlflow"} == set()
