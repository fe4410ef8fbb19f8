"""Our own REST, described as OpenAPI 3.1: what `GET /api/openapi.json` answers.

LiveKit's room API and signalling are described by their own protobufs and are not in it. A test
compares this with the routes, so that neither grows without the other.
"""

from collections.abc import Sequence
from importlib import metadata

from recorder.catalogue import FILTERS, Sort
from signaling.openapi_schemas import DETAILS, SCHEMAS, TEXT, TEXTS, Json, object_of, ref

_LESSON = "A lesson's name: 1 to 64 letters, digits, _ or -."
_ERROR = {"400": "BadRequest", "401": "Unauthenticated", "403": "Forbidden", "404": "NotFound"}
_SENTENCES = {
    "BadRequest": "The request makes no sense as it is.",
    "Unauthenticated": "There is no token, or one that proves nothing.",
    "Forbidden": "The token does not allow this.",
    "NotFound": "There is no such thing, or no longer.",
    "Conflict": "It is not possible now; `Retry-After` says when to try again, where it may help.",
    "Busy": "There is no room now; `Retry-After` says when to try again.",
}


def document(*, dev: bool) -> Json:
    """The document of a node; `dev` adds what only --dev has."""
    paths = {**_lessons(), **_feeds(), **_archive(), **_media(), **_node()}
    if dev:
        paths["/api/dev/token"] = _dev_token()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tongbu",
            "version": metadata.version("tongbu"),
            "summary": "Lessons that are live, their media, and what is kept of them.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"bearer": []}, {"cookie": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "tongbu_token"},
            },
            "schemas": SCHEMAS,
            "responses": {
                name: _answer(sentence, ref("Error")) for name, sentence in _SENTENCES.items()
            },
        },
    }


def _lessons() -> Json:
    lesson = _parameter("lesson", _LESSON)
    floor = _ok("Who has the floor and who asks for it.", ref("Floor"))
    named = _json_body({"type": "object", "properties": {"identity": TEXT}})
    return {
        "/api/lessons": {
            "get": _operation(
                "The lessons that are live and that the bearer may see.",
                _ok("Them.", {"type": "array", "items": ref("Lesson")}),
                errors=("401",),
            )
        },
        "/api/lessons/{lesson}": {
            "delete": _operation(
                "End a lesson for everybody.", _empty(204), lesson, errors=("401", "403", "404")
            )
        },
        "/api/lessons/{lesson}/floor": {
            "get": _operation("The floor.", floor, lesson, errors=("401", "403", "404")),
            "post": _operation(
                "Give the floor to a member.",
                floor,
                lesson,
                body=named,
                errors=("400", "401", "403", "404", "409"),
            ),
            "delete": _operation(
                "Take the floor back.", floor, lesson, errors=("401", "403", "404", "409")
            ),
        },
        "/api/lessons/{lesson}/hands": {
            "post": _operation(
                "Raise one's own hand.", floor, lesson, errors=("401", "403", "404", "409")
            )
        },
        "/api/lessons/{lesson}/hands/{identity}": {
            "delete": _operation(
                "Lower a member's hand.",
                floor,
                lesson,
                _parameter("identity", "Whose."),
                errors=("401", "403", "404", "409"),
            )
        },
    }


def _feeds() -> Json:
    paths: Json = {}
    for name, doing, wish in (
        ("ingest", "pulled into a lesson", "IngestWish"),
        ("push", "sent to, of other platforms", "PushWish"),
    ):
        lesson, feed = _parameter("lesson", _LESSON), _parameter("id", "As the list names it.")
        errors = ("400", "401", "403", "404", "409")
        paths[f"/api/lessons/{{lesson}}/{name}"] = {
            "get": _operation(
                f"What is {doing}." if name == "ingest" else f"Where a lesson is {doing}.",
                _ok("Them, the oldest first.", {"type": "array", "items": ref("Feed")}),
                lesson,
                errors=("401", "403", "404"),
            ),
            "post": _operation(
                "One more; the operator's configuration says which hosts may be named.",
                {"201": _answer("It, as it begins.", ref("Feed"))},
                lesson,
                body=_json_body(ref(wish)),
                errors=errors,
            ),
        }
        paths[f"/api/lessons/{{lesson}}/{name}/{{id}}"] = {
            "delete": _operation("End it.", _empty(204), lesson, feed, errors=("401", "403", "404"))
        }
    return paths


def _archive() -> Json:
    lesson_id = _parameter("id", "A recorded lesson, as the index names it.")
    query = [
        {"name": name, "in": "query", "description": description, "schema": schema}
        for name, schema, description in _ARCHIVE_QUERY
    ]
    return {
        "/api/archive": {
            "get": _operation(
                "The recorded lessons that the bearer may see and that the question means.",
                _ok("Them.", ref("Found")),
                *query,
                errors=("400", "401", "403", "503"),
            )
        },
        "/api/archive/{id}": {
            "get": _operation(
                "One recorded lesson.",
                _ok("It.", ref("Shown")),
                lesson_id,
                errors=("401", "403", "404", "503"),
            ),
            "patch": _operation(
                "Say what a lesson is about: its teacher; how long it stays: an administrator.",
                _ok("It, changed.", ref("Entry")),
                lesson_id,
                body=_json_body(
                    {
                        **object_of(DETAILS),
                        "required": [],
                        "description": "What is to change; null takes back what was changed.",
                    }
                ),
                errors=("400", "401", "403", "404", "503"),
            ),
            "delete": _operation(
                "Delete a recorded lesson.",
                _empty(204),
                lesson_id,
                errors=("401", "403", "404", "409", "503"),
            ),
        },
        "/archive/{id}/media/{path}": {
            "get": _operation(
                "A file of a recorded lesson: playlists, segments, downloads, the poster.",
                {"200": {"description": "It."}, "206": {"description": "The range asked for."}},
                lesson_id,
                _parameter("path", "As the entry or a playlist names it."),
                errors=("401", "403", "404"),
            )
        },
    }


def _media() -> Json:
    paths: Json = {}
    for protocol, title, doing in (
        ("whip", "WHIP (RFC 9725)", "Teach"),
        ("whep", "WHEP (draft-ietf-wish-whep)", "Watch"),
    ):
        lesson, session = _parameter("lesson", _LESSON), _parameter("session", "From `Location`.")
        paths[f"/{{lesson}}/{protocol}"] = {
            "post": _operation(
                f"{doing} by {title}: an SDP offer.",
                {"201": {"description": "The answer.", "content": {"application/sdp": {}}}},
                lesson,
                body={"required": True, "content": {"application/sdp": {}}},
                errors=("400", "401", "403", "404", "409", "503"),
            ),
            "options": _operation("What may be posted, and from where.", _empty(204), lesson),
        }
        paths[f"/{{lesson}}/{protocol}/{{session}}"] = {
            "patch": _operation(
                "Trickle ICE, or restart it.",
                {"200": {"description": "Restarted."}, **_empty(204)},
                lesson,
                session,
                body={"required": True, "content": {"application/trickle-ice-sdpfrag": {}}},
                errors=("400", "404"),
                open_=True,
            ),
            "delete": _operation(
                "The end.", _empty(200), lesson, session, errors=("404",), open_=True
            ),
            "options": _operation("As above.", _empty(204), lesson, session),
        }
    lesson, session = _parameter("lesson", _LESSON), _parameter("session", "From `Location`.")
    offered = _ok("What there is to choose from.", {"type": "object"})
    paths["/{lesson}/whep/{session}/layers"] = {
        "get": _operation(
            "The layers of a viewer's pictures.",
            offered,
            lesson,
            session,
            errors=("404",),
            open_=True,
        ),
        "post": _operation(
            "Choose the quality of a picture.",
            offered,
            lesson,
            session,
            body=_json_body({"type": "object"}),
            errors=("400", "404"),
            open_=True,
        ),
        "options": _operation("What may be posted, and from where.", _empty(204), lesson, session),
    }
    return paths


def _node() -> Json:
    return {
        "/healthz": {
            "get": _operation("Whether the node is well.", _ok("It is.", ref("Health")), open_=True)
        },
        "/metrics": {
            "get": _operation(
                "Counters for Prometheus.",
                {"200": {"description": "Them.", "content": {"text/plain": {}}}},
                errors=("401", "403"),
            )
        },
        "/api/stats": {
            "get": _operation(
                "All counters of the media plane.",
                _ok("Them.", {"type": "object"}),
                errors=("401", "403"),
            )
        },
        "/api/session": {
            "post": _operation(
                "Turn the token into a cookie, for what a page loads by itself.",
                _empty(204),
                errors=("401",),
            )
        },
        "/api/openapi.json": {
            "get": _operation("This document.", _ok("It.", {"type": "object"}), open_=True)
        },
    }


def _dev_token() -> Json:
    roles = ["teacher", "assistant", "school", "observer", "recorder", "archivist"]
    wish = {
        "type": "object",
        "required": ["role"],
        "properties": {"lesson": TEXT, "role": {"enum": roles}, "name": TEXT},
    }
    answer = {"type": "object", "required": ["token"], "properties": {"token": TEXT}}
    return {
        "post": _operation(
            "A token for whoever asks: --dev only.",
            _ok("It.", answer),
            body=_json_body(wish),
            errors=("400",),
            open_=True,
        )
    }


# --- pieces


def _operation(
    summary: str,
    responses: Json,
    *parameters: Json,
    body: Json | None = None,
    errors: Sequence[str] = (),
    open_: bool = False,
) -> Json:
    """`open_`: no token is asked for."""
    names = {**_ERROR, "409": "Conflict", "503": "Busy"}
    refused = {code: {"$ref": f"#/components/responses/{names[code]}"} for code in errors}
    operation: Json = {"summary": summary, "responses": {**responses, **refused}}
    if parameters:
        operation["parameters"] = list(parameters)
    if body is not None:
        operation["requestBody"] = body
    if open_:
        operation["security"] = []
    return operation


def _parameter(name: str, description: str) -> Json:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": TEXT,
    }


def _answer(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _ok(description: str, schema: Json) -> Json:
    return {"200": _answer(description, schema)}


def _empty(status: int) -> Json:
    return {str(status): {"description": "Done."}}


def _json_body(schema: Json) -> Json:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


_MOMENT = "A date, a date and time, or Unix seconds: lessons that began"
_ARCHIVE_QUERY: tuple[tuple[str, Json, str], ...] = (
    ("q", TEXT, "Words that all are in title, names, details, notes or chat of the lesson."),
    *((name, TEXTS, f"Lessons with one of these: {name}.") for name in FILTERS),
    ("from", TEXT, f"{_MOMENT} then or later."),
    ("to", TEXT, f"{_MOMENT} before; a date includes its day."),
    ("sort", {"enum": list(Sort)}, "Titles that have the words come first in `best`."),
    ("facets", {"enum": ["0", "1"]}, "Whether to count what was found by school, subject, ..."),
    ("limit", {"type": "integer"}, "Lessons in the answer."),
    ("offset", {"type": "integer"}, "Lessons to leave out before them."),
)
