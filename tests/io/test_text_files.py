"""Files of settings: what is no file, no text, no TOML, no JSON, or holds what is no number."""

from __future__ import annotations

import json
import os

import pytest

from clv.errors import InputError
from clv.io.files import read_json, read_table
from clv.io.text_files import parse_json, parse_toml, read_text, regular_file


def test_what_never_ends_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    for name, why in (("pipe", "a pipe"), ("zero", "a device"), ("loop", "symbolic links")):
        with pytest.raises(InputError, match=why):
            regular_file(tmp_path / f"{name}.csv")
        with pytest.raises(InputError, match=why):
            read_table(tmp_path / f"{name}.csv")
    for path, why in (("-", "a pipe"), (tmp_path, "is a folder"), ("a\0b", "null byte")):
        with pytest.raises(InputError, match=why):
            read_text(path)


def test_text_is_utf_8_with_or_without_a_mark(tmp_path):
    file = tmp_path / "a.toml"
    file.write_bytes("ü".encode("utf-8-sig"))
    assert read_text(file) == "ü"
    file.write_bytes("aü".encode("latin-1"))
    with pytest.raises(InputError, match="byte 1 is none"):
        read_text(file)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "nested too deeply"),
        ('"\\ud800"', "surrogates"),
        ('{"\\udfff": 1}', "surrogates"),
        ("NaN", "NaN is no number"),
        ("[-Infinity]", "-Infinity is no number"),
        ("1e400", "too large"),
        ("9" * 400, "too large"),
        ("9" * 5000, "limit"),
        ("{", "Expecting"),
    ],
)
def test_json_that_is_none(text, why, tmp_path):
    with pytest.raises(InputError, match=rf"^it is no valid JSON: .*{why}"):
        parse_json(text, "it", "try")
    (tmp_path / "it.json").write_text(text)
    with pytest.raises(InputError, match="is no valid JSON"):
        read_json(tmp_path / "it.json")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a = " + "[" * 20_000, "nested too deeply"),
        ("a = " + "9" * 400, "too large"),
        ("a = 1\na = 2", "Cannot overwrite"),
        ('a = "\\ud800"', "surrogate|scalar"),
        ("a", "Expected"),
    ],
)
def test_toml_that_is_none(text, why):
    with pytest.raises(InputError, match=rf"^it is no valid TOML: .*({why})"):
        parse_toml(text, "it", "try")


def test_what_is_right_comes_as_it_is():
    value = {"a": [1, -2.5, None, True, "é", {"b": 10**300}], "é": []}
    assert parse_json(json.dumps(value), "it", "") == value
    assert parse_toml('a = inf\nb = "é"\nc = 1e308', "it", "") == {
        "a": float("inf"),
        "b": "é",
        "c": 1e308,
    }


def test_a_header_beyond_any_size_is_refused(tmp_path):
    file = tmp_path / "wide.csv"
    file.write_text("x" * 200_000 + "\n1\n")
    with pytest.raises(InputError, match="cannot be read: field larger"):
        read_table(file)
    file = tmp_path / "no.csv.gz"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="cannot be read: Not a gzipped file"):
        read_table(file)
