"""Names and sizes: a stranger can tell what a thing is by its name, and a function fits in the eye.

The limits are those of the house; an exception stands here with its reason.
"""

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
FILES = [path for folder in ("clv", "training") for path in sorted((ROOT / folder).rglob("*.py"))]
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}

# Words that say nothing of what they stand for. A value is an estimate, a match, a mask, an index.
VAGUE = frozenset(
    {
        *("found", "known", "given", "said", "told", "shown", "one", "seen", "some", "own"),
        *("asked", "left", "kept", "at", "of", "worth", "made", "wanted", "gone", "thing"),
        *("things", "stuff", "data2", "tmp", "foo", "ground", "room", "door", "dear", "handed"),
    }
)
VAGUE_SHARE = 0.01
LONGEST_FILE, LONGEST_FUNCTION, LONG_FUNCTION = 400, 40, 20

# Files that are longer, with the reason.
LONG_FILES = {
    "clv/probability/pareto_nbd.py": "one model, one file: its formulas, then the estimator",
    "clv/probability/bg_bb.py": "one model, one file: its formulas, then the estimator",
    "clv/decide/budget/response.py": "five curves of one pattern, read beside each other",
    "clv/store/reader.py": "all questions to the file of a store",
}

# File names that stand more than once, with the noun that the rooms serve.
SAME_NOUN = {
    "allocate.py": "the split of a budget: solver, command, route",
    "application.py": "an application put together: the command line's, the server's",
    "backtest.py": "the backtest of a configuration, and its command",
    "brand.py": "the simulated brand, and the recipe on it",
    "cdnow.py": "the CDNOW data, and the recipe on it",
    "channels.py": "channels: their costs, use case, command, route and page",
    "check.py": "files of orders looked at before use, and the command",
    "contracts.py": "customers under contract: who leaves, use case, command, plots, route, page",
    "curves.py": "response curves, and their drawing",
    "customers.py": "customers: their plots, route and page",
    "first_orders.py": "first orders: what they say, and the command",
    "digest.py": "what changed since a run: the page, and the command",
    "formats.py": "formats of files: those that come in, those that go out",
    "funnel.py": "the funnel from lead to customer: command and route",
    "glossary.py": "the terms, and their page",
    "histories.py": "orders of customers: scored, and drawn",
    "keys.py": "keys of visitors: kept, and the command",
    "orders.py": "orders: cleaned, and put into a store",
    "plan.py": "a plan: of a campaign, and put into a store",
    "promote.py": "the promotion of a model: command and recipe",
    "publish.py": "a store is published: by the store, by the command",
    "reading.py": "a log is read: clean columns, and files as they come",
    "retention.py": "retention: use case, route and page",
    "offers.py": "next offers: command, room, route, charts",
    "referrals.py": "customers who bring customers: command and charts",
    "rolling.py": "the rolling origin, and the recipe on it",
    "score.py": "scores: command and route",
    "segments.py": "segments of customers: their costs, and their route",
    "spend.py": "the spend table: read, and put into a store",
    "train.py": "training: command and recipe",
    "trials.py": "tests by chance: route and charts",
}


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def bound_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Variables, parameters, functions and classes, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(function: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> int:
    """Lines of a function's body without docstring, blank lines and comments."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if not body:
        return 0
    code = (line.strip() for line in lines[body[0].lineno - 1 : function.end_lineno])
    return sum(1 for line in code if line and not line.startswith("#"))


def test_names_say_what_they_stand_for():
    names = [
        (name, f"{place(path)}:{line}") for path in FILES for name, line in bound_names(TREES[path])
    ]
    vague = [f"{where} {name}" for name, where in names if name.strip("_").lower() in VAGUE]
    assert len(vague) < VAGUE_SHARE * len(names), "\n".join(vague)


def test_public_classes_have_names_of_their_own():
    places = defaultdict(list)
    for path in FILES:
        for node in ast.walk(TREES[path]):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(place(path))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_file_names_stand_twice_only_where_two_rooms_serve_one_noun():
    counts = Counter(path.name for path in FILES if path.name != "__init__.py")
    assert {name for name, count in counts.items() if count > 1} == set(SAME_NOUN)


def test_files_are_short():
    long = {
        place(path)
        for path in FILES
        if len(path.read_text(encoding="utf-8").splitlines()) > LONGEST_FILE
    }
    assert long == set(LONG_FILES)


def test_functions_fit_in_the_eye():
    sizes = {
        f"{place(path)}:{function.lineno} {function.name}": length(
            function, path.read_text(encoding="utf-8").splitlines()
        )
        for path in FILES
        for function in functions(TREES[path])
    }
    assert [name for name, size in sizes.items() if size > LONGEST_FUNCTION] == []
    assert sorted(sizes.values())[int(0.9 * len(sizes))] <= LONG_FUNCTION
