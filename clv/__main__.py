"""``python -m clv``: the command line."""

from clv.cli.main import main

if __name__ == "__main__":
    main()
