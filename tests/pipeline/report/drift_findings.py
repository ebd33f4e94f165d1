"""What DriftDetector leaves when one class has grown."""

from typing import Any


def grown_class(name: str) -> dict[str, Any]:
    """Returns the content of `drift.json`.

    Args:
        name: The class.
    """
    shift = {"what": "labels", "measure": "largest change", "value": 0.125, "limit": 0.05, "p_value": 0.001}
    shift |= {"moved": True, "detail": f"{name} 20.0% before, 32.5% now"}
    entry = {"name": name, "share_before": 0.2, "share_now": 0.325, "auc": None}
    return {"photos": 12, "baseline_photos": 1234, "shifts": [shift], "classes": [entry], "remark": "why not"}
