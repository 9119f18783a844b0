"""What is kept of stores and offers: made once, and nobody waits for what others ask."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from clv.app.retention import Recent


def test_it_is_made_once_however_many_ask():
    made, go = [], Event()

    def slowly() -> str:
        go.wait(10)
        made.append(1)
        return "dear"

    kept = Recent(2)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(kept.get, "a", slowly) for _ in range(4)]
        assert kept.get("b", lambda: "other") == "other"  # while the first is being made
        go.set()
        assert [one.result() for one in asked] == ["dear"] * 4
    assert made == [1]


def test_what_fails_is_made_when_it_is_asked_for_again():
    kept = Recent(1)
    with pytest.raises(ZeroDivisionError):
        kept.get("a", lambda: 1 / 0)
    assert kept.get("a", lambda: 2) == 2


def test_only_the_last_few_are_kept():
    kept, made = Recent(2), []
    for key in "abacab":
        kept.get(key, lambda key=key: made.append(key))
    assert made == ["a", "b", "c", "b"]
