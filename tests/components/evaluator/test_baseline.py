"""Tests of the choice of a baseline among real artifacts."""

from tfx.types import standard_artifacts

from components.evaluator.baseline import LatestOtherBlessedModelStrategy


def _model(number: int) -> standard_artifacts.Model:
    model = standard_artifacts.Model()
    model.id = number
    return model


def _blessing(model: int, blessed: bool = True) -> standard_artifacts.ModelBlessing:
    blessing = standard_artifacts.ModelBlessing()
    blessing.set_int_custom_property("current_model_id", model)
    blessing.set_int_custom_property("blessed", int(blessed))
    return blessing


def _baseline(blessings: list[standard_artifacts.ModelBlessing], candidate: int) -> list[int]:
    resolved = LatestOtherBlessedModelStrategy().resolve_artifacts(
        None,
        {
            "model": [_model(number) for number in (1, 2, 3)],
            "model_blessing": blessings,
            "candidate": [_model(candidate)],
        },
    )
    assert resolved is not None
    assert [model.id for model in resolved["candidate"]] == [candidate]
    return [model.id for model in resolved["model"]]


def test_the_latest_blessed_model_is_the_baseline() -> None:
    assert _baseline([_blessing(1), _blessing(2)], candidate=3) == [2]
    assert _baseline([_blessing(1), _blessing(2, blessed=False)], candidate=3) == [1]


def test_a_model_is_never_its_own_baseline() -> None:
    """A repeated run finds its own model blessed already: it has the baseline that it had the first time."""
    assert _baseline([_blessing(1), _blessing(2), _blessing(3)], candidate=3) == [2]
    assert _baseline([_blessing(3)], candidate=3) == []


def test_an_older_candidate_is_compared_with_what_came_after_it() -> None:
    assert _baseline([_blessing(1), _blessing(3)], candidate=1) == [3]


def test_without_a_blessing_there_is_no_baseline() -> None:
    assert _baseline([], candidate=3) == []
