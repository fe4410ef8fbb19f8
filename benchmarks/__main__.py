"""`python -m benchmarks NAME`: one question, one answer; `--list` names them."""

import argparse
import importlib
import json
import sys

from benchmarks import progress, table

NAMES = (
    "fanout",
    "latency",
    "joins",
    "memory",
    "signaling",
    "flood",
    "capacity",
    "peers",
    "rfc8867",
    "weaklink",
    "recording",
    "broadcast",
    "replay",
    "catalogue",
    "recorder-crash",
)


def main() -> int:
    """Run one benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--list", action="store_true", help="the benchmarks there are")
    commands = parser.add_subparsers(dest="name")
    modules = {
        name: importlib.import_module(f"benchmarks.{name.replace('-', '_')}") for name in NAMES
    }
    for name, module in modules.items():
        summary = (module.__doc__ or "").splitlines()[0]
        command = commands.add_parser(name, help=summary, description=module.__doc__)
        command.add_argument("--json", action="store_true", help="one JSON line")
        command.add_argument("--quick", action="store_true", help="under 40 s")
        module.arguments(command)
    options = parser.parse_args()
    if options.list or options.name is None:
        for name, module in modules.items():
            print(f"{name:12} {(module.__doc__ or '').splitlines()[0]}")
        return 0
    module = modules[options.name]
    if options.quick:
        module.quick(options)
    with progress.shown(options.name):
        answer = {"benchmark": options.name, **module.run(options)}
    if options.json:
        print(json.dumps(answer))
    else:
        table.show(answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
