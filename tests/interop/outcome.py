"""What became of somebody else's tests."""

from dataclasses import dataclass, field

_LONGEST = 300


@dataclass
class Outcome:
    """Of all tests so far."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    reasons: dict[str, str] = field(default_factory=dict)
    """Of the skipped and the failed, by name."""

    def fails(self, name: str, why: str = "no reason given") -> None:
        """One that failed; of why, the first line."""
        self.failed += 1
        self.reasons[name] = _first_line(why)

    def skips(self, name: str, why: str) -> None:
        """One that was not run."""
        self.skipped += 1
        self.reasons[name] = _first_line(why)


def _first_line(text: str) -> str:
    return next(iter(text.splitlines()), "no reason given")[:_LONGEST]
