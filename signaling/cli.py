"""The `tongbu` command.

What a user got wrong is told in one sentence, with exit code 2; a traceback is a bug of ours.
"""

import asyncio
import gc
import importlib
import logging
import re
import secrets
import signal
import sys
from pathlib import Path

import click
import uvloop

from signaling.auth import SOURCES, TokenRole, mint
from signaling.config import DEV_KEY, NodeConfig, load
from signaling.edge import is_lesson_name, unix_now
from signaling.errors import ConfigError

# Commands by the module that holds each as `command`; imported only when asked for.
_LAZY = {
    "archive": ("signaling.archive_cli", "List, check, mend, export and import recorded lessons."),
    "demo": ("clients.headless.demo", "A node with a demo lesson in progress, to look at."),
    "publish": ("clients.headless.publish", "Teach from a media file, by WHIP."),
    "ingest": ("clients.headless.ingest", "Bring a camera or recording box into a lesson."),
    "watch": ("clients.headless.watch", "Watch a lesson without a screen, and count what comes."),
    "selftest": ("clients.headless.selftest", "Check that this installation works, end to end."),
    "journal": ("signaling.journal_cli", "Look into a lesson's journal, or export its packets."),
}
_GRANTS = (
    "canPublish",
    "canPublishData",
    "canSubscribe",
    "canUpdateOwnMetadata",
    "hidden",
    "recorder",
    "roomAdmin",
    "roomCreate",
    "roomList",
    "roomRecord",
)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class _Commands(click.Group):
    """Those in this file, and those that are imported when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [
            "serve",
            "demo",
            "publish",
            "ingest",
            "watch",
            "archive",
            "journal",
            "token",
            "generate-keys",
            "selftest",
        ]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _LAZY:
            return super().get_command(ctx, cmd_name)
        command = importlib.import_module(_LAZY[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`, without importing what it lists."""
        rows = []
        for name in self.list_commands(ctx):
            command = self.commands.get(name)
            rows.append((name, command.get_short_help_str(limit=80) if command else _LAZY[name][1]))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _seconds(value: str) -> float:
    """A time such as 90s, 30m, 6h or 2d."""
    match = re.fullmatch(r"(\d{1,6})([smhd])", value)
    if match is None or int(match[1]) == 0:
        raise click.BadParameter(f"{value!r} is not a time such as 90s, 30m, 6h or 2d.")
    return float(int(match[1]) * _UNITS[match[2]])


@click.group(cls=_Commands)
@click.version_option(package_name="tongbu", message="%(package)s %(version)s")
def main() -> None:
    """Tongbu 同步: one teacher, many schools, every lesson recorded by itself.

    \b
    Try it:        tongbu demo
    Run a node:    tongbu serve --dev         (or --config tongbu.yaml)
    Teach a file:  tongbu publish http://localhost:7880/math/whip lesson.mp4
    Watch it:      tongbu watch http://localhost:7880/math/whep
    """


@main.command()
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    help="A YAML file; tongbu.yaml in the sources explains every key.",
)
@click.option(
    "--dev",
    is_flag=True,
    help="For trying out: a well-known key, pages that need no token, HTTP on 127.0.0.1 only.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), help="HTTP port; 0 picks a free one. [default: 7880]"
)
def serve(path: Path | None, dev: bool, port: int | None) -> None:
    """Run a node until Ctrl-C.

    Prints `ready http://HOST:PORT` when it listens. Ctrl-C ends the lessons, finishes their
    archives and leaves within 3 s.

    Every key of the configuration can come from the environment too:
    TONGBU_RTC__UDP_PORT=7900 tongbu serve
    """
    config = _load(path, dev=dev)
    if port is not None:
        config = config.model_copy(update={"port": port})
    _log_to_stderr(config.log.level)
    try:
        uvloop.run(_serve(config, dev=dev))
    except ConfigError as error:
        raise _UserError(str(error)) from None


@main.command()
@click.option("--lesson", "--room", help="The lesson's name (not needed for an archivist).")
@click.option("--role", type=click.Choice([role.value for role in TokenRole]), required=True)
@click.option("--identity", help="Who it is for, unique in the lesson. [default: the name]")
@click.option("--name", help="What others see; a made-up one if not given.")
@click.option(
    "--ttl", type=_seconds, metavar="TIME", default="6h", show_default=True, help="90s, 30m, 2d ..."
)
@click.option("--site", default="", help="Place whose line it shares (quality.sites).")
@click.option("--metadata", default="", help="Shown to the others; any text.")
@click.option(
    "--attribute", "pairs", multiple=True, metavar="KEY=VALUE", help="Shown to the others."
)
@click.option(
    "--source",
    "sources",
    multiple=True,
    type=click.Choice(list(SOURCES)),
    help="May publish this and no other; may be given several times.",
)
@click.option("--grant", "extra", multiple=True, type=click.Choice(_GRANTS), help="May this too.")
@click.option("--deny", "denied", multiple=True, type=click.Choice(_GRANTS), help="May not this.")
@click.option("--config", "path", type=click.Path(path_type=Path), help="Whose first key signs.")
@click.option("--dev", is_flag=True, help="Sign with the key of `tongbu serve --dev`.")
def token(
    lesson: str | None,
    role: str,
    identity: str | None,
    name: str | None,
    ttl: float,
    site: str,
    metadata: str,
    pairs: tuple[str, ...],
    sources: tuple[str, ...],
    extra: tuple[str, ...],
    denied: tuple[str, ...],
    path: Path | None,
    dev: bool,
) -> None:
    """Make a token: who may teach, speak, watch, or see the archive.

    \b
    tongbu token --dev --lesson math --role teacher --name wang
    tongbu token --config tongbu.yaml --lesson math --role school --ttl 2d
    tongbu token --dev --lesson math --role teacher --grant roomAdmin --grant roomList

    A browser takes it in the link: http://localhost:7880/join/math#token=...
    LiveKit's SDKs take it as they take their own, with ws://localhost:7880 as the URL.
    """
    wanted = TokenRole(role)
    if wanted is TokenRole.ARCHIVIST:
        lesson = None
    elif not is_lesson_name(lesson):
        raise _UserError("--lesson must be given: 1 to 64 letters, digits, _ or -.")
    keys = _load(path, dev=dev).keys
    key = DEV_KEY if dev else next(iter(keys))
    identity = identity or name or f"{role}-{secrets.token_hex(3)}"
    grants: dict[str, object] = {**dict.fromkeys(extra, True), **dict.fromkeys(denied, False)}
    if sources:
        grants["canPublishSources"] = list(sources)
    text = mint(
        key,
        keys[key],
        role=wanted,
        identity=identity,
        name=name or identity,
        lesson=lesson,
        ttl=ttl,
        now=unix_now(),
        site=site,
        metadata=metadata,
        attributes=dict(map(_pair, pairs)),
        grants=grants,
    )
    click.echo(text)


@main.command("generate-keys")
def generate_keys() -> None:
    """Make an API key and its secret, ready for the configuration."""
    key, secret = f"API{secrets.token_hex(6)}", secrets.token_urlsafe(36)
    click.echo(f"keys:\n  {key}: {secret}")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise _UserError(f"--attribute {text!r} is not of the form KEY=VALUE.")
    return name, value


class _UserError(click.ClickException):
    """Something the user can mend."""

    exit_code = 2


def _load(path: Path | None, *, dev: bool) -> NodeConfig:
    try:
        return load(path, dev=dev)
    except ConfigError as error:
        raise _UserError(str(error)) from None


async def _serve(config: NodeConfig, *, dev: bool) -> None:
    from signaling.node import Node  # here: the other commands need none of it

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    node = await Node.start(config, dev=dev)
    gc.collect()
    gc.freeze()  # what was imported stays: passing over it is 60 ms a time, in the midst of joins
    try:
        print(f"ready {node.url}", flush=True)
        await stop.wait()
    finally:
        await node.stop()


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(
        level=level.upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
    )
    for chatty in ("aioice", "aiortc", "alembic", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


if __name__ == "__main__":
    main()
