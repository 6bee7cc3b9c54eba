"""``python -m bench [NAME…] [--quick] [--json]``: run benchmarks and print what they measured."""

from __future__ import annotations

import argparse
import json
import platform
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from bench.figures import Figure

NAMES = tuple(
    sorted(
        path.stem
        for path in Path(__file__).parent.glob("*.py")
        if path.stem not in ("__init__", "__main__", "analysts", "figures", "records", "rules")
    )
)


def main() -> None:
    """Parse the arguments, run the benchmarks named (all without a name) and print a line for each figure."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Ratios measured side by side in one run.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="a first figure in seconds, less exact")
    parser.add_argument("--json", action="store_true", help="print for machines")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(NAMES)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    figures: list[Figure] = []
    for name in arguments.names or NAMES:
        for figure in import_module(f"bench.{name}").run(arguments.quick):
            figures.append(figure)
            if not arguments.json:
                print(_line(figure), flush=True)
    if arguments.json:
        machine = {"python": platform.python_version(), "wardwatch": version("wardwatch"), "cpu": platform.machine()}
        print(json.dumps({"machine": machine, "figures": [asdict(figure) for figure in figures]}, indent=2))


def _line(figure: Figure) -> str:
    value = f"{figure.value:,.0f} {figure.unit}"
    return f"{figure.name:44} {value:>22}   {figure.ratio:5.2f} × {figure.compared_with}   (target {figure.target})"


if __name__ == "__main__":
    main()
