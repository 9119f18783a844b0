"""DuckDB as it is opened everywhere: it installs nothing, and reads no file where it need not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from clv.extras import require_extra

if TYPE_CHECKING:
    import duckdb

PLAIN: dict[str, Any] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
CLOSED: dict[str, Any] = PLAIN | {
    "enable_external_access": False,
    "python_enable_replacements": False,
}


def connect(
    path: str | Path = ":memory:", *, closed: bool = True, **settings: Any
) -> duckdb.DuckDBPyConnection:
    """A connection to a file of DuckDB's, or to its memory.

    Parameters
    ----------
    closed
        Whether it reaches that alone: no other file, no variable of Python.
    settings
        As ``read_only``, and settings of the engine in ``config``.

    >>> connect().sql("SELECT current_setting('enable_external_access')").fetchall()
    [(False,)]
    """
    require_extra("warehouse", "duckdb")
    import duckdb

    config = (CLOSED if closed else PLAIN) | settings.pop("config", {})
    return duckdb.connect(path, config=config, **settings)
