"""Who may ask for which lesson: what the archive's JSON and its media files have in common.

Who may do what is decided by `authorize(request, lesson, right)`, which returns or raises
HTTPUnauthorized or HTTPForbidden: `lesson` is a lesson's name, or None for all of them.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import ParamSpec, TypeVar

from aiohttp import web
from sqlalchemy.exc import SQLAlchemyError

from recorder.archive.layout import LESSON_ID, Entry
from recorder.catalogue import Catalogue

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger(__name__)


class Right(Enum):
    """What somebody may do with a recorded lesson."""

    SEE = auto()
    EDIT = auto()
    """Change what is said of it."""
    ADMINISTER = auto()
    """Delete it, and say how long it stays."""


Authorize = Callable[[web.Request, str | None, Right], None]
"""`authorize(request, lesson, right)`; see the module's docstring."""


class Access:
    """The catalogue, as far as the asker may look into it."""

    def __init__(self, catalogue: Catalogue, authorize: Authorize) -> None:
        self.catalogue = catalogue
        self._authorize = authorize

    def permit(self, request: web.Request) -> str:
        """The id that the URL's `{id}` is, where the asker may see that lesson, if there is one.

        Cheap: media are asked for many times a second. Raises an HTTPException for a sentence.
        """
        lesson_id = request.match_info["id"]
        match = LESSON_ID.fullmatch(lesson_id)
        self._authorize(request, match[2] if match else None, Right.SEE)
        if match is None:
            raise error(web.HTTPNotFound, "There is no such lesson in the archive.")
        return lesson_id

    async def find(self, request: web.Request, right: Right = Right.SEE) -> Entry:
        """The lesson that the URL's `{id}` names; raises an HTTPException for a sentence."""
        lesson_id = request.match_info["id"]
        match = LESSON_ID.fullmatch(lesson_id)
        self._authorize(request, match[2] if match else None, right)
        entry = await self.ask(self.catalogue.find, lesson_id) if match else None
        if entry is None:
            raise no_such_lesson()
        return entry

    async def ask(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the catalogue answers; a database in trouble is one sentence."""
        try:
            return await asyncio.to_thread(question, *args, **kwargs)
        except SQLAlchemyError as trouble:
            _log.error("the catalogue: %s", getattr(trouble, "orig", None) or trouble)
            raise error(
                web.HTTPServiceUnavailable,
                "The catalogue cannot be read just now; try again in a minute.",
                {"Retry-After": "10"},
            ) from trouble

    async def visible(self, request: web.Request) -> list[str] | None:
        """The names of the lessons that the asker may list; None for all."""
        try:
            self._authorize(request, None, Right.SEE)
        except web.HTTPForbidden:
            names = await self.ask(self.catalogue.lessons)
            return [name for name in names if self.permits(request, name, Right.SEE)]
        return None

    def permits(self, request: web.Request, lesson: str, right: Right) -> bool:
        """Whether the asker, who is known, may do this with the lessons of this name."""
        try:
            self._authorize(request, lesson, right)
        except web.HTTPForbidden:
            return False
        return True


def error(
    kind: type[web.HTTPException], sentence: str, headers: Mapping[str, str] = {}
) -> web.HTTPException:
    """An answer that says in JSON what is wrong."""
    text = web.json_response({"error": sentence}).text
    return kind(text=text, content_type="application/json", headers=headers)


def no_such_lesson() -> web.HTTPException:
    """The answer for an id that is none."""
    return error(web.HTTPNotFound, "There is no such lesson in the archive.")
