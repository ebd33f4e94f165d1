"""Typed records from parsed JSON."""

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from components.common.records import from_json


class _Color(str, enum.Enum):
    RED = "red"


@dataclasses.dataclass(frozen=True)
class _Inner:
    name: str
    size: tuple[int, int] = (1, 1)


@dataclasses.dataclass(frozen=True)
class _Outer(_Inner):
    color: _Color = _Color.RED
    share: float | None = None
    inner: _Inner | None = None
    several: Sequence[_Inner] = ()
    counts: Mapping[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)
    anything: Any = None


def test_content_of_json_becomes_a_typed_record():
    content = {
        "name": "a",
        "size": [2, 3],
        "color": "red",
        "share": 1,
        "inner": {"name": "b"},
        "several": [{"name": "c", "size": [4, 5]}],
        "counts": {"train": {"daisy": 1}},
        "anything": [1, "x"],
        "of_a_later_version": 1,
    }
    inner, several = _Inner("b"), [_Inner("c", (4, 5))]
    expected = _Outer("a", (2, 3), _Color.RED, 1, inner, several, {"train": {"daisy": 1}}, [1, "x"])
    assert from_json(_Outer, content) == expected
    assert from_json(list[_Outer], [content, {"name": "d"}]) == [expected, _Outer("d")]
    assert from_json(_Outer, dataclasses.asdict(expected)) == expected
    # A number stays what it is: 1 for a float is not written back as 1.0.
    assert isinstance(from_json(_Outer, content).share, int)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "'name' of _Outer is missing"),
        ({"name": 1}, "1 is not of type str"),
        ({"name": "a", "size": [1, "x"]}, "'x' is not of type int"),
        ({"name": "a", "color": "blue"}, "'blue' is not a valid _Color"),
        ({"name": "a", "inner": 3}, "3 is not an object with the fields of _Inner"),
        ({"name": "a", "several": [{}]}, "'name' of _Inner is missing"),
        ({"name": "a", "several": 3}, "not iterable"),
        ({"name": "a", "counts": [3]}, "list"),
        ([1], "is not an object with the fields of _Outer"),
        (None, "is not an object with the fields of _Outer"),
    ],
)
def test_content_that_does_not_fit_is_a_value_error_of_one_line(content, message):
    with pytest.raises(ValueError, match=message) as caught:
        from_json(_Outer, content)
    assert "\n" not in str(caught.value)
