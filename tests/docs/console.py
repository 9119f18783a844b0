"""The commands of a page, and what it shows of their answers; run in this process."""

from __future__ import annotations

import argparse
import doctest
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from fastapi.testclient import TestClient

from clv.cli.main import COMMANDS, app, main
from clv.web.application import create_app

BLOCK = re.compile(r"^```(\{code-block\} )?(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CAPTION = re.compile(r":caption: (\S+)\n")
NAMES = {name for group in COMMANDS.values() for name in group}
LIKE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Step(NamedTuple):
    """A command and what is shown of its answer, or a file and what it holds."""

    kind: str
    text: str
    answer: str = ""


def steps(page: Path) -> Iterator[Step]:
    """What a reader of the page does, in order."""
    for _, language, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        if (name := CAPTION.match(body)) is not None:
            yield Step("file", name[1], body[name.end() :].lstrip("\n"))
        elif language == "console":
            for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                command, _, answer = part.partition("\n")
                yield Step("run", command.partition(" # ")[0], answer)
        elif language in ("bash", "text"):
            lines = re.split(r"\n|&&", body)
            yield from (Step("parse", line.strip()) for line in lines if line.strip()[:4] == "clv ")


def parse(command: str) -> None:
    """Have the command line take a command apart; it refuses what is odd."""
    words = shlex.split(command.replace("--log-format json", ""))[1:]
    name = next(word for word in words if word in NAMES)
    of_name: Any = typer.main.get_command(app).get_command(None, name)
    with of_name.make_context(name, words[words.index(name) + 1 :]) as context:
        assert context.params or context.args


class Reader:
    """Who follows a page in a folder."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        self.client: TestClient | None = None

    def follow(self, page: Path) -> int:
        """Do all that the page says; how many commands were run."""
        done = 0
        for kind, text, answer in steps(page):
            if kind == "file":
                Path(text).write_text(answer, encoding="utf-8")
            elif kind == "parse":
                parse(text)
            else:
                said = self.run(text)
                same = not answer or doctest.OutputChecker().check_output(answer, said, LIKE)
                assert same, f"$ {text}\n{said}\n-- instead of\n{answer}"
                done += 1
        return done

    def run(self, command: str) -> str:
        """What a command prints; it has to succeed."""
        words = shlex.split(command)
        if words[0] == "curl":
            return self.ask(words[1:])
        if words[:2] == ["clv", "serve"]:
            parse(command)
            self.client = TestClient(create_app(None, store=words[words.index("--store") + 1]))
            assert self.client.get("/", headers={"host": "localhost"}).status_code == 200
            return ""
        with pytest.raises(SystemExit) as ended:
            main(words[1:])
        out, err = self.capsys.readouterr()
        assert not ended.value.code, err
        return str(out)

    def ask(self, words: list[str]) -> str:
        """What the server that was started last answers to ``curl``."""
        curl = argparse.ArgumentParser()
        for option in ("-O", "-J"):
            curl.add_argument(option, action="store_true")
        curl.add_argument("--json")
        curl.add_argument("address")
        sent = curl.parse_args(words)
        assert self.client is not None
        way, path = ("POST" if sent.json else "GET"), sent.address.partition("/")[2]
        headers = {"host": "localhost", "content-type": "application/json"}
        answer = self.client.request(way, f"/{path}", content=sent.json, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.text
