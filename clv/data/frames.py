"""Give back the kind of table that was handed in."""

from __future__ import annotations

from typing import Any, cast

import narwhals as nw
from narwhals.typing import IntoFrameT


def as_given(table: Any, log: IntoFrameT, *order: str) -> IntoFrameT:
    """``table`` as the kind of frame that ``log`` is: queries stay queries, tables are sorted."""
    given: Any = nw.from_native(cast("Any", log))
    if isinstance(given, nw.LazyFrame):
        return cast("IntoFrameT", table.to_native())
    if given.implementation.is_pyarrow():  # it may have been computed by another engine
        result = table.lazy().collect("pyarrow").sort(*order)
    else:
        result = nw.maybe_reset_index(table.lazy().collect().sort(*order))
    native = result.to_native()
    if given.implementation.is_pandas():
        native = _backed_alike(native, given.to_native())
    return cast("IntoFrameT", native)


def _backed_alike(table: Any, log: Any) -> Any:
    """Numbers in NumPy's types unless the log holds Arrow's.

    pandas knows dates only as an Arrow type, and what is computed from them stays one.
    """
    import pandas as pd

    def numbers(frame: Any) -> list[str]:
        kinds = frame.dtypes.items()
        return [n for n, kind in kinds if isinstance(kind, pd.ArrowDtype) and kind.kind in "iuf"]

    if numbers(log):
        return table
    plain = {"i": "int64", "u": "int64", "f": "float64"}
    return table.astype({name: plain[table[name].dtype.kind] for name in numbers(table)})
