"""The web: REST API, page, and who may enter."""

from clv.extras import require_extra

require_extra(
    "serve",
    "fastapi",
    "uvicorn",
    "jinja2",
    "prometheus_client",
    "itsdangerous",
    "duckdb",
    "polars",
    "python_multipart",
)
