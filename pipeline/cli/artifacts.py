"""`local_runner.py artifacts`: the artifacts of all runs."""

import dataclasses
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from components.common.errors import UsageError
from pipeline.cli.store_options import console, print_json, store_options, table, time_text

if TYPE_CHECKING:
    from pipeline.records.store import RunStore


@click.command()
@click.option("--type", "type_name", metavar="TYPE", help="Only this type, such as Model or Examples.")
@click.option("--run", metavar="RUN", help="Only artifacts that this run wrote or took from the cache.")
@store_options
def artifacts(store: "RunStore", type_name: str | None, run: str | None, as_json: bool) -> None:
    """List artifacts: id, type, component, time and path."""
    from pipeline.records.lineage import Lineage

    lineage = Lineage(store)
    chosen = lineage.artifacts
    if run is not None:
        chosen = {artifact.id: artifact for artifact in store.find_run(run).artifacts()}
    types = sorted({artifact.type for artifact in chosen.values()})
    if type_name is not None and type_name.lower() not in [name.lower() for name in types]:
        raise UsageError(f"no artifact of type {type_name!r}; the types are {', '.join(types) or 'none'}")
    rows = []
    for artifact in sorted(chosen.values(), key=lambda artifact: artifact.id):
        if type_name is None or artifact.type.lower() == type_name.lower():
            producer = lineage.producer(artifact)
            rows.append(
                dataclasses.asdict(artifact)
                | {"path": str(artifact.path), "exists": artifact.path.exists()}
                | {"node": producer.execution.node_id if producer else None}
                | {"run": producer.run.run_id if producer else None}
            )
    if as_json:
        print_json(rows)
        return
    listed = table("id", "type", "component", "created", "path")
    for row in rows:
        path_text = escape(row["path"]) if row["exists"] else f"[red]{escape(row['path'])} (deleted)[/]"
        listed.add_row(f"a{row['id']}", row["type"], row["node"], time_text(row["created_ms"]), path_text)
    console().print(listed)
