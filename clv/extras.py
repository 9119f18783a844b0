"""Parts of clv that need more than ``pip install clv`` brings, and the sentence that says so."""

from __future__ import annotations

from importlib.util import find_spec

from clv.errors import MissingExtraError


def require_extra(extra: str, *modules: str) -> None:
    """Make sure that an extra's modules are installed, before they are imported.

    Parameters
    ----------
    extra
        The extra of ``pyproject.toml`` that brings them: cli, serve, report, mlflow,
        warehouse, snowflake, bigquery, delta, iceberg, mcp, spark.
    modules
        The modules about to be imported, by the names of their packages.

    Raises
    ------
    MissingExtraError
        One of them is not installed; the message is the line for pip.

    Examples
    --------
    >>> require_extra("warehouse", "duckdb")
    >>> require_extra("spark", "no_such_spark")
    Traceback (most recent call last):
        ...
    clv.errors.MissingExtraError: this needs no_such_spark: pip install "clv[spark]"
    """
    for module in modules:
        if find_spec(module) is None:
            raise MissingExtraError(f'this needs {module}: pip install "clv[{extra}]"')
