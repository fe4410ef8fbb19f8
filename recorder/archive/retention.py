"""Which lessons go when: the rules (pure), and what carries them out.

Nothing is deleted without a rule that says so, nothing with a hold, nothing whose details cannot
be read. What was deleted, and by which rule, is told in `audit.jsonl` in the data folder.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from recorder.archive import details, upload
from recorder.archive.layout import LESSON_ID, Entry, LessonFolder, lesson_folders, read_entry
from recorder.archive.policy import Policy, Rule
from recorder.archive.storage import Storage
from recorder.catalogue import Catalogue
from recorder.errors import ArchiveError

AUDIT = "audit.jsonl"

_DAY = 86_400.0
_GOING = ".deleting-"


@dataclass(frozen=True, slots=True)
class Kept:
    """A finished lesson, as far as the rules need it."""

    entry: Entry
    """With what was changed of it since; one whose details cannot be read is on hold."""
    stored_at: float | None = None
    """Unix time since when the storage is known to have it whole."""
    here: bool = True
    """Its media is on this machine."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to become of a lesson; `action` is keep, free (its local copy) or delete."""

    lesson: str
    action: str
    why: str


def decide(kept: Kept, policy: Policy, now: float) -> Decision:
    """What the policy says of one lesson at Unix time `now`."""
    lesson = kept.entry.id
    if kept.entry.hold:
        return Decision(lesson, "keep", "it is held")
    rule = _rule(kept.entry, policy.retention)
    if rule is not None and rule.days is not None:
        over = kept.entry.started_at + kept.entry.duration_s + rule.days * _DAY
        until = max(over, kept.entry.keep_until or 0.0)
        if now >= until:
            return Decision(lesson, "delete", f"older than {rule.days:g} days{_of(rule)}")
    if policy.keep_local_days is not None and kept.here and kept.stored_at is not None:
        if policy.copies > 1:
            return Decision(lesson, "keep", f"{policy.copies} copies are wanted")
        if now >= kept.stored_at + policy.keep_local_days * _DAY:
            days = f"{policy.keep_local_days:g} days"
            return Decision(lesson, "free", f"in the storage for more than {days}")
    return Decision(lesson, "keep", "no rule says otherwise" if rule is None else "not yet due")


def survey(data_dir: Path, policy: Policy, now: float) -> Iterator[Decision]:
    """A decision for every finished lesson, oldest first."""
    for folder in lesson_folders(data_dir):
        kept = _kept(folder)
        if kept is not None:
            yield decide(kept, policy, now)


class Executor:
    """Carries decisions out. Raises StorageError, OSError: then the lesson is still there."""

    def __init__(self, data_dir: Path, storage: Storage | None, catalogue: Catalogue) -> None:
        self._data_dir = data_dir
        self._storage = storage
        self._catalogue = catalogue
        self._sweep()

    def carry_out(self, decisions: Iterable[Decision], now: float) -> int:
        """Do what is decided; returns how many lessons were deleted or freed."""
        done = 0
        for decision in decisions:
            folder = self._data_dir / "lessons" / decision.lesson
            if decision.action != "keep" and self._is_held(folder):
                continue  # since it was decided
            if decision.action == "delete":
                self.delete(decision.lesson, decision.why, now)
                done += 1
            elif decision.action == "free" and self._storage is not None:
                freed = upload.free(folder, self._storage)
                self._note(decision.lesson, "freed", decision.why, now, bytes=freed)
                done += 1
        return done

    def delete(self, lesson: str, why: str, now: float) -> None:
        """Delete a lesson for good, in the storage and here; a hold is not asked again.

        The folder here goes last: as long as anything is left it tells where.
        """
        if not LESSON_ID.fullmatch(lesson):
            raise ArchiveError(f"{lesson} is not a lesson id")
        folder = self._data_dir / "lessons" / lesson
        stored = 0
        if self._storage is not None:
            names = list(self._storage.listing(lesson))
            names.sort(key=lambda name: name != "manifest.json")  # which would promise the rest
            self._storage.delete(lesson, names[:1])
            self._storage.delete(lesson, names[1:])
            stored = len(names)
        self._catalogue.remove(lesson)
        going = folder.with_name(f"{_GOING}{lesson}")
        if folder.exists():
            folder.rename(going)
        self._note(lesson, "deleted", why, now, stored_files=stored)
        shutil.rmtree(going, ignore_errors=True)

    def _is_held(self, folder: Path) -> bool:
        kept = _kept(folder)
        return kept is None or kept.entry.hold

    def _sweep(self) -> None:
        """What a crash left of folders that were being deleted."""
        for path in (self._data_dir / "lessons").glob(f"{_GOING}*"):
            shutil.rmtree(path, ignore_errors=True)

    def _note(self, lesson: str, what: str, why: str, now: float, **more: int) -> None:
        line = {"at": round(now, 3), "lesson": lesson, "what": what, "why": why, **more}
        with (self._data_dir / AUDIT).open("a") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _kept(folder: Path) -> Kept | None:
    """None for a lesson that is not finished, or cannot be read: it stays."""
    if not LessonFolder(folder).finished:
        return None
    try:
        entry = replace(read_entry(folder), **details.edited(folder))
        known = upload.read(folder)
    except (ArchiveError, OSError):
        return None
    stored_at = known.verified_at if known is not None else None
    return Kept(entry, stored_at, here=known is None or known.local != "removed")


def _rule(entry: Entry, rules: Iterable[Rule]) -> Rule | None:
    """The first that fits."""
    for rule in rules:
        wanted = (rule.school, rule.subject, rule.state, rule.lesson)
        has = (entry.school, entry.subject, entry.state, entry.lesson)
        if all(not want or want == value for want, value in zip(wanted, has, strict=True)):
            return rule
    return None


def _of(rule: Rule) -> str:
    names = ("school", "subject", "state", "lesson")
    fits = [f"{name} {value}" for name in names if (value := getattr(rule, name))]
    return f" ({', '.join(fits)})" if fits else ""
