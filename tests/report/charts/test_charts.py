"""Charts: places of points worked out by hand, markup that is whole, nothing that CSP refuses."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from clv.errors import InputError
from clv.locales import in_locale
from clv.report.charts import (
    Axis,
    Chart,
    Column,
    IntervalRow,
    Label,
    LegendKey,
    Series,
    Shades,
    Table,
    axis,
    bar,
    column_chart,
    heat,
    interval_chart,
    line_chart,
    money_axis,
    number_axis,
    share_axis,
    track,
)

HOSTILE = '<script>alert("x") & more</script>'
TENTHS = axis(0, 10, "{:g}".format)
HUNDRED = axis(0, 100, "{:g}".format)
NONE = Table("", (), ())


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
    (line,) = of_class(line_chart("t", "d", [series], TENTHS, HUNDRED, NONE).svg, "line")
    assert line.get("points") == "0,100 50,50 100,0"


def test_a_band_goes_up_one_side_and_down_the_other() -> None:
    band = Series("a", [0, 10], [100, 100], "band", low=[50, 0])
    (shape,) = of_class(line_chart("t", "d", [band], TENTHS, HUNDRED, NONE).svg, "band")
    assert shape.get("points") == "0,0 100,0 100,100 0,50"


def test_dots_lie_where_their_values_are_and_say_them_to_the_pointer() -> None:
    series = Series("a", [2.5], [75], "dots", "2")
    svg = line_chart("t", "d", [series], TENTHS, HUNDRED, NONE).svg
    (dot,) = of_class(svg, "dot")
    assert (dot.get("cx"), dot.get("cy")) == ("25%", "25%")
    assert [one.text for one in dot] == ["a: 2.5, 75"]


def test_columns_stand_on_zero_also_below_it() -> None:
    y = axis(-50, 50, "{:g}".format)
    chart = column_chart("t", "d", ["p", "q"], {"a": [50, -25]}, y, NONE)
    up, down = of_class(chart.svg, "fill")
    assert (up.get("y"), up.get("height")) == ("0%", "50%")
    assert (down.get("y"), down.get("height")) == ("50%", "25%")


def test_an_interval_reaches_from_low_to_high_and_the_dot_is_what_came() -> None:
    rows = [IntervalRow("a", 50, 25, 75, 100), IntervalRow("b", 10)]
    svg = interval_chart("t", "d", rows, HUNDRED, NONE, legend=()).svg
    (span,), (dot,) = of_class(svg, "span"), of_class(svg, "dot")
    assert (span.get("x"), span.get("width"), dot.get("cx")) == ("25%", "50%", "100%")
    assert [one.get("x1") for one in of_class(svg, "mark")] == ["50%", "10%"]


def test_cells_stay_within_their_box() -> None:
    assert 'width="100%" height="100%" rx="2"' in bar(7.0)
    assert of_class(track(-1.0, 0.9), "dot")[0].get("cx") == "0%"
    assert "heat-9" in heat("x", 3.0)
    assert "heat-0" in heat("x", -3.0)


def test_marks_say_just_where_they_stand() -> None:
    ends = share_axis("came", 0.97, 1.06)
    assert [text for _, text in ends.ticks] == ["95%", "97.5%", "100%", "102.5%", "105%", "107.5%"]
    money = money_axis(97_000, 105_000, "GBP", "Profit")
    assert [text for _, text in money.ticks] == ["£96k", "£98k", "£100k", "£102k", "£104k", "£106k"]
    halves = money_axis(1_000_000, 1_009_000, "GBP", "Profit")
    assert [text for _, text in halves.ticks][1] == "£1.0025m"
    assert [text for _, text in number_axis(0, 0.3).ticks] == ["0", "0.1", "0.2", "0.3"]


def test_a_stem_stands_on_zero_and_a_hint_of_its_own_is_shown() -> None:
    stem = Series("a", [5], [50], "stems", hints=["on Monday: £50"])
    (line,) = of_class(line_chart("t", "d", [stem], TENTHS, HUNDRED, NONE).svg, "line")
    ends = [line.get(name) for name in ("x1", "x2", "y1", "y2")]
    assert ends == ["50%", "50%", "100%", "50%"]
    assert line[0].text == "on Monday: £50"


def test_shades_of_one_level_are_one_element_with_their_name() -> None:
    names = ["under 10", "10 to 20", "over 20"]
    field = Shades([0, 2, 5, 10], [0, 50, 100], [[1, 2, 15], [30, 20, 10]], [10, 20], names)
    chart = line_chart("t", "d", [field], TENTHS, HUNDRED, NONE)
    cells = [
        (c.get("x"), c.get("width"), c.get("y"), c[0].text) for c in of_class(chart.svg, "fill")
    ]
    assert cells == [
        ("0%", "50%", "50%", "under 10"),
        ("50%", "50%", "50%", "10 to 20"),
        ("0%", "50%", "0%", "over 20"),
        ("50%", "50%", "0%", "10 to 20"),
    ]
    assert [key.label for key in chart.keys] == names


def test_a_legend_has_a_line_for_each_label_and_none_for_what_has_no_words() -> None:
    both = [Series("a", [0, 1], [0, 1], "line", "3"), Series("a", [0], [1], "dots", "3")]
    plain = Series("", [0, 1], [0, 1], "band", low=[0, 0])
    chart = line_chart(
        "t", "d", [plain, *both, Series("b", [0], [1], "rings")], TENTHS, HUNDRED, NONE
    )
    assert chart.keys == (LegendKey("a", "3", "line"), LegendKey("b", "1", "ring"))
    assert line_chart("t", "d", both, TENTHS, HUNDRED, NONE, legend=()).keys == ()


def test_names_that_would_meet_are_moved_apart() -> None:
    names = [Label(2, 50, "low"), Label(2.2, 52, "high"), Label(6, 51, "aside")]
    svg = line_chart("t", "d", [], TENTHS, HUNDRED, NONE, labels=names).svg
    places = {name.text: (name.get("y"), name.get("text-anchor")) for name in of_class(svg, "row")}
    assert places == {
        "low": ("50%", "start"),
        "aside": ("49%", "start"),
        "high": ("40.5%", "start"),
    }


def test_names_at_the_right_edge_stand_to_the_left_of_their_point() -> None:
    names = [Label(9, 90, "far away"), Label(1, 10, "near"), Label(1, 50, "so", "left")]
    svg = line_chart("t", "d", [], TENTHS, HUNDRED, NONE, labels=names).svg
    assert [name.get("text-anchor") for name in of_class(svg, "row")] == ["start", "end", "end"]


def example() -> Chart:
    table = Table("Both", (Column("x"), Column("y", "number")), [("a & b", "50")])
    series = [Series("a & b", [0, 5, 10], [0, 50, 100]), Series("b", [5], [50], "rings", "2")]
    return line_chart("Up & up", "It rises.", series, TENTHS, HUNDRED, table, "A caption.")


def test_a_file_of_its_own_is_whole_with_title_legend_and_its_own_colours(tmp_path: Path) -> None:
    written = example().save(tmp_path / "new" / "chart.svg").read_text(encoding="utf-8")
    root = tree(written)
    words = [e.text for e in root.iter() if e.tag.endswith("}text")]
    assert words[:4] == ["Up & up", "A caption.", "a & b", "b"]
    assert (root.get("width"), root.get("viewBox")) == ("720", "0 0 720 402")
    assert "var(" not in written
    assert ".line.tone-1, .dash.tone-1 { fill: none; stroke: #0067a5;" in written
    dark = written.partition("@media (prefers-color-scheme: dark)")[2]
    assert ".line.tone-1, .dash.tone-1 { fill: none; stroke: #6cb8ea;" in dark
    assert {"http://www.w3.org/2000/svg"} == set(re.findall(r"https?://[^\"]+", written))


def test_a_page_of_its_own_holds_the_table_and_fetches_nothing(tmp_path: Path) -> None:
    written = example().save(tmp_path / "chart.html").read_text(encoding="utf-8")
    assert "<title>Up &amp; up</title>" in written
    assert '<th scope="row" class="text">a &amp; b</th>' in written
    assert '<td class="number">50</td>' in written
    assert "<script" not in written
    assert "http" not in written


def test_a_notebook_shows_the_figure_in_a_style_that_leaks_nowhere() -> None:
    shown = example()._repr_html_()
    style = shown.partition("<style>")[2].partition("</style>")[0]
    assert style.strip().startswith("@scope (.clv-figure) {")
    assert style.count("{") == style.count("}")
    assert ":root" not in style
    assert "<figcaption>A caption.</figcaption>" in shown


def test_a_chart_is_saved_as_svg_or_html_alone(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be written as 'chart.png'\nHint: end the name"):
        example().save(tmp_path / "chart.png")


@pytest.mark.parametrize(
    "chart",
    [
        line_chart(HOSTILE, HOSTILE, [Series(HOSTILE, [1], [1], "dots")], TENTHS, HUNDRED, NONE),
        column_chart(HOSTILE, HOSTILE, [HOSTILE], {HOSTILE: [5]}, HUNDRED, NONE, label=HOSTILE),
        interval_chart(
            HOSTILE, HOSTILE, [IntervalRow(HOSTILE, 1, note=HOSTILE)], HUNDRED, NONE, legend=()
        ),
        line_chart("t", "d", [], Axis(0, 1, ((0, HOSTILE),), HOSTILE), HUNDRED, NONE),
        line_chart("t", "d", [], TENTHS, HUNDRED, NONE, labels=[Label(1, 1, HOSTILE)]),
    ],
)
def test_charts_are_whole_described_and_hold_no_style_or_script_whatever_they_are_told(
    chart: Chart,
) -> None:
    root = tree(chart.svg)
    assert root.get("role") == "img"
    assert root.get("aria-label")
    assert root[0].tag == "desc"
    assert root[0].text
    assert not [one for one in root.iter() if one.tag in ("script", "style") or one.get("style")]


def test_two_figures_with_decimal_commas_are_parted_by_a_semicolon():
    def hint() -> str:
        across, up = number_axis(0, 200), number_axis(0, 10)
        series = Series("today", [142.5], [4.5], "dots")
        return next(series._hint(0, across, up))

    assert hint() == "today: 142.5, 4.5"
    with in_locale("de_DE"):
        assert hint() == "today: 142,5; 4,5"


def test_the_pointer_reads_a_line_along_its_way() -> None:
    """At 34 of 100 points, the first among them; a line without a name has nothing to say."""
    x, y = [k / 10 for k in range(100)], [float(k) for k in range(100)]
    series = [Series("Gain", x, y), Series("", x, y, "dash")]
    stops = of_class(str(line_chart("Gains", "A line.", series, TENTHS, HUNDRED, NONE).svg), "stop")
    read = [one[0].text for one in stops]
    assert len(read) == 34
    assert read[:3] == ["Gain: 0, 0", "Gain: 0.3, 3", "Gain: 0.6, 6"]
    assert (stops[1].get("cx"), stops[1].get("cy")) == ("3%", "97%")
