"""What is counted of a node under load between two moments."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks._loadgen import Snapshot

# Columns of `Snapshot.received`.
PACKETS, BYTES, LOST, _, UNOPENED, FIRST_NS, RESENT, ASKED, EXTENSION = range(9)


@dataclass(frozen=True)
class Moment:
    """What had been counted at one moment."""

    user_us: float
    system_us: float
    shards: list[dict[str, Any]]
    clients: "Snapshot"
    teachers: frozenset[int]
    """Which of the clients are no viewers."""
    drops: int
    """Datagrams that came to full sockets."""
    worked: float
    """Seconds that the cores of server and generator have worked, for whomever."""
    stolen: float
    """Seconds that the hypervisor has kept from them."""
    own: float
    """Seconds that this process has worked."""
    time: float


QUANTILES = {"p50_us": 0.5, "p99_us": 0.99, "p999_us": 0.999}


@dataclass(frozen=True)
class Span:
    """What happened between two moments."""

    before: Moment
    after: Moment

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.after.time - self.before.time

    @property
    def received(self) -> int:
        """Packets that reached schools; retransmissions are not among them."""
        return self._sum(PACKETS)

    @property
    def loss(self) -> float:
        """Of what the schools should have got, the part they did not."""
        lost = self._sum(LOST)
        return lost / max(1, self.received + lost)

    @property
    def behind(self) -> float:
        """Of one teacher's packets, the part that did not reach the schools meanwhile."""
        sent = self.after.clients["published"] - self.before.clients["published"]
        schools = len(self._rows(self.before))
        return max(0.0, 1 - self.received / max(1, sent * schools))

    @property
    def unopened(self) -> int:
        """Packets of the sample that were not what the teacher had sealed."""
        return self._sum(UNOPENED)

    @property
    def user_us(self) -> float:
        """CPU microseconds of the node in user mode, a packet."""
        return (self.after.user_us - self.before.user_us) / max(1, self.received)

    @property
    def system_us(self) -> float:
        """The same in the kernel."""
        return (self.after.system_us - self.before.system_us) / max(1, self.received)

    @property
    def cpu_us(self) -> float:
        """Both."""
        return self.user_us + self.system_us

    @property
    def server_cpu(self) -> float:
        """Cores the node kept busy."""
        return self.cpu_us * self.received / self.seconds / 1e6

    @property
    def generator_cpu(self) -> float:
        """The part of its core that the generator's thread took."""
        used = self.after.clients["cpu_us"] - self.before.clients["cpu_us"]
        return used / self.seconds / 1e6

    @property
    def others_cpu(self) -> float:
        """Cores kept busy by neither node nor generator: a quiet machine has next to none."""
        worked = self.after.worked - self.before.worked
        own = self.after.own - self.before.own
        return max(0.0, (worked - own) / self.seconds - self.server_cpu)

    @property
    def latencies_us(self) -> list[float]:
        """One way through the node for each packet of the sample, sorted."""
        return sorted(ns / 1e3 for ns in self.after.clients["latencies_ns"])

    @property
    def latency(self) -> dict[str, int]:
        """What an answer tells of them."""
        latencies = self.latencies_us
        return {name: round(percentile(latencies, part)) for name, part in QUANTILES.items()}

    @property
    def bytes_per_packet(self) -> float:
        """Of UDP payload, as it reached the schools."""
        return self._sum(BYTES) / max(1, self.received)

    @property
    def extension_bytes(self) -> int:
        """Header extensions of a packet, with the head of their block, as most schools get it."""
        rows = self._rows(self.after)
        return statistics.mode(row[EXTENSION] for row in rows) if rows else 0

    def counted(self, counter: str) -> float:
        """A counter of the shards, 0 where they have none of that name."""
        before = sum(shard.get(counter, 0) for shard in self.before.shards)
        return float(sum(shard.get(counter, 0) for shard in self.after.shards) - before)

    def counts(self, counter: str) -> bool:
        """Whether the shards have a counter of that name."""
        return any(counter in shard for shard in self.after.shards)

    def histogram(self, name: str) -> dict[float, float]:
        """A histogram of the shards: by the upper bound of each bucket, what came into it.

        Its counters are called `<name>_<bound>`.
        """
        counters = {key for shard in self.after.shards for key in shard}
        bounds = (key.removeprefix(f"{name}_") for key in counters if key.startswith(f"{name}_"))
        counts = {float(bound): self.counted(f"{name}_{bound}") for bound in bounds}
        return {bound: counts[bound] for bound in sorted(counts) if counts[bound] > 0}

    @property
    def stolen_cpu(self) -> float:
        """Cores the hypervisor took from this machine when it wanted them."""
        return (self.after.stolen - self.before.stolen) / self.seconds

    def generator(self) -> dict[str, object]:
        """Whether generator and machine kept up: a reader must know."""
        return {
            "generator_cpu": round(self.generator_cpu, 3),
            "generator_late_us_max": self.after.clients["late_us_max"],
            "receive_buffer_errors": self.after.drops - self.before.drops,
            "stolen_cpu": round(self.stolen_cpu, 3),
            "others_cpu": round(self.others_cpu, 3),
            "asked_again": self._sum(ASKED),
            "resent": self._sum(RESENT),
        }

    def _sum(self, column: int) -> int:
        # Who joined in between is not compared.
        pairs = zip(self._rows(self.before), self._rows(self.after), strict=False)
        return sum(new[column] - old[column] for old, new in pairs)

    def _rows(self, moment: Moment) -> list[list[int]]:
        rows = enumerate(moment.clients["received"])
        return [row for client, row in rows if client not in self.after.teachers]


def percentile(ordered: list[float], part: float) -> float:
    """The value below which `part` (0-1) of a sorted list lies; 0 of an empty one."""
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


def percentile_of(histogram: Mapping[float, float], part: float) -> float:
    """The upper bound of the bucket in which that part (0-1) is reached; 0 of an empty one."""
    rest = part * sum(histogram.values())
    for bound in sorted(histogram):
        rest -= histogram[bound]
        if rest <= 0:
            return bound
    return 0.0
