"""What a user types, and what a user got wrong: one sentence, exit code 2, no traceback."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from signaling.auth import verify
from signaling.cli import main
from signaling.config import DEV_KEY, DEV_SECRET, load

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TONGBU_")]:
        monkeypatch.delenv(name)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def refused(*arguments: str) -> str:
    """The one sentence on stderr."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.stderr
    (sentence,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    return sentence


def test_help_teaches() -> None:
    text = run("--help").stdout
    for word in (
        "serve",
        "demo",
        "publish",
        "watch",
        "token",
        "generate-keys",
        "selftest",
        "tongbu demo",
    ):
        assert word in text


@pytest.mark.parametrize(
    "command", ["serve", "demo", "publish", "watch", "token", "generate-keys", "selftest"]
)
def test_every_command_has_help(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f" {command} " in result.stdout.splitlines()[0]


def test_an_unknown_command() -> None:
    assert "No such command 'teach'" in refused("teach")


class TestToken:
    def test_for_a_teacher(self) -> None:
        arguments = ("--dev", "--lesson", "math", "--role", "teacher", "--name", "wang")
        text = run("token", *arguments).stdout.strip()
        who = verify(text, {DEV_KEY: DEV_SECRET})
        who.require_publish("math")
        assert who.identity == "wang"

    def test_with_the_first_key_of_the_configuration(self, tmp_path: Path) -> None:
        path = tmp_path / "c.yaml"
        path.write_text(f"keys: {{a: {SECRET}, b: {'x' * 32}}}")
        text = run("token", "--config", str(path), "--role", "archivist").stdout.strip()
        assert verify(text, {"a": SECRET}).list_all

    def test_what_it_needs(self) -> None:
        assert "--lesson must be given" in refused("token", "--dev", "--role", "school")
        assert "Missing option '--role'" in refused("token", "--dev")
        school = ("token", "--dev", "--role", "school", "--lesson")
        assert "--lesson must be given" in refused(*school, "a b")
        assert "is not a time such as" in refused(*school, "math", "--ttl", "soon")
        assert "No API key" in refused("token", "--role", "school", "--lesson", "math")

    def test_with_livekits_grants(self) -> None:
        school = ("token", "--dev", "--lesson", "math", "--role", "school", "--name", "hilltop")
        wishes = ("--metadata", "m", "--attribute", "grade=5", "--grant", "canUpdateOwnMetadata")
        more = ("--identity", "s-1", "--deny", "canPublishData", "--source", "screen_share")
        text = run(*school, *wishes, *more).stdout.strip()
        who = verify(text, {DEV_KEY: DEV_SECRET})
        assert (who.identity, who.name, who.metadata) == ("s-1", "hilltop", "m")
        assert who.attributes == {"grade": "5"}
        assert who.update_own_metadata
        assert not who.publish_data
        assert who.publish_sources == {"slides"}
        assert "KEY=VALUE" in refused(*school, "--attribute", "grade")

    def test_keys_fit_the_configuration(self, tmp_path: Path) -> None:
        path = tmp_path / "c.yaml"
        path.write_text(run("generate-keys").stdout)
        ((key, secret),) = load(path).keys.items()
        assert key.startswith("API")
        text = run("token", "--config", str(path), "--role", "archivist").stdout.strip()
        assert verify(text, {key: secret}).list_all


class TestServeRefuses:
    def test_a_bad_key(self, tmp_path: Path) -> None:
        path = tmp_path / "c.yaml"
        path.write_text("rtc: {udp_prot: 1}")
        sentence = refused("serve", "--config", str(path))
        assert "unknown key rtc.udp_prot; allowed under rtc are: udp_port," in sentence

    def test_a_missing_file(self, tmp_path: Path) -> None:
        assert "cannot be read" in refused("serve", "--config", str(tmp_path / "none.yaml"))

    def test_no_keys(self) -> None:
        assert "tongbu serve --dev" in refused("serve")

    def test_a_folder_that_is_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("TONGBU_DATA_DIR", str(tmp_path / "file"))
        assert "is not writable" in refused("serve", "--dev")

    def test_a_taken_port(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TONGBU_DATA_DIR", str(tmp_path))
        monkeypatch.setenv("TONGBU_RTC__UDP_PORT", "0")
        monkeypatch.setenv("TONGBU_RTC__TCP_PORT", "0")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            sentence = refused("serve", "--dev", "--port", str(taken.getsockname()[1]))
        assert "cannot be bound" in sentence


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_says_when_it_is_ready_and_goes_when_asked(
    tmp_path: Path, number: signal.Signals
) -> None:
    environment = {
        **os.environ,
        "TONGBU_DATA_DIR": str(tmp_path),
        "TONGBU_RTC__UDP_PORT": "0",
        "TONGBU_RTC__TCP_PORT": "0",
    }
    command = [sys.executable, "-m", "signaling.cli", "serve", "--dev", "--port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready http://127.0.0.1:")
        began = time.monotonic()
        process.send_signal(number)
        assert process.wait(10) == 0
        assert time.monotonic() - began < 3
