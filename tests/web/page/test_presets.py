"""Lists one click away find whom they name, and only where the store can answer."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qsl

import numpy as np
import pandas as pd

from clv.store import Store
from clv.store.query_fields import chosen, fields_of
from clv.web.page.presets import presets


def links(html: str) -> dict[str, str]:
    said = html[html.index('class="presets"') :]
    pairs = re.findall(r'<a href="([^"]*)">([^<]*)</a>', said[: said.index("</p>")])
    return {name: unescape(address) for address, name in pairs}


def test_each_preset_finds_whom_it_names(browse, folder, scores: pd.DataFrame):
    shown = links(browse("/customers").text)
    assert list(shown) == ["VIPs slipping", "One order, no second", "New this month", "Win back"]
    risk, silent, repeats = (
        scores[name] for name in ("churn_probability", "days_since_last", "frequency")
    )
    best = scores["clv"].rank(ascending=False, method="first") <= np.ceil(0.05 * len(scores))
    expected = {
        "VIPs slipping": best & (risk >= 0.5),
        "One order, no second": (repeats == 0) & (silent >= 30),
        "Win back": (silent >= 180) & (risk >= 0.8),
    }
    with Store.open(folder) as store:
        for name, whom in expected.items():
            query = parse_qsl(shown[name].partition("?")[2])
            assert store.count(chosen(fields_of(query))) == whom.sum(), name
            assert browse(shown[name]).status_code == 200
        new = fields_of(parse_qsl(shown["New this month"].partition("?")[2]))
        assert new["cohorts"] == [str(store.terms["as_of"])[:7]]


def test_what_the_store_cannot_answer_is_not_offered(bare):
    assert list(links(bare(20)("/customers").text)) == ["VIPs slipping", "Win back"]


def test_presets_are_of_the_stores_columns(folder):
    with Store.open(folder) as store:
        assert len(presets(store)) == 4
