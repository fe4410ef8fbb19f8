"""The asyncio side of `admission.py`: a join waits here for its turn."""

import asyncio

from signaling.admission import Admission, Counts, Limits, Stage, Ticket
from signaling.events import Role


class Door:
    """Where every join of a node comes in. Use it from one event loop."""

    def __init__(self, limits: Limits) -> None:
        self._admission = Admission(limits)
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[Ticket, asyncio.Future[None]] = {}
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def counts(self) -> Counts:
        """What has happened so far."""
        return self._admission.counts

    async def enter(self, lesson: str, role: Role) -> Ticket:
        """Wait for one's turn; `release` the ticket when the handshake is over.

        Raises Crowded. A cancelled wait leaves the queue.
        """
        ticket = self._admission.ask(lesson, role)
        self._call()
        if ticket.stage is Stage.WAITING:
            turn = self._waiting[ticket] = self._loop.create_future()
            try:
                await turn
            except asyncio.CancelledError:
                self.release(ticket)
                raise
            finally:
                self._waiting.pop(ticket, None)
        return ticket

    def release(self, ticket: Ticket) -> None:
        """The place is free. Idempotent."""
        self._admission.release(ticket)
        self._call()

    def _call(self) -> None:
        for ticket in self._admission.poll(self._loop.time()):
            turn = self._waiting.get(ticket)
            if turn is not None and not turn.done():
                turn.set_result(None)
        self._set_alarm(self._admission.poll_at())

    def _set_alarm(self, time: float | None) -> None:
        if self._alarm is not None and (time is None or self._alarm.when() != time):
            self._alarm.cancel()
            self._alarm = None
        if time is not None and self._alarm is None:
            self._alarm = self._loop.call_at(time, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._call()
