"""A store that is published anew while it is read: every answer whole, and of one version."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import duckdb
import pytest

from clv.errors import InputError
from clv.store import Sort, Store, Stores, publish, rollback

CUSTOMERS = 200


def answer(store: Store) -> float:
    """Several questions of one request; the figures of version v are all v."""
    found = store.customer("c7")
    assert found is not None
    value: float = found["clv"]
    assert store.terms["model_version"] == f"v{value:g}"
    assert store.totals().value == pytest.approx(CUSTOMERS * value)
    page = store.search(sort=Sort("customer_id"), size=20)
    assert [row["clv"] for row in page.rows] == [value] * 20
    exported = store.export(columns=("clv",), terms=("model_version",)).read_all()
    assert exported.num_rows == CUSTOMERS
    assert exported["clv"].unique().to_pylist() == [value]
    return value


def test_no_request_is_lost_while_five_versions_are_published(tiny, tmp_path):
    publish(tiny(1, CUSTOMERS), tmp_path)
    done = Event()

    def read(stores: Stores) -> list[float]:
        seen = []
        while not done.is_set():
            with stores.borrow() as store:
                seen.append(answer(store))
        return seen

    with Stores(tmp_path, check_every=0.0) as stores, ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read, stores) for _ in range(4)]
        try:
            for value in range(2, 7):
                publish(tiny(value, CUSTOMERS), tmp_path)
                time.sleep(0.15)
        finally:
            done.set()
        seen = [reader.result() for reader in readers]
        stores.refresh()
        with stores.borrow() as store:
            assert answer(store) == 6
    assert all(values == sorted(values) for values in seen)  # never back to an older one
    assert len({value for values in seen for value in values}) > 2
    assert min(map(len, seen)) > 5


def test_a_request_keeps_its_version_to_its_end(tiny, tmp_path):
    publish(tiny(1), tmp_path)
    with Stores(tmp_path, check_every=None) as stores:
        with stores.borrow() as old, stores.borrow() as same:
            assert old is same
            reader = old.export(columns=("clv",))
            for value in (2, 3, 4):  # by then the file of version 1 is no longer in the folder
                publish(tiny(value), tmp_path)
                assert stores.refresh()
            assert not old.path.exists()
            assert answer(old) == 1
            assert reader.read_all()["clv"].unique().to_pylist() == [1]
            with stores.borrow() as new:
                assert answer(new) == 4
        with pytest.raises(Exception, match="closed"):
            old.search()


def test_the_pointer_is_looked_at_no_more_often_than_asked(tiny, tmp_path):
    publish(tiny(1), tmp_path)
    with Stores(tmp_path, check_every=3600) as stores:
        publish(tiny(2), tmp_path)
        with stores.borrow() as store:
            assert answer(store) == 1
        assert stores.refresh()
        assert not stores.refresh()
        with stores.borrow() as store:
            assert answer(store) == 2


def test_a_store_is_warmed_before_it_takes_over(tiny, tmp_path):
    publish(tiny(1), tmp_path)
    warmed = []

    def warm(store: Store) -> None:
        warmed.append((answer(store), stores_now(opened)))

    opened: list[Stores] = []
    with Stores(tmp_path, check_every=None, warm=warm) as stores:
        opened.append(stores)
        publish(tiny(2), tmp_path)
        assert stores.refresh()
        assert not stores.refresh()
    assert warmed == [(1, None), (2, 1)]  # what is warmed, and what is served meanwhile


def stores_now(opened: list[Stores]) -> float | None:
    if not opened:
        return None
    with opened[0].borrow() as store:
        return answer(store)


def test_what_fails_to_be_warmed_is_served_all_the_same(tiny, tmp_path, caplog):
    def warm(store: Store) -> None:
        raise RuntimeError("customer secret-name")

    publish(tiny(1), tmp_path)
    with caplog.at_level(logging.ERROR), Stores(tmp_path, check_every=None, warm=warm) as stores:
        publish(tiny(2), tmp_path)
        assert stores.refresh()
        with stores.borrow() as store:
            assert answer(store) == 2
    assert caplog.text.count("is not warm: RuntimeError") == 2
    assert "secret" not in caplog.text


def test_a_damaged_block_is_found_before_the_store_takes_over(tiny, tmp_path, caplog, monkeypatch):
    publish(tiny(1), tmp_path)
    with Stores(tmp_path, check_every=None) as stores:
        publish(tiny(2), tmp_path)
        opened, damaged = [], duckdb.IOException("Corrupt database file: checksum of a block")

        def read(store: Store) -> None:
            opened.append(store)
            raise damaged

        with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
            patch.setattr(Store, "warm", read)
            assert not stores.refresh()
        assert "the store stays as it is: IOException" in caplog.text
        with pytest.raises(Exception, match="closed"):
            opened[0].search()
        with stores.borrow() as store:
            assert answer(store) == 1
        assert stores.refresh()  # at the next look it could be read


def test_a_rollback_is_served(tiny, tmp_path):
    publish(tiny(1), tmp_path)
    publish(tiny(2), tmp_path)
    with Stores(tmp_path, check_every=0.0) as stores:
        rollback(tmp_path)
        with stores.borrow() as store:
            assert answer(store) == 1


def test_a_pointer_that_says_the_same_again_changes_nothing(tiny, tmp_path):
    publish(tiny(1), tmp_path)
    publish(tiny(2), tmp_path)
    with Stores(tmp_path, check_every=None) as stores, stores.borrow() as store:
        rollback(tmp_path)
        rollback(tmp_path)
        assert not stores.refresh()
        with stores.borrow() as same:
            assert same is store
        assert answer(store) == 2


@pytest.mark.parametrize("damage", ["pointer gone", "pointer damaged", "file damaged"])
def test_what_cannot_be_opened_is_logged_and_the_old_one_stays(tiny, tmp_path, caplog, damage):
    publish(tiny(1), tmp_path)
    with Stores(tmp_path, check_every=0.0) as stores:
        path = publish(tiny(2), tmp_path).path
        if damage == "pointer gone":
            (tmp_path / "CURRENT").unlink()
        elif damage == "pointer damaged":
            (tmp_path / "CURRENT").write_text("{")
        else:
            path.unlink()
            path.write_text("no database")
        with caplog.at_level(logging.ERROR), stores.borrow() as store:
            assert answer(store) == 1
        assert "the store stays as it is" in caplog.text
        publish(tiny(3), tmp_path) if damage != "pointer damaged" else repair(tmp_path, path)
        with stores.borrow() as store:
            assert answer(store) in (2, 3)


def repair(place: Path, path: Path) -> None:
    (place / "CURRENT").write_text(f'{{"current": "{path.name}", "previous": null}}')


def test_one_event_loop_serves_many(tiny, tmp_path):
    publish(tiny(1), tmp_path)

    async def request(stores: Stores) -> float:
        with stores.borrow() as store:
            await asyncio.sleep(0)
            return answer(store)

    async def all_of_them(stores: Stores) -> list[float]:
        asked = [asyncio.create_task(request(stores)) for _ in range(10)]
        await asyncio.to_thread(publish, tiny(2), tmp_path)
        asked += [asyncio.create_task(request(stores)) for _ in range(10)]
        return await asyncio.gather(*asked)

    with Stores(tmp_path, check_every=0.0) as stores:
        assert asyncio.run(all_of_them(stores)) == [1] * 10 + [2] * 10


def test_a_folder_without_a_store_is_refused(tmp_path):
    with pytest.raises(InputError, match="run clv publish first"):
        Stores(tmp_path)
