"""The report: what users wrote is escaped, nothing is fetched, the file appears whole."""

from html.parser import HTMLParser

import pandas as pd
import pytest

from clv.format import percent
from clv.report.charts import Chart, Series, Table, line_chart, number_axis, table_of
from clv.report.html import Report, Section

EVIL = "<script>alert('x')</script>"


@pytest.fixture
def report() -> Report:
    rows = pd.DataFrame({"customer": [EVIL, "b"], "clv": [1234.5, float("nan")], "orders": [3, 1]})
    section = Section(
        f"Worth {EVIL}", "All of it.", ["A note."], [table_of(rows, "Values")], [chart()]
    )
    return Report("Customers", EVIL, [("Base", "1,234", EVIL)], [section])


def chart() -> Chart:
    table = Table("The chart's numbers", (), ())
    axes = number_axis(0, 1), number_axis(0, 1)
    return line_chart("A chart", "It rises.", [Series("a", [0, 1], [0, 1])], *axes, table, "c")


class Tags(HTMLParser):
    """Opening tags with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_text_is_escaped_and_nothing_is_fetched(report):
    tags = Tags(report.html()).found
    assert not [tag for tag, _ in tags if tag in {"script", "link", "img", "iframe"}]
    assert not [a for _, attrs in tags for a in attrs if a in {"src", "href"} or a.startswith("on")]
    assert report.html().count("&lt;script&gt;") == 4


def test_numbers_are_written_for_people_and_gaps_as_a_dash(report):
    table = report.sections[0].tables[0]
    assert [column.kind for column in table.columns] == ["text", "number", "number"]
    assert table.rows == [(EVIL, "1,234.50", "3"), ("b", "–", "1")]
    assert table_of(pd.DataFrame({"x": [0.256]}), "", {"x": percent}).rows == [("26%",)]
    ranges = table_of(pd.DataFrame({"x": ["1 (0 to 2)"]}), "", right=("x",))
    assert ranges.columns[0].kind == "number"


def test_every_table_has_a_caption_and_headers_with_a_scope(report):
    tags = Tags(report.html()).found
    names = [tag for tag, _ in tags]
    assert names.count("caption") == names.count("table") == 2
    scopes = [attrs.get("scope") for tag, attrs in tags if tag == "th"]
    assert scopes == ["col", "col", "col", "row", "row"]


def test_the_file_is_replaced_whole(report, tmp_path):
    path = report.write(tmp_path / "out" / "report.html")
    report.write(path)
    assert path.read_text(encoding="utf-8") == report.html()
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
