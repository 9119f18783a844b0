"""Every option of every command, from the tree of commands: no value makes one fail or hang."""

from __future__ import annotations

import random
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from clv.cli.main import COMMANDS, app

from .conftest import noting
from .hostile import CONTENTS, ENDINGS, NO_FILES, WORDS, draws

FILES = {
    *("FILE", "FILE...", "FILE.toml", "LOG", "SCORES", "[SCORES]", "THEN", "SPEND", "PLAN"),
    *("TARGETS", "REPORT", "FOLDER", "STATE", "ORDERS...", "MODEL", "NAME=FILE", "OURS=THEIRS"),
}
# What makes each command work, so that an option is reached. A server gets an address of no machine
# and a port that is taken, so that it never goes on to serve, whichever of the two is replaced.
LINES: dict[str, tuple[str, ...]] = {
    "init": ("orders.csv", "--output", "new.toml"),
    "check": ("orders.csv",),
    "fold": ("newstate", "orders.csv"),
    "score": ("orders.csv", "--model", "model", "--anyway", "--output", "new.csv"),
    "sql": ("--model", "model", "--oldest", "30", "--most-purchases", "3", "--output", "new"),
    "simulate": ("--customers", "50", "--output", "new"),
    "train": ("--config", "clv.toml"),
    "backtest": ("--config", "clv.toml"),
    "promote": ("--model", "none"),
    "monitor": ("orders.csv", "--scores", "scores.csv", "--model", "model"),
    "report": ("scores.csv", "--model", "model", "--output", "new.html"),
    "targets": ("scores.csv", "--contact-cost", "1"),
    "channels": ("spend.csv",),
    "allocate": ("plan.toml",),
    "publish": ("scores.csv", "--to", "newstore"),
    "rollback": ("store",),
    "digest": ("store",),
    "serve": (
        *("--model", "model", "--store", "store", "--keys", "keys.json"),
        *("--host", "192.0.2.1", "--port", "TAKEN"),
    ),
    "mcp": ("--api", "none"),
    "contracts": ("contracts.csv", "--as-of", "2026-01-01", "--interval", "month"),
    "offers": ("orders.csv",),
    "plan-test": ("--lift", "0.1", "--baseline-mean", "9", "--baseline-sd", "45"),
    "measure-test": ("scores.csv", "--orders", "orders.csv", "--since", "2024-06-01"),
    "funnel": ("leads.csv",),
    "referrals": ("referrals.csv",),
    "first-orders": ("orders.csv", "--model", "model", "--anyway"),
    "keys add": ("bob", "--keys", "new.json"),
    "keys list": ("--keys", "keys.json"),
    "keys revoke": ("none", "--keys", "keys.json"),
    "export": ("scores.csv", "--output", "new.csv"),
}


def commands(tree: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    for word in tree.list_commands(None):
        command = tree.get_command(None, word)
        if hasattr(command, "list_commands"):
            yield from commands(command, f"{word} ")
        else:
            yield name + word, command


TREE = dict(commands(typer.main.get_command(app)))
OPTIONS = [
    (name, parameter)
    for name, command in TREE.items()
    for parameter in command.params
    if not getattr(parameter, "is_flag", False)
]


def test_every_command_is_tried() -> None:
    assert set(LINES) == set(TREE)
    assert {word.split()[0] for word in TREE} == {w for words in COMMANDS.values() for w in words}


@pytest.fixture(scope="module")
def taken() -> Iterator[str]:
    """A port on which another listens, at every address: no server goes on to serve."""
    with socket.create_server(("", 0)) as listening:
        yield str(listening.getsockname()[1])


def in_folder(line: tuple[str, ...], home: Path, work: Path, taken: str) -> list[str]:
    """The words of a line, those that name files of ``home`` or new ones with their folder."""
    here = {file.name: str(file) for file in home.iterdir()} | {"TAKEN": taken}
    new = {word: str(work / word) for word in line if word.startswith("new")}
    return [(here | new).get(word, word) for word in line]


def hostile_value(parameter: Any, rng: random.Random, work: Path) -> str:
    """A word for a parameter; a file that is none, where files are meant."""
    if parameter.metavar not in FILES or rng.random() < 0.15:
        return rng.choice(WORDS)
    file = work / f"bad{rng.choice(ENDINGS)}"
    if rng.random() < 0.4:
        rng.choice(list(NO_FILES.values()))(file)
    else:
        file.write_bytes(rng.choice(list(CONTENTS.values()))())
    return f"name={file}" if parameter.metavar == "NAME=FILE" else str(file)


def with_value(line: list[str], parameter: Any, value: str) -> list[str]:
    """The line with another value of one parameter."""
    if parameter.param_type_name == "argument":
        return [value, *line[1:]]
    option = max(parameter.opts, key=len)
    if option in line:
        at = line.index(option) + 1
        return [*line[:at], value, *line[at + 1 :]]
    return [*line, f"{option}={value}"]


def test_no_value_of_any_option_is_a_fault(
    home: Path,
    tmp_path: Path,
    verdict: Any,
    store: Path,
    taken: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    failures: list[str] = []
    for rng in draws("option", 16):
        name, parameter = rng.choice(OPTIONS)
        work = tmp_path / "work"
        work.mkdir()
        line = with_value(
            in_folder(LINES[name], home, work, taken),
            parameter,
            hostile_value(parameter, rng, work),
        )
        with noting(failures, rng):
            verdict(*name.split(), *line)
        shutil.rmtree(work)
    assert not failures, "\n\n".join(failures)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        *(("backtest", f"--length={length}") for length in ("-inf", "0.0", "clv", "2024-02-30")),
        *(("serve", f"--host={host}") for host in ("", " ")),  # a socket takes it for all addresses
    ],
)
def test_an_option_that_means_nothing_is_refused(
    name: str, option: str, home: Path, tmp_path: Path, verdict: Any, taken: str
) -> None:
    line = in_folder(LINES[name], home, tmp_path, taken)
    code, _, err = verdict(name, *line, option)
    assert code == 3
    assert "--host is empty" in err or "is not a duration" in err or "is not positive" in err
