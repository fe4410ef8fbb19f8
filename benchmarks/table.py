"""An answer as a person reads it."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


def show(answer: Mapping[str, Any]) -> None:
    """Figures first, then a table for each list of rows."""
    console = Console()
    figures = Table("what", "figure", title=str(answer.get("benchmark", "")))
    for name, value in _figures(answer):
        figures.add_row(name, value)
    console.print(figures)
    for name, rows in _lists(answer):
        console.print(_rows(name, rows))


def _figures(answer: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in answer.items():
        if isinstance(value, Mapping):
            yield from _figures(value, f"{prefix}{name}.")
        elif not _is_rows(value):
            yield prefix + name, str(value)


def _lists(answer: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, list[Any]]]:
    for name, value in answer.items():
        if isinstance(value, Mapping):
            yield from _lists(value, f"{prefix}{name}.")
        elif _is_rows(value):
            yield prefix + name, value


def _rows(name: str, rows: list[Mapping[str, Any]]) -> Table:
    flat = [dict(_figures(row)) for row in rows]
    table = Table(*flat[0], title=name)
    for row in flat:
        table.add_row(*(row.get(column, "") for column in flat[0]))
    return table


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)
