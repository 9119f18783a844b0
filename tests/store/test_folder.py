"""The pointer: always a whole file, two of them kept, and a way back; also after a crash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clv.errors import InputError
from clv.store import Store, build, folder, publish, rollback, versions

STEPS = {
    "write": (build, "write"),
    "check": (Store, "check"),
    "switch": (folder.Pointer, "write"),
}
# Publishes v2 to a copy of the folder for k = 0, 1 ..., each time in a process of its own that ends
# without any cleaning up at its k-th step on the disk, until one gets to the end.
CRASHING = """
import os, shutil, sys
from pathlib import Path
import duckdb, pandas as pd, pyarrow.compute
from clv.store import build, publish, reader
base, out, file = sys.argv[1:]
scores = pd.read_json(file, orient="records")

def crashing(k, place):
    steps = 0
    def step(*_):
        nonlocal steps
        if steps == k:
            os._exit(9)
        steps += 1
    def after(function):
        def both(*args, **options):
            step()
            found = function(*args, **options)
            step()
            return found
        return both
    os.fsync, build.write = after(os.fsync), after(build.write)
    reader.Store.check = after(reader.Store.check)
    changes = ("os.rename", "os.remove", "os.mkdir")
    sys.addaudithook(lambda e, args: step() if e in changes and place in str(args[0]) else None)
    publish(scores, place)
    os._exit(0)

for k in range(100):
    place = os.path.join(out, str(k))
    shutil.copytree(base, place)
    child = os.fork()
    if not child:
        crashing(k, place)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        break
"""


def names(place: Path) -> set[str]:
    return {file.name for file in (place / "stores").iterdir()}


def served(place: Path) -> str:
    with Store.open(place) as store:
        store.check()
        return str(store.terms["model_version"])


def test_two_versions_are_kept(tiny, tmp_path):
    for value in (1, 2, 3):
        publish(tiny(value), tmp_path)
    kept = versions(tmp_path)
    assert [(one.model_version, one.served) for one in kept] == [("v3", True), ("v2", False)]
    assert names(tmp_path) == {one.path.name for one in kept}
    assert all(one.bytes == one.path.stat().st_size for one in kept)
    assert kept[0].published > kept[1].published


def test_rollback_goes_back_and_forth(tiny, tmp_path):
    for value in (1, 2):
        publish(tiny(value), tmp_path)
    assert rollback(tmp_path).model_version == served(tmp_path) == "v1"
    assert rollback(tmp_path).model_version == served(tmp_path) == "v2"


def test_what_was_rolled_back_goes_first(tiny, tmp_path):
    for value in (1, 2):
        publish(tiny(value), tmp_path)
    rollback(tmp_path)
    publish(tiny(3), tmp_path)
    assert [one.model_version for one in versions(tmp_path)] == ["v3", "v1"]


def test_rollback_needs_an_earlier_store(tiny, tmp_path):
    with pytest.raises(InputError, match=r"holds no published store.\nHint: run clv publish"):
        rollback(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    publish(tiny(1), tmp_path)
    with pytest.raises(InputError, match="no earlier store"):
        rollback(tmp_path)


def test_one_run_publishes_at_a_time(tiny, tmp_path):
    publish(tiny(1), tmp_path)
    before = names(tmp_path)
    with folder.alone(tmp_path), pytest.raises(InputError, match="another run is publishing"):
        publish(tiny(2), tmp_path)
    assert (names(tmp_path), served(tmp_path)) == (before, "v1")
    publish(tiny(2), tmp_path)


def test_files_of_others_are_left_alone(tiny, tmp_path):
    publish(tiny(1), tmp_path)
    (tmp_path / "stores" / "notes.txt").write_text("mine")
    publish(tiny(2), tmp_path)
    publish(tiny(3), tmp_path)
    assert (tmp_path / "stores" / "notes.txt").exists()


def test_a_file_or_a_closed_place_is_no_folder(tiny, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        publish(tiny(1), tmp_path / "file")
    with pytest.raises(InputError, match="cannot be written to"):
        publish(tiny(1), tmp_path / "file" / "below")


@pytest.mark.parametrize(
    "said",
    [
        "",
        "[]",
        "{}",
        '{"current": 7, "previous": null}',
        '{"current": "../../x.duckdb", "previous": null}',
        '{"current": "/etc/passwd", "previous": null}',
    ],
)
def test_a_pointer_that_names_no_file_of_the_store_is_refused(tmp_path, said):
    (tmp_path / "CURRENT").write_text(said)
    with pytest.raises(InputError, match="CURRENT"):
        Store.open(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "short", "text", "other", "gone"])
def test_a_damaged_file_is_named(tiny, tmp_path, damage):
    path = publish(tiny(1), tmp_path).path
    whole = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "short":
        path.write_bytes(whole[:-1])
    elif damage == "text":
        path.write_text("no database")
    elif damage == "other":
        import duckdb

        duckdb.connect(path).close()
    with pytest.raises(InputError, match=r"cannot be opened as a store(.|\n)*clv rollback"):
        Store.open(tmp_path)


@pytest.mark.parametrize("other", [1, 99])
def test_a_file_of_another_format_says_so(tiny, tmp_path, other):
    import duckdb

    path = publish(tiny(1), tmp_path).path
    with duckdb.connect(path) as connection:
        (text,) = connection.execute("SELECT content FROM about").fetchall()[0]
        about = {name: said for name, said in json.loads(text).items() if name != "keyed"}
        changed = json.dumps(about | {"format": other})
        connection.execute("UPDATE about SET content = ?", [changed])
    with pytest.raises(InputError, match=rf"is of format {other}(.|\n)*publish again"):
        Store.open(tmp_path)


def test_a_store_reads_its_own_file_and_writes_nothing(tiny, tmp_path):
    publish(tiny(1), tmp_path)
    with Store.open(tmp_path) as store:
        for query in ("FROM read_text('/etc/passwd')", "DELETE FROM customers", "ATTACH 'x.db'"):
            with pytest.raises(Exception, match=r"Cannot|read-only"):
                store._rows(query)


@pytest.mark.parametrize("step", STEPS)
def test_an_error_on_the_way_changes_nothing(tiny, tmp_path, monkeypatch, step):
    publish(tiny(1), tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*STEPS[step], full)
    with pytest.raises(InputError, match="No space left"):
        publish(tiny(2), tmp_path)
    monkeypatch.undo()
    assert served(tmp_path) == "v1"
    publish(tiny(3), tmp_path)
    assert [one.model_version for one in versions(tmp_path)] == ["v3", "v1"]
    assert names(tmp_path) == {one.path.name for one in versions(tmp_path)}


@pytest.mark.slow
def test_a_crash_at_any_step_leaves_a_whole_store(tiny, tmp_path):
    base, out = tmp_path / "base", tmp_path / "out"
    for value in (0, 1):
        publish(tiny(value), base)
    tiny(2).to_json(tmp_path / "v2.json", orient="records")
    out.mkdir()
    words = [sys.executable, "-c", CRASHING, base, out, tmp_path / "v2.json"]
    subprocess.run(words, check=True, timeout=120, env=os.environ | {"OMP_NUM_THREADS": "1"})
    found = [served(out / str(k)) for k in range(len(list(out.iterdir())))]
    print(found)
    assert len(found) > 10
    first = found.index("v2")
    assert found == ["v1"] * first + ["v2"] * (len(found) - first)
    for k in range(0, len(found), 3):
        place = out / str(k)
        publish(tiny(3), place)
        assert [one.model_version for one in versions(place)] == ["v3", found[k]]
        assert names(place) == {one.path.name for one in versions(place)}
