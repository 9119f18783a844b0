"""Pages on nightly runs: their commands are ours, their code is code, the container is whole."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest
import typer

import clv
from clv.cli.main import COMMANDS, app

ROOT = Path(clv.__file__).parent.parent
PAGES = sorted((ROOT / "docs" / "operations").glob("*.md"))
NAMES = {name for names in COMMANDS.values() for name in names}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """The commands of a page: lines of shell, texts given to ``clv(...)`` in code."""
    lines = [
        part.strip()
        for block in blocks(page, "bash")
        for line in block.splitlines()
        for part in line.split("&&")
        if part.strip().startswith("clv ")
    ]
    found = [shlex.split(line)[1:] for line in lines]
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "clv":
                said = [a.value for a in node.args if isinstance(a, ast.Constant)]
                words = [word for text in said for word in shlex.split(text)]
                found.append(words[1:] if words[0] in NAMES and words[1:2] == words[:1] else words)
    return [words for words in found if words]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_page_is_understood(page):
    ours = commands(page)
    assert len(ours) >= 3
    for words in ours:
        words = [word for word in words if word not in ("--log-format", "json")]
        name = next(word for word in words if word in NAMES)
        tree = typer.main.get_command(app)
        command = tree.get_command(None, name)
        rest = words[words.index(name) + 1 :]
        if isinstance(command, typer.core.TyperGroup):  # as clv keys add
            command = command.get_command(None, name := rest.pop(0))
        context = command.make_context(name, rest)  # refuses what is odd
        assert context.params


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_exit_code_that_a_page_names_is_one(page):
    named = {int(code) for code in re.findall(r"\b([0-9]), [a-z]", page.read_text())}
    assert named <= set(range(10))


def test_the_container_copies_what_is_there_and_is_not_root():
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY") and "--" not in line]
    for names in copied:
        assert all((ROOT / name).exists() for name in names)
    last = lines[max(i for i, line in enumerate(lines) if line.startswith("FROM")) :]
    assert "USER clv" in last
    assert 'ENTRYPOINT ["clv"]' in last
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert not {name for names in copied for name in names} & set(ignored)
