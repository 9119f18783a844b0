"""``clv serve``: scores and decisions over HTTP."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from clv.cli.application import command
from clv.cli.options import CHAMPION, Model
from clv.cli.screen import Screen
from clv.errors import InputError, ModelError
from clv.extras import require_extra

if TYPE_CHECKING:
    from clv.scorer import CustomerScorer
    from clv.web.access.who import Access

MOST_WORKERS = 256
SIGN_IN = """\
from = ["127.0.0.1"]             # the proxy; nobody else is believed
user = "X-Forwarded-Email"       # its headers; these are the defaults
groups = "X-Forwarded-Groups"
everyone = "viewer"               # signed in, not named; else refused
[roles]
marketing = "planner"            # a group
"user:anna@example.com" = "admin"
"""


@dataclass(frozen=True, kw_only=True)
class AccessOptions:
    """Who may use the server, and what is noted of it."""

    HEADING: ClassVar[str] = "Who may use it"
    keys: Annotated[
        Path | None,
        typer.Option(metavar="FILE", envvar="CLV_KEYS", help="Who may come in: clv keys add."),
    ] = None
    audit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where logins and plans are noted.")
    ] = None
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A name that requests may be for, as of a proxy."),
    ] = None

    proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS", help="A proxy, which is believed for whom it asks. Else nobody is."
        ),
    ] = None

    sign_in: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Who comes through a sign-in proxy, as .toml: below."),
    ] = None

    def proxies(self) -> list[str]:
        """The addresses of proxies; ``InputError`` if one is none."""
        for address in self.proxy or ():
            try:
                ipaddress.ip_network(address)
            except ValueError as error:
                raise InputError(
                    f"{address!r} is no address of a proxy.",
                    hint="give it as in --proxy 127.0.0.1 or --proxy 10.0.0.0/8.",
                ) from error
        return self.proxy or []

    def open(self, host: str) -> Access:
        """The rules of access on an address, with the pages for people who are refused."""
        from clv.web.access.who import Access
        from clv.web.page import error_page, login_page

        access = Access.on(
            host,
            keys=self.keys,
            audit=self.audit,
            hosts=self.allow_host or (),
            sign_in=self.sign_in,
        )
        access.login_page, access.error_page = login_page, error_page
        return access


@command(
    "clv serve --store store",
    "clv serve --scores scores.parquet --model models/demo --port 9000",
    "clv serve --store store --host 0.0.0.0 --keys clv-keys.json",
    "clv serve --store store --workers 4",
    "clv serve --jobs uploads                begin empty, and upload orders",
    "clv serve --store store --jobs uploads --keys clv-keys.json",
    "clv serve --store store --sign-in sign-in.toml --allow-host clv.example.com",
    "curl localhost:8000/v1/model",
    A_sign_in=SIGN_IN,
)
def serve(
    ctx: typer.Context,
    who: AccessOptions,
    model: Model = CHAMPION,
    store: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="What clv publish writes to.")
    ] = None,
    scores: Annotated[
        str | None, typer.Option(metavar="SCORES", help="Or a file that clv score wrote.")
    ] = None,
    host: Annotated[str, typer.Option(metavar="HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="0 takes one that is free.")
    ] = 8000,
    workers: Annotated[
        int,
        typer.Option(metavar="N", min=1, max=MOST_WORKERS, help="Processes, about one a core."),
    ] = 1,
    jobs: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Let admins upload orders on the page, train, publish and go back, and planners "
            "save segments and plans; kept here. The store may be empty still.",
        ),
    ] = None,
    mcp: Annotated[
        bool, typer.Option("--mcp", help="Also tools for assistants, at /mcp: see clv mcp.")
    ] = False,
) -> None:
    """Serve scores and decisions over HTTP.

    /v1/openapi.json describes the requests. Without keys it listens on this
    machine only.
    """
    screen: Screen = ctx.obj
    if store and scores:
        raise typer.BadParameter("give --store or --scores, not both.")
    if jobs and scores:
        raise typer.BadParameter("--jobs publishes to a store: give --store, not --scores.")
    if jobs and not store:
        store = Path("store")  # as of clv publish
    then = f", then opening {store or scores}" if store or scores else ""
    screen.note(f"Starting: loading model {model}{then} ...")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before scikit-learn loads: 1 ms a row, not 200
    require_extra("serve", "uvicorn", "fastapi")
    from clv.app.registry import load_scorer
    from clv.store.folder import served_file
    from clv.web.workers import opened, settle

    settle("WARNING" if screen.quiet else "INFO")
    first = jobs is not None and store is not None and not served_file(store)
    scorer, proxies = scorer_for(screen, store, model, may_be_missing=first), who.proxies()
    if mcp:
        require_extra("mcp", "mcp")
    access = partial(who.open, host)
    with opened(workers, scorer, scores, store, access, tools=mcp, jobs=jobs) as serving:
        _warn_of_versions(screen, serving.published, scorer)
        listening = _listen(host, port)
        address = f"http://{host if ':' not in host else f'[{host}]'}:{listening.getsockname()[1]}"
        if first:
            screen.say(f"Nothing is published yet: upload orders at {address}/jobs (Ctrl-C stops)")
        else:
            _announce(screen, scorer, address, page=bool(store or scores))
        if mcp:
            screen.say(f"Tools for assistants: {address}/mcp")
        with _working(screen, jobs, store, model):
            serving.run(listening, proxies, lambda: load_scorer(model))


@contextmanager
def _working(screen: Screen, jobs: Path | None, store: Path | None, model: str) -> Iterator[None]:
    """What is uploaded is worked on meanwhile, by a process of its own."""
    if jobs is None or store is None:
        yield
        return
    from clv.app.jobs.job_folder import JobFolder
    from clv.app.jobs.job_worker import JobKeeper
    from clv.app.registry import MODEL

    in_use = re.fullmatch(r"models:/([^/@]+)@champion", model)
    if in_use is None:
        screen.warn(f"new orders are scored by {model}, also after a model is trained on the page.")
    with JobKeeper(JobFolder(jobs), store, in_use[1] if in_use else MODEL):
        yield


def _announce(screen: Screen, scorer: CustomerScorer | None, address: str, *, page: bool) -> None:
    """Where to find it."""
    named = f"Model {scorer.version}" if scorer else "Scores, without a model of orders,"
    screen.say(f"{named} on {address} (stop with Ctrl-C)")
    screen.next(f"curl {address}/v1/{'model' if scorer else 'contracts'}")
    if page:
        screen.say(f"The page for marketing: {address}/")


def scorer_for(
    screen: Screen, folder: Path | None, model: str, *, may_be_missing: bool = False
) -> CustomerScorer | None:
    """The model that scores new orders; a store with subscribers can be looked at without one."""
    from clv.app.registry import load_scorer
    from clv.store.folder import served_file

    published = folder is not None and bool(served_file(folder))
    behind = _models_with_contracts(folder) if folder and published and model == CHAMPION else []
    if len(behind) == 1:
        return None
    try:
        return load_scorer(model)
    except ModelError as error:
        if may_be_missing:
            return None
        if not behind:
            raise
        screen.warn(f"new orders are not scored: {error.message}")
        return None


def _models_with_contracts(folder: Path) -> list[str]:
    """The models behind a store that holds subscribers' scores; none if it holds no such."""
    from clv.score_columns import models_behind
    from clv.store import Stores

    stores = Stores(folder, check_every=None)
    try:
        with stores.borrow() as store:
            behind = models_behind(store.stated["model_version"])
            document = store.document("contracts")
            return behind if document and document["version"] in behind else []
    finally:
        stores.close()


def _warn_of_versions(screen: Screen, published: str | None, scorer: CustomerScorer | None) -> None:
    """Scores that are looked up and new histories should be of one model."""
    from clv.score_columns import models_behind

    if scorer and published and scorer.version not in models_behind(published):
        screen.warn(
            f"the scores are of model {published}, new histories are scored by {scorer.version}."
        )


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens, taken before the server says that it does."""
    if not host.strip():  # a socket takes it for every address
        raise InputError(
            "--host is empty.",
            hint="leave it out for this machine alone, or give 0.0.0.0 for every address.",
        )
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise InputError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}.",
            hint="choose another with --port or --host.",
        ) from error
