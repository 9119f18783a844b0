"""Lists that leave the house: plain files, audiences for advertisers, and what changed since."""

from clv.extras import require_extra

require_extra("cli", "duckdb", "phonenumbers")
