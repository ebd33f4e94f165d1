"""Runs that Kubeflow starts by itself: its recurring runs."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from components.common.errors import UserError
from pipeline.kubeflow.server.api import Connection
from pipeline.kubeflow.server.submit import Submission, upload

_FIELDS, _FIELDS_WITH_SECONDS = 5, 6
_MOST_OF_A_NAME = 100


@dataclasses.dataclass(frozen=True)
class Schedule:
    """A recurring run that the server has accepted.

    Attributes:
        id: Its id.
        name: Its name.
        cron: When it runs, as Kubeflow reads it: seconds first.
        replaced: The ids of those of its name that it took the place of.
    """

    id: str
    name: str
    cron: str
    replaced: Sequence[str]


def start_schedule(connection: Connection, submission: Submission, cron: str, name: str = "") -> Schedule:
    """Uploads the pipeline and has Kubeflow run it again and again, one run at a time.

    Recurring runs of the same name and experiment are removed: what is scheduled is what was compiled last. Runs that
    were missed, because the schedule was paused or the run before took too long, are not made up for.

    Args:
        connection: The server.
        submission: What to run; its run name is not used.
        cron: When.
        name: The recurring run's name; empty is the pipeline's.

    Returns:
        The recurring run.

    Raises:
        UserError: The times, the package or a parameter are wrong, or the server cannot be reached or refuses.
    """
    cron = kubeflow_cron(cron)
    uploaded = upload(connection, submission)
    name = name or uploaded.pipeline
    client = uploaded.client
    with connection.readable_errors():
        earlier = _ids_of(client, uploaded.experiment_id, name)
        created = client.create_recurring_run(
            experiment_id=uploaded.experiment_id,
            job_name=name,
            cron_expression=cron,
            max_concurrency=1,
            no_catchup=True,
            **uploaded.run_arguments,
        )
        # After the new one, so that a refusal leaves what there was.
        for schedule_id in earlier:
            client.delete_recurring_run(schedule_id)
    return Schedule(created.recurring_run_id, name, cron, earlier)


def kubeflow_cron(text: str) -> str:
    """Returns a cron expression as Kubeflow reads it, with seconds first.

    Given the usual five fields, Kubeflow takes the first one for seconds: `0 3 * * *` would run every hour.

    Args:
        text: Five fields, six with seconds first, or a word such as `@daily`.

    Raises:
        UserError: It has another number of fields.
    """
    fields = text.split()
    if len(fields) == _FIELDS:
        return " ".join(("0", *fields))
    if len(fields) == _FIELDS_WITH_SECONDS or text.startswith("@"):
        return " ".join(fields)
    raise UserError(
        f"--cron {text!r} has {len(fields)} fields; give five (minute, hour, day of month, month, day of week), such "
        "as '30 3 * * *', or six with seconds first"
    )


def _ids_of(client: Any, experiment_id: str, name: str) -> tuple[str, ...]:
    predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
    listed = client.list_recurring_runs(
        experiment_id=experiment_id, page_size=_MOST_OF_A_NAME, filter=json.dumps({"predicates": [predicate]})
    )
    return tuple(run.recurring_run_id for run in listed.recurring_runs or [])
