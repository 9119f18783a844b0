"""Charts: places of points worked out by hand, markup that is whole, nothing that CSP refuses."""

from __future__ import annotations

import itertools
import math
from xml.etree import ElementTree

import pytest

from clv.web.page.charts import (
    Axis,
    Interval,
    Series,
    axis,
    bar,
    column_chart,
    heat,
    interval_chart,
    line_chart,
    track,
)

HOSTILE = '<script>alert("x") & more</script>'
TENTHS = axis(0, 10, "{:g}".format)
HUNDRED = axis(0, 100, "{:g}".format)


def tree(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def of_class(svg: str, name: str) -> list[ElementTree.Element]:
    return [one for one in tree(svg).iter() if name in one.get("class", "").split()]


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0, 87), (-3, 12.5), (0.93, 1.61), (5, 5), (0, 0), (1e-9, 3e-9)]
)
def test_an_axis_covers_what_it_shows_with_few_round_even_ticks(low: float, high: float) -> None:
    found = axis(low, high, "{:g}".format)
    values = [value for value, _ in found.ticks]
    steps = [b - a for a, b in itertools.pairwise(values)]
    assert found.low <= low <= high <= found.high
    assert 2 <= len(values) <= 8
    assert steps == pytest.approx([steps[0]] * len(steps))
    lead = steps[0] / 10 ** math.floor(math.log10(steps[0]) + 1e-9)
    assert min(abs(lead - nice) for nice in (1, 2, 2.5, 5, 10)) < 1e-6


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_an_axis_to_nowhere_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="cannot be drawn"):
        axis(0, bad, str)


def test_a_line_goes_through_its_points_and_leaves_out_what_is_no_number() -> None:
    series = Series("a", [0, 5, 7, 10], [0, 50, math.nan, 100])
    (line,) = of_class(line_chart("t", "d", [series], TENTHS, HUNDRED), "line")
    assert line.get("points") == "0,100 50,50 100,0"


def test_a_band_goes_up_one_side_and_down_the_other() -> None:
    band = Series("a", [0, 10], [100, 100], "band", low=[50, 0])
    (shape,) = of_class(line_chart("t", "d", [band], TENTHS, HUNDRED), "band")
    assert shape.get("points") == "0,0 100,0 100,100 0,50"


def test_dots_lie_where_their_values_are_and_say_them_to_the_pointer() -> None:
    svg = line_chart("t", "d", [Series("a", [2.5], [75], "dots", "2")], TENTHS, HUNDRED)
    (dot,) = of_class(svg, "dot")
    assert (dot.get("cx"), dot.get("cy")) == ("25%", "25%")
    assert [one.text for one in dot] == ["a: 2.5, 75"]


def test_columns_stand_on_zero_also_below_it() -> None:
    y = axis(-50, 50, "{:g}".format)
    up, down = of_class(column_chart("t", "d", ["p", "q"], [("a", "1", [50, -25])], y), "fill")
    assert (up.get("y"), up.get("height")) == ("0%", "50%")
    assert (down.get("y"), down.get("height")) == ("50%", "25%")


def test_an_interval_reaches_from_low_to_high_and_the_dot_is_what_came() -> None:
    rows = [Interval("a", 50, 25, 75, 100), Interval("b", 10)]
    svg = interval_chart("t", "d", rows, HUNDRED)
    (span,), (dot,) = of_class(svg, "span"), of_class(svg, "dot")
    assert (span.get("x"), span.get("width"), dot.get("cx")) == ("25%", "50%", "100%")
    assert [one.get("x1") for one in of_class(svg, "mark")] == ["50%", "10%"]


def test_cells_stay_within_their_box() -> None:
    assert 'width="100%" height="100%" rx="2"' in bar(7.0)
    assert of_class(track(-1.0, 0.9), "dot")[0].get("cx") == "0%"
    assert "heat-9" in heat("x", 3.0)
    assert "heat-0" in heat("x", -3.0)


@pytest.mark.parametrize(
    "svg",
    [
        line_chart(HOSTILE, HOSTILE, [Series(HOSTILE, [1], [1], "dots")], TENTHS, HUNDRED),
        column_chart(HOSTILE, HOSTILE, [HOSTILE], [(HOSTILE, "1", [5])], HUNDRED, label=HOSTILE),
        interval_chart(HOSTILE, HOSTILE, [Interval(HOSTILE, 1, note=HOSTILE)], HUNDRED),
        line_chart("t", "d", [], Axis(0, 1, ((0, HOSTILE),), HOSTILE), HUNDRED),
    ],
)
def test_charts_are_whole_described_and_hold_no_style_or_script_whatever_they_are_told(
    svg: str,
) -> None:
    root = tree(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label")
    assert root[0].tag == "desc"
    assert root[0].text
    assert not [one for one in root.iter() if one.tag in ("script", "style") or one.get("style")]
