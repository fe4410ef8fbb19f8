"""SDP's outer grammar (RFC 8866): lines into a session and its media sections. Pure.

One pass over the text. What an attribute means is asked for by name afterwards; what nobody asks
for (candidates, most of a browser's codecs) costs no more than its line.
"""

import re
from collections.abc import Iterable, Sequence

_M_LINE = re.compile(r"m=([!-~]+) (\d{1,5})(?:/\d+)? ([A-Z/]+) ([!-~][ -~]*)", re.ASCII)


class Block:
    """The attributes among some lines: a session's or a media section's."""

    def __init__(self, lines: Iterable[str]) -> None:
        values: dict[str, list[str]] = {}
        for line in lines:
            if line[:2] == "a=":
                name, _, value = line[2:].partition(":")
                if name in values:
                    values[name].append(value)
                else:
                    values[name] = [value]
        self._values = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of an attribute in order; "" where the line has none."""
        return tuple(self._values.get(name, ()))

    def first(self, name: str) -> str:
        """The first value of an attribute, stripped; "" when it is not there."""
        values = self._values.get(name)
        return values[0].strip() if values else ""


class Media(Block):
    """One m-section: its m-line and its attributes. Raises ValueError for a malformed m-line."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__(lines)
        match = _M_LINE.fullmatch(lines[0].rstrip())
        if match is None:
            raise ValueError("a malformed m-line")
        self.kind = match[1]
        self.port = int(match[2])
        self.protocol = match[3]
        self.formats = tuple(match[4].split())


def read(text: str) -> tuple[Block, list[Media]]:
    """The session's attributes and the media sections. Raises ValueError (see `Media`)."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if line[:2] == "m="]
    ends = [*starts, len(lines)]
    session = Block(lines[: ends[0]])
    return session, [Media(lines[i:j]) for i, j in zip(starts, ends[1:], strict=True)]
