"""Other people's packages, each release in a place of its own that git ignores: nothing of them is
committed, and what is there already is not fetched again."""

import json
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

CACHE = Path(__file__).with_name(".cache")
_PATIENCE = 900
"""Seconds for one installation."""


class InstallError(Exception):
    """Something could not be fetched; the message is one sentence."""


def python_with(name: str, *requirements: str) -> Path:
    """The interpreter of a virtual environment that has these. Raises InstallError."""
    home = CACHE / "venvs" / name
    python, mark = home / "bin" / "python", home / "requirements.json"
    if mark.exists() and json.loads(mark.read_text()) == list(requirements):
        return python
    _run(sys.executable, "-m", "venv", "--clear", str(home))
    _run(str(python), "-m", "pip", "install", "--quiet", *requirements)
    mark.write_text(json.dumps(requirements))
    return python


def releases(package: str) -> list[str]:
    """The released versions of a package of PyPI's, the newest first. Raises InstallError."""
    text = _run(sys.executable, "-m", "pip", "index", "versions", package)
    line = next((x for x in text.splitlines() if x.startswith("Available versions:")), "")
    found = [version.strip() for version in line.partition(":")[2].split(",") if version.strip()]
    if not found:
        raise InstallError(f"The package index names no release of {package}.")
    return found


def previous(versions: Sequence[str]) -> str:
    """The newest version of the minor release before the newest one."""
    newest = versions[0].split(".")[:2]
    return next((v for v in versions if v.split(".")[:2] != newest), versions[-1])


def source_of(package: str, version: str) -> Path:
    """The unpacked source distribution of a package of PyPI's. Raises InstallError."""
    home = CACHE / "sources" / f"{package}-{version}"
    if not home.exists():
        folder = home.parent
        folder.mkdir(parents=True, exist_ok=True)
        wish = ("--no-deps", "--no-binary", ":all:", "--dest", str(folder))
        _run(sys.executable, "-m", "pip", "download", "--quiet", *wish, f"{package}=={version}")
        with tarfile.open(folder / f"{package}-{version}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    return home


def newest_of_npm(package: str) -> str:
    """The newest released version of a package of npm's. Raises InstallError."""
    return _run("npm", "view", package, "version").strip()


def node_modules(name: str, *packages: str) -> Path:
    """A folder of npm's with these packages. Raises InstallError."""
    home = CACHE / "npm" / name
    mark = home / "packages.json"
    if not (mark.exists() and json.loads(mark.read_text()) == list(packages)):
        home.mkdir(parents=True, exist_ok=True)
        (home / "package.json").write_text('{"private": true}')
        wish = ("--silent", "--no-audit", "--no-fund", "--ignore-scripts")
        _run("npm", "install", *wish, "--prefix", str(home), *packages)
        mark.write_text(json.dumps(packages))
    return home / "node_modules"


def _run(*command: str) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallError(f"{Path(command[0]).name} did not run: {error}.") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise InstallError(f"{' '.join(command[-2:])}: {said[-1] if said else 'it failed'}")
    return done.stdout
