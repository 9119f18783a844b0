"""The quick ways to read plain numbers and dates give what the ways for everything give."""

from __future__ import annotations

import datetime as dt
import math
import random

import duckdb
import pytest

from clv.intake.moments import with_moment
from clv.intake.numbers import Mark, amount_sql, in_any_spelling


@pytest.mark.parametrize("mark", [".", ",", "both"])
def test_a_number_is_the_same_by_the_quick_way_and_by_that_for_all(mark: Mark) -> None:
    rng = random.Random(7)
    drawn = ["".join(rng.choices("0123456789.,-e +", k=rng.randint(1, 9))) for _ in range(3000)]
    texts = [*drawn, "", "-0", "007", "1" * 15, "1" * 16, "1" * 400, "１２", "1_000", "0x1", "inf"]
    con = duckdb.connect()
    con.execute("CREATE TABLE t AS SELECT unnest(?) AS t", [texts])
    pairs = con.execute(f"SELECT t, {amount_sql('t', mark)}, {in_any_spelling('t', mark)} FROM t")
    for text, quick, slow in pairs.fetchall():
        assert quick == slow, text
        assert quick is None or math.copysign(1, quick) == math.copysign(1, slow), text


def test_moments_as_the_engine_reads_them_are_those_of_the_calendar() -> None:
    """By Python's reading of ISO dates; an offset moves the clock only where a zone is named."""
    rng = random.Random(7)
    texts = []
    for _ in range(2000):
        day = f"{rng.randint(1971, 2030)}-{rng.randint(0, 13):02}-{rng.randint(0, 32):02}"
        clock = f"{rng.randint(0, 25):02}:{rng.randint(0, 61):02}:{rng.randint(0, 59):02}"
        offset = rng.choice(["", "Z", "+0100", "-05:30", " +02:00", ".250", ".5Z"])
        texts.append(day + rng.choice(["", f"T{clock}{offset}", f" {clock}{offset}"]))
    con = duckdb.connect()
    con.execute("CREATE TABLE t AS SELECT unnest(?) AS t", [texts])
    read = con.execute(with_moment(con.table("t"), "t").project("t, _at").sql_query()).fetchall()
    assert sum(moment is not None for _, moment in read) > 1200
    for text, moment in read:
        try:
            wall = dt.datetime.fromisoformat(text[:19])
        except ValueError:
            assert moment is None, text
        else:
            assert moment == wall, text
    zoned = with_moment(con.table("t"), "t", zone="Asia/Tokyo").project("t, _at").sql_query()
    late = {t: at for t, at in con.execute(zoned).fetchall() if t.endswith("Z") and at}
    assert len(late) > 100
    for text, moment in late.items():
        there = dt.datetime.fromisoformat(text[:19]) + dt.timedelta(hours=9)
        assert moment == there, text
