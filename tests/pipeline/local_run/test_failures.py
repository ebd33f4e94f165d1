"""Tests of how an exception becomes one clear line."""

import signal

import apache_beam as beam
import pytest

from components.common.errors import UserError
from pipeline.local_run.failures import user_error_message, was_interrupted


def _raise(_element: int) -> None:
    raise UserError("photo 'x.jpg' is broken: remove it")


def test_a_user_error_is_its_own_message() -> None:
    assert user_error_message(UserError("bad")) == "bad"


def test_a_cause_is_found() -> None:
    error = RuntimeError("executor failed")
    error.__cause__ = UserError("no such folder")
    assert user_error_message(error) == "no such folder"


def test_a_user_error_inside_a_beam_worker_is_found() -> None:
    with pytest.raises(Exception) as caught, beam.Pipeline() as pipeline:
        _ = pipeline | beam.Create([1]) | "Break" >> beam.Map(_raise)
    assert user_error_message(caught.value) == "photo 'x.jpg' is broken: remove it"


def _interrupt(_element: int) -> None:
    signal.raise_signal(signal.SIGINT)


def test_an_interrupt_inside_a_beam_worker_is_found() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # A shell's background jobs ignore it.
    with pytest.raises(BaseException) as caught, beam.Pipeline() as pipeline:
        _ = pipeline | beam.Create([1]) | "Interrupt" >> beam.Map(_interrupt)
    assert was_interrupted(caught.value)
    assert not was_interrupted(UserError("bad"))


def test_an_unexpected_error_has_no_user_message() -> None:
    assert user_error_message(ValueError("oops")) is None
