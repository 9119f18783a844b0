"""Kills a command of clv at random moments and looks at what is left, then runs it to its end.

Run by ``test_kills.py``: ``python -m tests.faults.killing kill COMMANDS FOLDER KILLS SEED``. A
command runs in a forked child, which ends by SIGKILL after a random time, or at a random change of
the disk, as most of a command's time is spent on other things. Further modes are ``together``: two
at once, of which one is killed in every other round; and ``disk``: a full disk, a folder of
somebody else's, a file that vanishes.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .on_trial import GROWING, TIDY, TRIALS, data, digest, nothing

CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "open")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def child(work: Callable[[], Any], log: Path) -> int:
    """A forked process that does ``work``, with what it prints in a file."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        work()
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def to_the_end(work: Callable[[], Any], log: Path) -> None:
    status = os.waitstatus_to_exitcode(os.waitpid(child(work, log), 0)[1])
    if status:
        raise SystemExit(f"exit code {status}:\n{log.read_text()}")


def answer(question: Callable[[Path], str], place: Path, log: Path) -> str:
    """What a question to a place says, asked in a child: MLflow keeps a store open."""
    out = log.with_suffix(".answer")
    to_the_end(lambda: out.write_text(question(place)), log)
    return out.read_text()


def counted(work: Callable[[], Any], place: Path, last: float = float("inf")) -> int:
    """How often ``work`` changes what is in ``place``; it is killed before change ``last``."""
    changes = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal changes
        if event in CHANGES and str(place) in str(arguments[0]):
            if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & WRITES):
                return
            if changes >= last:
                os.kill(os.getpid(), signal.SIGKILL)
            changes += 1

    sys.addaudithook(hook)
    work()
    return changes


def files(place: Path, name: str) -> set[str]:
    """What lies in a place, hidden files too; of MLflow's store only what is not its artifacts."""
    hidden = ("store/artifacts", "store/stores") if name in GROWING else ()
    listed = {file.relative_to(place).as_posix() for file in place.rglob("*")}
    return {path for path in listed if ".clvpart" in path or not path.startswith(hidden or "//")}


def copied(name: str, base: Path, place: Path) -> Callable[..., None]:
    """A copy of ``base`` with temporary files of its own, and the command that runs in it."""
    shutil.copytree(base, place)
    (place / "tmp").mkdir()
    os.environ["TMPDIR"] = str(place / "tmp")

    def run(before: Callable[[Path], Any] = nothing, last: float = float("inf")) -> None:
        import tempfile

        tempfile.tempdir = str(place / "tmp")  # found, as Python tries it by a file
        before(place)
        counted(lambda: TRIALS[name].run(place), place, last)

    return run


def kill(name: str, base: Path, place: Path, moment: float, change: float) -> str:
    """Kill a command once; which state it left."""
    log, run = place.with_suffix(".log"), copied(name, base, place)
    process = child(lambda: run(last=change), log)
    kill_after(process, moment)
    return answer(TRIALS[name].state, place, log)


def kill_after(process: int, moment: float) -> int:
    """Kill a process in so many seconds, unless it has ended; its exit code."""
    end = time.monotonic() + moment
    while (ended := os.waitpid(process, os.WNOHANG)) == (0, 0):
        if time.monotonic() >= end:
            os.kill(process, signal.SIGKILL)
            return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        time.sleep(0.001)
    return os.waitstatus_to_exitcode(ended[1])


def with_imports(work: Callable[[], Any], log: Path) -> None:
    """Do ``work`` in a child, then import all that it had imported: children to come have it."""
    listed = log.with_suffix(".modules")

    def listing() -> None:
        work()
        listed.write_text("\n".join(sys.modules))

    to_the_end(listing, log)
    for module in listed.read_text().splitlines():
        with contextlib.suppress(Exception):  # some are names that others made up
            importlib.import_module(module)


def recovered(name: str, place: Path) -> str:
    """Run a command to its end where it was killed; the state, with nothing left that hangs."""
    TRIALS[name].run(place)
    state = TRIALS[name].state(place)
    TIDY.get(name, nothing)(place)
    return state


def prepared(name: str, folder: str) -> Path:
    """A folder with what a command needs, the same for all."""
    root = Path(folder) / name
    base, shared, log = root / "base", Path(folder) / "data", root / "log"
    root.mkdir(parents=True)
    if name in ("train", "retrain", "promote"):
        base.mkdir()
    else:
        if not shared.exists():
            shared.mkdir()
            to_the_end(lambda: data(shared), log)
        shutil.copytree(shared, base)
    with_imports(lambda: TRIALS[name].prepare(base), log)
    return root


def main(name: str, folder: str, kills: str, seed: str) -> None:
    trial, root, rng = TRIALS[name], prepared(name, folder), random.Random(int(seed))
    base, whole, log = root / "base", root / "whole", root / "log"
    before = answer(trial.state, base, log)
    shutil.copytree(base, whole)
    (whole / "tmp").mkdir()
    start = time.monotonic()
    count = root / "count"
    with_imports(lambda: count.write_text(str(counted(lambda: trial.run(whole), whole))), log)
    seconds, changes = time.monotonic() - start, int(count.read_text())
    after = answer(trial.state, whole, log)
    states = {before, after} if name != "keys" else None
    found: dict[str, int] = {}
    for number in range(int(kills)):
        place = root / f"kill{number}"
        at = rng.uniform(0, 1.05 * seconds) if number % 2 else float("inf")
        change = float("inf") if number % 2 else rng.randrange(changes)
        state = kill(name, base, place, at, change)
        assert states is None or state in states, (number, state, states)
        found[state] = found.get(state, 0) + 1
        assert answer(lambda place: recovered(name, place), place, log) == after, number
        extra = files(place, name) ^ files(whole, name)
        assert not extra, (number, sorted(extra))
        assert not list((place / "tmp").iterdir()), number
        if name not in GROWING:
            same = [f for f in files(whole, name) if (whole / f).is_file()]
            assert all(digest(whole / f) == digest(place / f) for f in same), number
        shutil.rmtree(place)
    print(json.dumps({"command": name, "kills": int(kills), "changes": changes, "left": found}))


def together(name: str, folder: str, rounds: str, seed: str) -> None:
    """Two at once in one place, one of them killed in every other round: each whole or refused."""
    root, rng = prepared(name, folder), random.Random(int(seed))
    outcomes: dict[str, int] = {}
    start = time.monotonic()
    copied(name, root / "base", root / "first")
    with_imports(lambda: TRIALS[name].run(root / "first"), root / "log")
    seconds = 2 * (time.monotonic() - start)
    for number in range(int(rounds)):
        place = root / f"round{number}"
        log, run = place.with_suffix(".log"), copied(name, root / "base", place)
        killed = rng.uniform(0, seconds) if number % 2 else float("inf")
        logs = [place.with_suffix(f".{k}.log") for k in range(2)]
        first, second = (child(run, each) for each in logs)
        codes = (kill_after(first, killed), kill_after(second, float("inf")))
        for code, each in zip(codes, logs, strict=True):
            said = "killed" if code < 0 else verdict(code, each.read_text())
            outcomes[said] = outcomes.get(said, 0) + 1
        assert 0 in codes, (number, *(each.read_text() for each in logs))
        answer(TRIALS[name].state, place, log)
        answer(lambda place: recovered(name, place), place, log)
        assert not [path for path in files(place, name) if ".clvpart" in path]
        assert not list((place / "tmp").iterdir()), number
        shutil.rmtree(place)
    print(json.dumps({"command": name, "rounds": int(rounds), "outcomes": outcomes}))


def verdict(code: int, text: str) -> str:
    """Whether a command has done its work, or said by name why it did not."""
    if code == 0:
        return "done"
    assert "fault of clv" not in text, text
    assert any(words in text for words in ("clv.errors.", *(f"code {k} " for k in (3, 6, 7)))), text
    return "refused"


# What a disk may do to a command, each set before it runs.


def full(bytes_left: int) -> Callable[[Path], None]:
    def limit(place: Path) -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, bytes_left))

    return limit


def somebody_elses(place: Path) -> None:
    """All can be read and nothing written but temporary files; root becomes as others are."""
    for path in (place, *place.rglob("*")):
        if path.name != "tmp":
            path.chmod(0o555 if path.is_dir() else 0o444)
            if os.getuid() == 0:
                os.chown(path, 65534, 65534)
    if os.getuid() == 0:
        third_version, none = 0x20080522, (ctypes.c_uint32 * 6)()
        header = (ctypes.c_uint32 * 2)(third_version, 0)
        assert ctypes.CDLL(None).capset(header, none) == 0


def vanishing(name: str, event: int) -> Callable[[Path], None]:
    """A file goes when the command opens or lists something for so many times."""

    def hooked(place: Path) -> None:
        seen = 0

        def hook(what: str, arguments: tuple[Any, ...]) -> None:
            nonlocal seen
            if what in ("open", "os.listdir", "os.scandir") and str(place) in str(arguments[0]):
                seen += 1
                if seen == event:
                    (place / name).unlink(missing_ok=True)

        sys.addaudithook(hook)

    return hooked


def refused(name: str, base: Path, place: Path, trouble: Callable[[Path], None]) -> str:
    """What becomes of a command in trouble with the disk: it must end by itself."""
    run, (reader, writer) = copied(name, base, place), os.pipe()

    def work() -> None:
        sys.dont_write_bytecode = True  # which Python would leave half
        for output in (1, 2):  # into no file: the disk is in trouble
            os.dup2(writer, output)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        run(trouble)

    process = child(work, place.with_suffix(".log"))
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8", errors="replace") as stream:
        text = stream.read()
    said = verdict(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), text)
    assert not [path for path in files(place, name) if ".clvpart" in path]
    return said


def disk(name: str, folder: str, vanished: str, seed: str) -> None:
    """A disk that is full after so many bytes, a folder of another's, files that vanish."""
    root, rng = prepared(name, folder), random.Random(int(seed))
    base, state = root / "base", TRIALS[name].state
    before = answer(state, base, root / "log")
    troubles = {f"{size} bytes": full(size) for size in (0, 5_000, 60_000)}
    for what, trouble in {**troubles, "another's": somebody_elses}.items():
        place = root / what
        outcome = refused(name, base, place, trouble)
        if outcome == "refused":
            assert answer(state, place, root / "log") == before, what
        print(json.dumps({"command": name, "trouble": what, "outcome": outcome}))
    there = sorted(str(f.relative_to(base)) for f in base.rglob("*") if f.is_file())
    outcomes: dict[str, int] = {}
    for number in range(int(vanished) if there else 0):
        place, file = root / f"vanished{number}", rng.choice(there)
        outcome = refused(name, base, place, vanishing(file, rng.randrange(1, 12)))
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        shutil.rmtree(place)
    print(json.dumps({"command": name, "trouble": "vanished", **outcomes}))


MODES = {"kill": main, "together": together, "disk": disk}

if __name__ == "__main__":
    what, listed, *rest = sys.argv[1:]
    for each in listed.split(","):
        MODES[what](each, *rest)
