"""What each role allows, and who has authority over whom. Pure."""

from collections.abc import Mapping

from signaling.errors import NotPermitted
from signaling.events import NOTHING, SOURCES, SPOKEN, STAFF, Member, Role

MAY_PUBLISH: Mapping[Role, frozenset[str]] = {
    Role.TEACHER: SOURCES,
    Role.ASSISTANT: SOURCES,
    Role.SCHOOL: NOTHING,
    Role.OBSERVER: NOTHING,
    Role.RECORDER: NOTHING,
}
"""Within a member's grants. The floor comes on top of both."""

MAY_SPEAK = frozenset({Role.SCHOOL, Role.ASSISTANT})
"""Who may ask for the floor, and be given it. An assistant who has it is heard by those who only
hear the teacher and the floor."""


def may_publish(member: Member, *, floor: bool) -> frozenset[str]:
    """The sources that a member may publish now; `floor`: it has the floor."""
    granted = MAY_PUBLISH[member.role] & member.grants.publish
    return granted | SPOKEN if floor else granted


def require_authority(by: Member | None, over: Member | None = None) -> None:
    """Raise NotPermitted unless `by` (None: the house) may do this, to whom it is done."""
    if by is None:
        return
    if by.role not in STAFF:
        raise NotPermitted("Only the teacher or an assistant may do this.")
    if over is not None and over.role is Role.TEACHER and by.role is not Role.TEACHER:
        raise NotPermitted("An assistant may not do this to the teacher.")
