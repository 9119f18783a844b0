"""The command line: parse, call, print."""

from clv.extras import require_extra

require_extra("cli", "typer", "rich", "duckdb")
