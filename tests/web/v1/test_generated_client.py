"""A client that openapi-python-client generates from /v1/openapi.json, against a running server.

The generator lives in an environment of its own, as it wants an older typer than ours.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
import uvicorn

UV = shutil.which("uv", path=str(Path(sys.executable).parent))
GENERATOR = "openapi-python-client==0.29.1"
USER = """
import json, sys
from client import AuthenticatedClient
from client.api.customers import look_customer_up, score_customers, search_customers
from client.api.decisions import plan_retention
from client.api.server import health
from client.models import Customer, Order, RetentionBody, RetentionOffer, ScoreRequest

client = AuthenticatedClient(sys.argv[1], sys.argv[2], raise_on_unexpected_status=True)
best = search_customers.sync(client=client, size=2)
one = look_customer_up.sync(best.customers[0].customer_id, client=client)
orders = [Order(date="1997-01-02", amount=20.0), Order(date="1997-03-02", amount=30.0)]
scored = score_customers.sync(
    client=client, body=ScoreRequest(customers=[Customer(customer_id="ann", orders=orders)])
)
offers = [RetentionOffer(contact_cost=0.1, save_rate=0.3)]
plans = [
    plan_retention.sync(client=client, body=RetentionBody(offers=offers, first=first, limit=2))
    for first in (1, 2)
]
print(json.dumps({
    "status": health.sync(client=client).status,
    "best": [[each.customer_id, each.clv] for each in best.customers],
    "one": one.customer.customer_id,
    "currency": best.currency,
    "scored": [each.customer_id for each in scored.scores],
    "clv": scored.scores[0].clv,
    "targets": [[each.customer_id for each in plan.targets] for plan in plans],
}))
"""


@pytest.fixture
def server(app):
    """Where the application listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        while not running.started:
            time.sleep(0.01)
        yield f"http://localhost:{listening.getsockname()[1]}"
        running.should_exit = True
        thread.join()


def test_operations_and_schemas_have_names_of_their_own_that_say_what_they_are(ask):
    described = ask("GET", "/v1/openapi.json").json()
    operations = [each for methods in described["paths"].values() for each in methods.values()]
    names = Counter(each["operationId"] for each in operations)
    assert set(names.values()) == {1}
    assert all(name.isidentifier() and "v1" not in name for name in names)
    schemas = described["components"]["schemas"]
    titles = Counter(schema.get("title", name) for name, schema in schemas.items())
    assert [title for title, times in titles.items() if times > 1] == []


@pytest.mark.slow
def test_a_generated_client_asks_a_running_server(server, keys, ask, tmp_path):
    def run(*words):
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    (tmp_path / "openapi.json").write_text(ask("GET", "/v1/openapi.json").text, encoding="utf-8")
    (tmp_path / "user.py").write_text(USER, encoding="utf-8")
    run(UV, "venv", "--quiet", "--python", sys.executable, "env")
    run(UV, "pip", "install", "--quiet", "--python", "env/bin/python", GENERATOR)
    options = ("--path", "openapi.json", "--output-path", "client", "--meta", "none")
    said = run("env/bin/openapi-python-client", "generate", *options)
    assert "could not be" not in said.lower()
    got = json.loads(run("env/bin/python", "user.py", server, keys[1]["planner"]))
    best = ask("GET", "/v1/customers?size=2").json()["customers"]
    assert got["best"] == [[each["customer_id"], each["clv"]] for each in best]
    assert (got["status"], got["one"]) == ("ok", best[0]["customer_id"])
    assert (got["scored"], got["clv"] > 0, got["currency"]) == (["ann"], True, "USD")
    assert len(got["targets"][0]) == 2
    assert got["targets"][0][1] == got["targets"][1][0]
