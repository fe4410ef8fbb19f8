"""Who may ask for which lesson: what the archive's JSON and its media files have in common.

Who may do what is decided by `authorize(request, lesson, admin)`, which returns or raises
HTTPUnauthorized or HTTPForbidden: `lesson` is a lesson's name, or None for all of them; `admin`
asks for the right to delete.
"""

import asyncio
from collections.abc import Callable

from aiohttp import web

from recorder.archive import LESSON_ID, Entry
from recorder.catalogue import Catalogue

Authorize = Callable[[web.Request, str | None, bool], None]
"""`authorize(request, lesson, admin)`; see the module's docstring."""


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
        self._authorize(request, match[2] if match else None, False)
        if match is None:
            raise error(web.HTTPNotFound, "There is no such lesson in the archive.")
        return lesson_id

    async def find(self, request: web.Request, *, admin: bool = False) -> Entry:
        """The lesson that the URL's `{id}` names; raises an HTTPException for a sentence."""
        lesson_id = request.match_info["id"]
        match = LESSON_ID.fullmatch(lesson_id)
        self._authorize(request, match[2] if match else None, admin)
        entry = await asyncio.to_thread(self.catalogue.find, lesson_id) if match else None
        if entry is None:
            raise error(web.HTTPNotFound, "There is no such lesson in the archive.")
        return entry

    async def visible(self, request: web.Request) -> list[str] | None:
        """The names of the lessons that the asker may list; None for all."""
        try:
            self._authorize(request, None, False)
        except web.HTTPForbidden:
            names = await asyncio.to_thread(self.catalogue.lessons)
            return [name for name in names if self._permits(request, name)]
        return None

    def _permits(self, request: web.Request, lesson: str) -> bool:
        try:
            self._authorize(request, lesson, False)
        except web.HTTPForbidden:
            return False
        return True


def error(kind: type[web.HTTPException], sentence: str) -> web.HTTPException:
    """An answer that says in JSON what is wrong."""
    return kind(text=web.json_response({"error": sentence}).text, content_type="application/json")
