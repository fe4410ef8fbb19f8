"""`make interop`: which clients can do what with a node of ours, each tried for real.

Prints a table, or with --json one line. `-` is what a client cannot do itself, or a client that
cannot be had here: the notes below the table say why. Exit code 0 when everything else holds.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from clients.headless.node import Node
from tests.interop.clients import (
    aiortc_whip,
    browser_livekit,
    ffmpeg,
    firefox,
    gstreamer,
    python_livekit,
)
from tests.interop.row import COLUMNS, LACKS, Client, Row, Unavailable
from tests.interop.venvs import InstallError

_PATIENCE = 240.0
"""Seconds for one client."""


def all_clients() -> list[Client]:
    """All of them. Raises InstallError where the releases cannot be asked for."""
    return [
        *python_livekit.clients(),
        *browser_livekit.clients(),
        firefox.CLIENT,
        gstreamer.CLIENT,
        aiortc_whip.CLIENT,
        ffmpeg.CLIENT,
    ]


async def tried(client: Client) -> Row:
    """Try a client against a node of its own."""
    row = Row(client.name)
    with tempfile.TemporaryDirectory() as folder:
        node = await Node.start(Path(folder))
        try:
            async with asyncio.timeout(_PATIENCE):
                await client.check(node, row)
            row.fails("it was not tried")
        except Unavailable as error:
            row.lacks(str(error), *COLUMNS)
        except InstallError as error:
            row.fails(str(error))
        except Exception as error:
            row.fails(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
        finally:
            code = await node.stop()
        if code or any("Traceback" in line for line in node.log):
            row.cells["connect"] = "FAILED"
            row.notes["connect"] = f"the node's exit code is {code}, or it had a bug"
    return row


def shown(rows: Sequence[Row]) -> str:
    """The table and its notes, as text."""
    width = max(len(row.client) for row in rows) + 2
    lines = ["".join(["client".ljust(width), *(column.ljust(11) for column in COLUMNS)])]
    for row in rows:
        cells = (row.cells[column].ljust(11) for column in COLUMNS)
        lines.append("".join([row.client.ljust(width), *cells]))
    for row in rows:
        whys: dict[str, list[str]] = {}
        for column in COLUMNS:
            if column in row.notes:
                whys.setdefault(row.notes[column], []).append(column)
        lines += [f"{row.client}, {', '.join(columns)}: {why}" for why, columns in whys.items()]
    return "\n".join(lines)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one line")
    parser.add_argument("words", nargs="*", help="only clients whose names hold one of these")
    options = parser.parse_args()
    try:
        clients = all_clients()
    except InstallError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    for client in clients:
        if not options.words or any(word in client.name for word in options.words):
            print(f"== {client.name}", file=sys.stderr, flush=True)
            rows.append(asyncio.run(tried(client)))
    if options.json:
        table = [{"client": r.client, **r.cells, "notes": r.notes} for r in rows]
        print(json.dumps({"interop": table, "passed": all(row.passed for row in rows)}))
    elif rows:
        print(shown(rows))
    everything = rows and all(row.passed for row in rows)
    tried_any = any(cell != LACKS for row in rows for cell in row.cells.values())
    return 0 if everything and tried_any else 1


if __name__ == "__main__":
    sys.exit(main())
