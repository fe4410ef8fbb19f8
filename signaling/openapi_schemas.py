"""The shapes of what our own REST takes and gives, for its OpenAPI document (`openapi.py`)."""

from collections.abc import Mapping
from typing import Any

from recorder.archive.details import FACETS

Json = dict[str, Any]


def ref(name: str) -> Json:
    """The schema of that name, by reference."""
    return {"$ref": f"#/components/schemas/{name}"}


def object_of(properties: Mapping[str, Json]) -> Json:
    """All of these are there."""
    return {"type": "object", "required": list(properties), "properties": dict(properties)}


TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "number"}
COUNT: Json = {"type": "integer", "minimum": 0}
MAYBE: Json = {"type": ["string", "null"]}
KIND: Json = {"enum": ["audio", "video"]}

TEXTS: Json = {"type": "array", "items": TEXT}
DETAILS: Json = {
    "title": TEXT,
    **dict.fromkeys(FACETS, TEXT),
    "language": {**TEXT, "description": "A tag of RFC 5646, such as zh-CN."},
    "notes": TEXT,
    "tags": TEXTS,
    "hold": {"type": "boolean", "description": "It is not deleted while this is true."},
    "keep_until": {"type": ["number", "null"], "description": "Unix seconds."},
}
SCHEMAS: Json = {
    "Error": object_of({"error": {**TEXT, "description": "One sentence."}}),
    "Health": {
        "type": "object",
        "required": ["ok", "lessons", "recorder"],
        "properties": {
            "ok": {"const": True},
            "lessons": COUNT,
            "recorder": {**TEXT, "description": "ok, off, starting, or failing: and why."},
            "disk": {**ref("Disk"), "description": "Where lessons are recorded."},
        },
    },
    "Disk": object_of(
        {
            "free_bytes": COUNT,
            "keeps": {
                "enum": ["everything", "sound", "events"],
                "description": "What is recorded.",
            },
            "hours_left": {
                "type": ["number", "null"],
                "description": "Until video is not recorded any more; null: that is not in sight.",
            },
            "warning": {**MAYBE, "description": "One sentence, where there is reason for it."},
        }
    ),
    "Track": object_of({"kind": KIND, "source": TEXT, "codec": TEXT}),
    "Floor": object_of(
        {
            "floor": {
                **MAYBE,
                "description": "Whose it is, by identity; also in the metadata of LiveKit's room.",
            },
            "hands": {
                "type": "array",
                "items": TEXT,
                "description": "Who asks for it, by identity; who asked first is first.",
            },
        }
    ),
    "IngestWish": {
        "type": "object",
        "required": ["url"],
        "additionalProperties": False,
        "properties": {
            "url": {**TEXT, "description": "rtsp, rtsps, rtmp, rtmps or srt."},
            "source": {"enum": ["camera", "slides"]},
            "role": {"enum": ["assistant", "teacher"]},
            "name": TEXT,
            "transport": {"enum": ["tcp", "udp"], "description": "How RTSP carries its media."},
            "audio": {"type": ["boolean", "null"]},
        },
    },
    "PushWish": {
        "type": "object",
        "required": ["url"],
        "additionalProperties": False,
        "properties": {
            "url": {**TEXT, "description": "rtmp, rtmps or srt."},
            "source": {"enum": ["camera", "slides"]},
            "audio": {"enum": ["aac", "opus"], "description": "opus: by SRT only."},
        },
    },
    "Feed": {
        "type": "object",
        "required": ["id", "url", "source", "state", "restarts"],
        "properties": {
            "id": TEXT,
            "url": {**TEXT, "description": "Without what is secret in it."},
            "source": {"enum": ["camera", "slides"]},
            "state": {**TEXT, "description": "connecting, waiting, live, or failing: and why."},
            "restarts": COUNT,
            "role": {**TEXT, "description": "Of a pull, as what follows."},
            "name": TEXT,
            "configured": {"type": "boolean"},
            "video": {**TEXT, "description": "What the picture is, and what becomes of it."},
            "audio": {**TEXT, "description": "And the sound."},
            "bytes": COUNT,
            "behind_s": {**NUMBER, "description": "Of a push: how far behind the lesson it is."},
        },
    },
    "Lesson": {
        "type": "object",
        "required": ["lesson", "title", "id", "started_at", "schools", "tracks", "recording"],
        "properties": {
            "lesson": TEXT,
            "title": TEXT,
            "id": TEXT,
            "started_at": {**NUMBER, "description": "Unix seconds."},
            "schools": COUNT,
            "tracks": {"type": "array", "items": ref("Track")},
            "recording": {**TEXT, "description": "ok, off, or failing: and why."},
            "disk": {**ref("Disk"), "description": "Where it fills, or is nearly full."},
        },
    },
    "Entry": object_of(
        {
            "id": TEXT,
            "lesson": TEXT,
            "title": TEXT,
            "state": {"enum": ["live", "finishing", "complete", "recovered", "degraded"]},
            "started_at": {**NUMBER, "description": "Unix seconds."},
            "duration_s": NUMBER,
            "poster": MAYBE,
            "bytes": COUNT,
            "views": {"type": "array", "items": {"type": "object"}},
            "audio": {"type": ["object", "null"]},
            "downloads": TEXTS,
            **DETAILS,
        }
    ),
    "Shown": {
        "type": "object",
        "required": ["editable"],
        "allOf": [ref("Entry")],
        "properties": {
            "editable": {"type": "boolean", "description": "The bearer may PATCH what it is about."}
        },
    },
    "Found": {
        "type": "object",
        "required": ["lessons", "total"],
        "properties": {
            "lessons": {
                "type": "array",
                "items": {
                    "allOf": [ref("Entry")],
                    "properties": {"found": {"type": "array", "items": ref("Passage")}},
                },
            },
            "total": COUNT,
            "facets": {
                "type": "object",
                "description": "By name of a filter, the most frequent values first.",
                "additionalProperties": {
                    "type": "array",
                    "items": object_of({"value": TEXT, "count": COUNT}),
                },
            },
        },
    },
    "Passage": {
        "type": "object",
        "required": ["in", "parts"],
        "properties": {
            "in": {**TEXT, "description": "A field of the entry, or chat."},
            "parts": {**TEXTS, "description": "Plain, found, plain, found ..."},
            "t": {**NUMBER, "description": "Of a message: seconds of the lesson."},
            "name": {**TEXT, "description": "Of a message: who wrote it."},
        },
    },
}
