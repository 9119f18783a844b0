"""The map in CONTRIBUTING.md is true: what it names is there."""

import re
from pathlib import Path

import clv

PACKAGE = Path(clv.__file__).parent
ROOT = PACKAGE.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PATH = re.compile(r"`([\w./-]+(?:\.(?:py|pyi|toml|txt|yml|md)|/))`")
REGISTRY = re.compile(r"`([A-Z_]{4,})`[^|`]* (?:of|in) `([\w./]+\.(?:py|pyi))`")
MADE = {"cli/NAME.py", "dist/"}  # by whoever adds a command, and by make wheel


def places(path: str) -> list[Path]:
    """Where a path of the text may be: in the package, at the top, or a file named for short."""
    near = [base / path for base in (PACKAGE, ROOT) if (base / path).exists()]
    return near or [file for file in PACKAGE.rglob(path.rstrip("/")) if file.exists()]


def test_every_path_is_there():
    paths = set(PATH.findall(TEXT)) - MADE
    assert len(paths) > 60
    assert not [path for path in sorted(paths) if not places(path)]


def test_every_registry_is_where_it_is_said_to_be():
    registries = REGISTRY.findall(TEXT)
    assert len(registries) > 8
    for name, path in registries:
        (file,) = places(path)
        assert re.search(rf"^{name}\b", file.read_text(encoding="utf-8"), re.MULTILINE), name


def test_every_room_is_on_the_map():
    rooms = [file for file in PACKAGE.iterdir() if file.is_dir() and file.name != "__pycache__"]
    files = [file for file in PACKAGE.glob("*.py") if not file.name.startswith("__")]
    names = [f"`{file.name}/`" for file in rooms] + [f"`{file.stem}`" for file in files]
    assert not [name for name in names if name not in TEXT]
