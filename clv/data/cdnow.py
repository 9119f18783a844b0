"""CDNOW, the data that the field checks itself against, read from the lifetimes package.

CDNOW sold music; the log holds all purchases to the end of June 1998 of the 23,570 customers who
first bought in January to March 1997 (Fader & Hardie 2001). The published estimates rest on a
systematic sample of every tenth customer, 2,357, observed for 39 weeks, to 1997-09-30.

The files are read where they lie: to import lifetimes would change the settings of pandas and
switch warnings off for the whole process.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from clv.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

END_OF_CALIBRATION = dt.date(1997, 9, 30)


def cdnow_summary() -> pd.DataFrame:
    """The published summary of the 2,357 sampled customers, in weeks, as of 1997-09-30.

    Columns as :func:`clv.data.summary.summarize` gives them, without first_amount, which the file
    does not have. Times are rounded to two decimals, as published.

    >>> cdnow_summary()[["customer_id", "frequency", "recency", "T", "monetary_value"]].head(2)
       customer_id  frequency  recency      T  monetary_value
    0            1          2    30.43  38.86           22.35
    1            2          1     1.71  38.86           11.77
    """
    import pandas as pd

    table = pd.read_csv(_dataset("cdnow_customers_summary_with_transactions.csv"))
    table.columns = pd.Index(["customer_id", "frequency", "recency", "T", "monetary_value"])
    days = ((table["T"] - table["recency"]) * 7).round()
    return table.assign(
        days_since_last=days,
        unit="week",
        as_of=pd.Series([END_OF_CALIBRATION] * len(table), dtype="date32[pyarrow]"),
    )


def cdnow_log(sample: bool = False) -> pd.DataFrame:
    """The log: customer_id, date, quantity (of CDs), amount (in dollars); one row per order.

    Parameters
    ----------
    sample
        The 2,357 sampled customers, numbered from 1 as in :func:`cdnow_summary`, instead of all
        23,570.

    Notes
    -----
    A few orders have no money in them (80, or 8 in the sample). The published summary counts them
    as purchases, and so does ``summarize``; ``clean`` drops them unless told to keep them.

    Examples
    --------
    >>> log = cdnow_log()
    >>> len(log), log["customer_id"].nunique()
    (69659, 23570)
    """
    import pandas as pd

    named = ["customer_id", "date", "quantity", "amount"]
    name, header = ("CDNOW_sample.txt", None) if sample else ("CDNOW_master.txt", 0)
    columns = ["_master_id", *named] if sample else named
    table = pd.read_csv(_dataset(name), sep=r"\s+", header=header, names=columns)
    table["date"] = pd.to_datetime(table["date"].astype(str), format="%Y%m%d")
    return table[named]


def _dataset(name: str) -> Path:
    package = importlib.util.find_spec("lifetimes")
    places = (package.submodule_search_locations if package else None) or []
    for place in places:
        path = Path(place) / "datasets" / name
        if path.is_file():
            return path
    raise InputError(
        f"the CDNOW file {name} was not found.", hint="install lifetimes, which carries it."
    )
