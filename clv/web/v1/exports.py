"""Customers as a file: exactly those that a search finds, on all its pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import Body as FromBody
from fastapi import Request, Response
from pydantic import ConfigDict, Field

from clv.app.requests import Body
from clv.io.table_files import TABLE_FILES
from clv.store.query_fields import file_name, for_the_log
from clv.web.download import DownloadFile, download, write_customers
from clv.web.v1.chosen import Searched, require
from clv.web.v1.reply import borrowed, routes

EXAMPLE = {
    "customers": {"tiers": ["top 1%", "1 to 5%"], "churn_from": 0.5},
    "columns": ["customer_id", "tier", "clv", "churn_probability"],
    "format": "csv",
}
FILE: dict[str, Any] = {
    "description": "The file. Every row carries model_version, as_of, horizon and currency.",
    "content": {
        file.media_type.partition(";")[0]: {"schema": {"type": "string"}}
        for file in TABLE_FILES.values()
    },
    "headers": {
        "Content-Disposition": {
            "description": "The name of the file.",
            "required": True,
            "schema": {"type": "string"},
        }
    },
}

if TYPE_CHECKING:
    FileKind = str
else:
    FileKind = Literal[tuple(TABLE_FILES)]
router = routes("exports")


class ExportFilter(Searched):
    """The filters of /v1/customers; everybody without any."""

    model_config = ConfigDict(strict=True)


class ExportBody(Body):
    """Which customers, what of them, in which form."""

    customers: ExportFilter = Field(
        default=ExportFilter(), description="The filters of /v1/customers."
    )
    columns: list[Annotated[str, Field(max_length=200)]] | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Of the customers, in this order; all if not given.",
        examples=[["customer_id", "clv"]],
    )
    format: FileKind = Field(default="csv", description=f"{' or '.join(TABLE_FILES)}.")


@router.post("/exports", response_class=Response, responses={200: FILE})
async def export_customers(
    request: Request,
    body: Annotated[ExportBody, FromBody(openapi_examples={"best": {"value": EXAMPLE}})],
) -> Response:
    """Take customers away as CSV or Parquet; a line of the audit says who took which.

    In CSV, text that a spreadsheet would run as a formula gets an apostrophe before it; Parquet
    holds the values as they are. Lists for Google, Meta and TikTok need contacts and consent,
    which this server does not have and should not be sent: ``clv export --to`` makes them from
    this file.
    """

    def build(folder: Path) -> DownloadFile:
        with borrowed(request) as store:
            for k, name in enumerate(body.columns or ()):
                require(store, name, f"columns[{k}]")
            chosen = body.customers.on(store, "customers.")
            name = file_name(str(store.terms["as_of"]), body.format, chosen)
            columns = None if body.columns is None else list(dict.fromkeys(body.columns))
            file = write_customers(store, chosen, folder / name, columns, local=False)
            return DownloadFile(file, for_the_log(chosen), store.stated)

    return await download(request, build)
