"""What the operator wants of finished lessons: where they go, and how long they are kept.

The node writes the `archive:` section of its configuration into `archive.json` in the data folder,
where the worker's helpers and `tongbu archive` find it. It holds no secret: credentials come from
the environment (AWS_ACCESS_KEY_ID and so on).
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recorder.errors import ArchiveError

FILE = "archive.json"


@dataclass(frozen=True, slots=True)
class Rule:
    """Lessons that match all of it are deleted after `days`; None keeps them for ever.

    An empty field matches every lesson.
    """

    days: float | None = None
    school: str = ""
    subject: str = ""
    state: str = ""
    lesson: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """The `archive:` section of the configuration."""

    storage: str = ""
    """`s3://bucket/prefix`, or nothing: then lessons stay where they were recorded."""
    endpoint: str = ""
    """URL of a server that is not Amazon's."""
    serve: str = "proxy"
    """How media that is only in the storage reaches a player: proxy, or redirect."""
    keep_local_days: float | None = None
    """Days until the local copy of a stored lesson goes; None keeps it."""
    copies: int = 1
    """How many whole copies there must be at any time, of the local and the stored one."""
    retention: tuple[Rule, ...] = ()
    """The first rule that matches a lesson counts; where none does it is kept."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Policy":
        """The inverse of `asdict`. Raises ArchiveError."""
        try:
            rules = tuple(Rule(**rule) for rule in value.get("retention", ()))
            return cls(**{**value, "retention": rules})
        except (TypeError, AttributeError) as error:
            raise ArchiveError(f"{FILE} is not a policy: {error}") from error


def read(data_dir: Path) -> Policy:
    """The policy of a data folder; the default one when there is none. Raises ArchiveError."""
    try:
        value = json.loads((data_dir / FILE).read_text())
    except FileNotFoundError:
        return Policy()
    except ValueError as error:
        raise ArchiveError(f"{data_dir / FILE} cannot be read: {error}") from error
    return Policy.from_json(value)


def write(data_dir: Path, policy: Policy) -> None:
    """Leave it for the helpers. Raises OSError."""
    temporary = data_dir / f".{FILE}.{os.getpid()}"
    temporary.write_text(json.dumps(asdict(policy), indent=1))
    temporary.replace(data_dir / FILE)
