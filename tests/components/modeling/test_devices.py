"""Tests of the choice of strategy and precision."""

import pytest
import tensorflow as tf

from components.modeling.devices import (
    ComputeCapability,
    choose_strategy,
    mixed_precision,
    supports_mixed_precision,
    training_devices,
)


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ([], False),
        ([(7, 0)], True),
        ([(6, 1)], False),
        ([(8, 6), (9, 0)], True),
        ([(8, 6), (6, 1)], False),
        ([None], False),
    ],
)
def test_mixed_precision_needs_tensor_cores_everywhere(
    capabilities: list[ComputeCapability | None], expected: bool
) -> None:
    assert supports_mixed_precision(capabilities) is expected


def test_one_device_needs_no_strategy() -> None:
    assert choose_strategy(training_devices()[:1]) is tf.distribute.get_strategy()


def test_the_rewrite_ends_with_its_context() -> None:
    def rewrites() -> bool:
        return tf.config.optimizer.get_experimental_options().get("auto_mixed_precision", False)

    with mixed_precision(False):
        assert not rewrites()
    with pytest.raises(RuntimeError), mixed_precision(True):
        assert rewrites()
        raise RuntimeError
    assert not rewrites()
