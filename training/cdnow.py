"""Write the CDNOW log to where ``cdnow.toml`` looks for it, and judge every forecaster on it.

python -m training.cdnow
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a script: the folder above is where training is found
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from clv.cli.screen import Screen
from clv.data.cdnow import cdnow_log
from clv.evaluate.backtest import RollingOrigin
from clv.io.files import write_table
from training.command import run
from training.config import Config
from training.rolling import judge

CONFIG = Path(__file__).with_name("cdnow.toml")


def cdnow(screen: Screen) -> RollingOrigin | None:
    """Write the log and judge every forecaster on it."""
    config = Config.read(CONFIG)
    config.log.path.parent.mkdir(parents=True, exist_ok=True)
    write_table(cdnow_log(), config.log.path)
    found = judge(config, screen)
    screen.next(f"python -m training.train --config {CONFIG.parent.name}/{CONFIG.name}")
    return found


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m training.cdnow", description=__doc__)
    run(lambda asked, screen: cdnow(screen), parser)


if __name__ == "__main__":
    main()
