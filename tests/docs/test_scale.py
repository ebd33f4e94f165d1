"""What docs/scale.md says of millions of photos is what the simulation prints, and its arithmetic is right."""

import dataclasses

import pytest
from click.testing import CliRunner
from pages import ROOT

from benchmarks.simulation.__main__ import main
from benchmarks.simulation.model import HOUR, Engine, StepCost, count_pairs, find_limits, simulate

_ENGINE = Engine(
    "engine", workers=10, cores=1, memory_gb=1.0, start_s=60.0, bytes_per_s=1e6,
    core_hour=2.0, gb_hour=3.0, shuffled_gb=5.0,
)  # fmt: skip
_COMPUTED = StepCost("Computed", parallel_s=2.0, serial_s=0.5, stored_bytes=10.0, held_bytes=1e3)


def test_the_page_has_what_the_command_prints() -> None:
    printed = CliRunner().invoke(main, [], catch_exceptions=False).output
    page = (ROOT / "docs" / "scale.md").read_text()
    tables = printed.strip().split("\n\n")
    assert len(tables) == 5  # two titles, two tables, limits
    assert [table for table in tables if table not in page] == []


def test_workers_halve_what_they_share_and_nothing_else() -> None:
    (one,), (two,) = (
        simulate([_COMPUTED], 36_000, dataclasses.replace(_ENGINE, workers=workers)) for workers in (10, 20)
    )
    assert one.parallel_hours == pytest.approx(2.0)
    assert two.parallel_hours == pytest.approx(1.0)
    assert one.serial_hours == two.serial_hours == pytest.approx(5.0)
    assert one.start_hours == two.start_hours == pytest.approx(60 / HOUR)


def test_a_step_is_as_slow_as_the_slower_of_computing_and_moving() -> None:
    shuffled = dataclasses.replace(_COMPUTED, shuffled_bytes=50e6)
    (step,) = simulate([shuffled], 36_000, _ENGINE)
    assert step.parallel_hours == pytest.approx((2 * 50e6 + 10) * 36_000 / 10e6 / HOUR)
    assert step.shuffled_bytes == pytest.approx(50e6 * 36_000)


def test_what_no_worker_shares_starts_none() -> None:
    trainer = StepCost("Trainer", serial_s=1e-3, serial_bytes=4e3, beam=False)
    (step,) = simulate([trainer], 9 * 10**5, _ENGINE)
    assert (step.parallel_hours, step.start_hours) == (0.0, 0.0)
    assert step.serial_hours == pytest.approx(1.0)  # its disk, not its core


def test_dollars_are_those_of_machines_and_of_the_shuffle() -> None:
    step = StepCost("Shuffling", parallel_s=1.0, shuffled_bytes=100.0)
    (cheap,), (dear,) = (
        simulate([step], 10**7, dataclasses.replace(_ENGINE, start_s=0.0, shuffled_gb=price)) for price in (0.0, 5.0)
    )
    assert cheap.dollars == pytest.approx(10**7 / HOUR * (2.0 + 3.0))
    assert dear.dollars - cheap.dollars == pytest.approx(5.0)


def test_the_first_limit_is_the_smallest_number_of_photos() -> None:
    searching = StepCost("Searching", pair_s=1e-6, bands=5)
    listing = StepCost("Listing", job_bytes=100.0)
    limits = find_limits([_COMPUTED, searching, listing], _ENGINE, patience_hours=1.0, max_job_bytes=1e6)
    assert [limit.photos for limit in limits] == sorted(limit.photos for limit in limits)
    found = {(limit.name, limit.photos) for limit in limits if limit.name != "Searching"}
    assert found == {("Listing", 1e4), ("Computed", 1e6), ("Computed", 7200.0)}
    (square,) = (limit.photos for limit in limits if limit.name == "Searching")
    assert count_pairs(square, 5) * 1e-6 == pytest.approx(HOUR * 10)


def test_pairs_grow_with_the_square() -> None:
    assert count_pairs(2e6, 5) == pytest.approx(4 * count_pairs(1e6, 5))
    assert count_pairs(100, 1) == pytest.approx(100**2 / 2 / 2**64)
