"""The arithmetic: costs per photo in; hours, bytes, dollars and limits out.

A component takes a start, then as long as its workers compute or transfer, whichever is longer, then as long as what
only one process does. Components run one after the other.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Final

HOUR: Final = 3600.0
_HASH_BITS: Final = 64


def count_pairs(photos: float, bands: int) -> float:
    """Returns how many pairs of different photos share a band of their perceptual hash by chance.

    Args:
        photos: How many.
        bands: Of the hash, which has 64 bits.
    """
    edges = [_HASH_BITS * band // bands for band in range(bands + 1)]
    return sum(photos**2 / 2 / 2.0 ** (high - low) for low, high in itertools.pairwise(edges))


@dataclasses.dataclass(frozen=True)
class StepCost:
    """What one photo of the data set costs a component, on average over the splits.

    Attributes:
        name: The component.
        parallel_s: CPU seconds that workers share.
        serial_s: Seconds of one process.
        serial_bytes: What one process reads.
        shuffled_bytes: What a GroupByKey moves.
        stored_bytes: What is written.
        held_bytes: What one process keeps in memory.
        job_bytes: What the description of a job grows by.
        pair_s: CPU seconds per pair of photos that share a band of their perceptual hash.
        bands: Of that hash.
        beam: Whether workers are started for it.
    """

    name: str
    parallel_s: float = 0.0
    serial_s: float = 0.0
    serial_bytes: float = 0.0
    shuffled_bytes: float = 0.0
    stored_bytes: float = 0.0
    held_bytes: float = 0.0
    job_bytes: float = 0.0
    pair_s: float = 0.0
    bands: int = 1
    beam: bool = True


@dataclasses.dataclass(frozen=True)
class Engine:
    """Workers, and what they cost.

    Attributes:
        name: What it is called.
        workers: Machines.
        cores: Of each machine, as quick as the one that the costs were measured on.
        memory_gb: Of each machine; the launching process and the Trainer have one such machine each.
        start_s: Until the workers of a job compute.
        bytes_per_s: What a machine reads, writes and shuffles per second.
        core_hour: Dollars.
        gb_hour: Dollars per GB of memory.
        shuffled_gb: Dollars; 0 where workers shuffle themselves.
    """

    name: str
    workers: int
    cores: int
    memory_gb: float
    start_s: float
    bytes_per_s: float
    core_hour: float
    gb_hour: float
    shuffled_gb: float


@dataclasses.dataclass(frozen=True)
class StepTime:
    """What a component takes on all photos."""

    name: str
    parallel_hours: float
    serial_hours: float
    start_hours: float
    shuffled_bytes: float
    stored_bytes: float
    dollars: float

    @property
    def hours(self) -> float:
        """From its start to its end."""
        return self.start_hours + self.parallel_hours + self.serial_hours


@dataclasses.dataclass(frozen=True)
class Limit:
    """From how many photos on a step is what breaks, and why."""

    photos: float
    name: str
    why: str


def simulate(costs: Sequence[StepCost], photos: int, engine: Engine) -> list[StepTime]:
    """Returns what each component takes.

    Args:
        costs: Per photo.
        photos: How many.
        engine: Where.
    """
    return [_simulate_step(cost, photos, engine) for cost in costs]


def _simulate_step(cost: StepCost, photos: int, engine: Engine) -> StepTime:
    compute_s = (cost.parallel_s * photos + cost.pair_s * count_pairs(photos, cost.bands)) / (
        engine.workers * engine.cores
    )
    moved = (2 * cost.shuffled_bytes + cost.stored_bytes) * photos  # what is shuffled is written and read
    parallel_h = max(compute_s, moved / (engine.workers * engine.bytes_per_s)) / HOUR if cost.beam else 0.0
    serial_h = max(cost.serial_s, cost.serial_bytes / engine.bytes_per_s) * photos / HOUR
    start_h = engine.start_s / HOUR if cost.beam else 0.0
    machine_hour = engine.cores * engine.core_hour + engine.memory_gb * engine.gb_hour
    machine_hours = engine.workers * (parallel_h + start_h) + serial_h  # a job's machines go when it ends
    dollars = machine_hours * machine_hour + cost.shuffled_bytes * photos / 1e9 * engine.shuffled_gb
    shuffled, stored = cost.shuffled_bytes * photos, cost.stored_bytes * photos
    return StepTime(cost.name, parallel_h, serial_h, start_h, shuffled, stored, dollars)


def find_limits(costs: Sequence[StepCost], engine: Engine, patience_hours: float, max_job_bytes: float) -> list[Limit]:
    """Returns where components break, the smallest number of photos first.

    Args:
        costs: Per photo.
        engine: Where.
        patience_hours: How long one component's single process, or its search for duplicates, may take.
        max_job_bytes: How large the description of a job may be.
    """
    limits = []
    for cost in costs:
        if cost.job_bytes:
            why = f"the job lists {cost.job_bytes:.3g} bytes per photo, and may have {max_job_bytes / 1e6:g} MB"
            limits.append(Limit(max_job_bytes / cost.job_bytes, cost.name, why))
        if cost.held_bytes:
            why = f"one process holds {cost.held_bytes:,.0f} bytes per photo, and has {engine.memory_gb:g} GB"
            limits.append(Limit(engine.memory_gb * 1e9 / cost.held_bytes, cost.name, why))
        if serial_s := max(cost.serial_s, cost.serial_bytes / engine.bytes_per_s):
            why = f"one process takes {1e3 * serial_s:.2g} ms per photo: {patience_hours:g} hours"
            limits.append(Limit(patience_hours * HOUR / serial_s, cost.name, why))
        if cost.pair_s:
            pairs = patience_hours * HOUR * engine.workers * engine.cores / cost.pair_s
            why = f"pairs of photos to compare grow with the square: {patience_hours:g} hours of all workers"
            limits.append(Limit(math.sqrt(pairs / count_pairs(1.0, cost.bands)), cost.name, why))
    return sorted(limits, key=lambda limit: limit.photos)
