"""``clv`` and ``python -m clv``: the command line, or the sentence that says how to install it."""

import sys

from clv.errors import MissingExtraError


def main() -> None:
    """Run the command line."""
    try:
        from clv.cli.main import main as run
    except MissingExtraError as error:
        print(f"clv: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(error.exit_code) from None
    run()


if __name__ == "__main__":
    main()
