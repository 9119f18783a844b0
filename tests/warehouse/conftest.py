"""A PostgreSQL that the tests start themselves, on a socket, and nowhere else."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Postgres:
    """A server: called, it runs SQL and gives what psql prints."""

    socket: Path
    run: Callable[..., str]

    def __call__(self, *arguments: Any, **settings: Any) -> str:
        user = ("-h", self.socket, "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-q")
        return self.run("psql", *user, *arguments, **settings)

    def address(self, asked: str, user: str = "postgres") -> str:
        """The address of what is asked: ``query=...`` or ``table=...``."""
        return f"postgresql://{user}@/postgres?host={self.socket}&{asked}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """How to run SQL in a PostgreSQL of the tests' own, on a socket, and nowhere else."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs and not os.environ.get("CI"):
        pytest.skip("there is no PostgreSQL: apt-get install postgresql")
    owner = pwd.getpwnam("postgres") if os.getuid() == 0 else None  # initdb refuses root
    short = Path("/tmp") / f"clv-postgres-{os.getpid()}"  # a socket's path has 107 letters at most
    short.mkdir()
    if owner:
        os.chown(short, owner.pw_uid, owner.pw_gid)

    def run(program: str, *arguments: Any, **settings: Any) -> str:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [programs[-1] / program, *arguments],
            check=True,
            capture_output=True,
            text=True,
            user=owner.pw_uid if owner else None,
            cwd=short,
            **settings,
        )
        return done.stdout

    run("initdb", "-D", short / "data", "-A", "trust", "--no-sync", "-U", "postgres")
    options = f"-c listen_addresses= -c fsync=off -k {short}"
    run("pg_ctl", "-D", short / "data", "-o", options, "-l", short / "log", "-w", "start")
    try:
        yield Postgres(short, run)
    finally:
        run("pg_ctl", "-D", short / "data", "-m", "immediate", "stop")
        shutil.rmtree(short)
