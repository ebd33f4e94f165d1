"""`local_runner.py artifacts`: what runs wrote."""

import dataclasses
import datetime
from typing import TYPE_CHECKING

import click

from pipeline.cli.store_options import console, print_json, store_options

if TYPE_CHECKING:
    from pipeline.records.store import RunStore


@click.command()
@click.option("--type", "type_name", metavar="TYPE", help="Only this type, such as Model or Examples.")
@click.option("--run", metavar="RUN", help="Only what this run wrote or took from the cache (id, prefix, latest).")
@store_options
def artifacts(store: "RunStore", type_name: str | None, run: str | None, as_json: bool) -> None:
    """List artifacts: id, type, when, which component, where."""
    from rich.markup import escape
    from rich.table import Table

    from components.common.errors import UserError
    from pipeline.records.lineage import Lineage

    lineage = Lineage(store)
    chosen = lineage.artifacts
    if run is not None:
        chosen = {artifact.id: artifact for artifact in store.find_run(run).artifacts()}
    types = sorted({artifact.type for artifact in chosen.values()})
    if type_name is not None and type_name.lower() not in [name.lower() for name in types]:
        raise UserError(f"no artifact of type {type_name!r} here; there are {', '.join(types) or 'none at all'}")
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
    table = Table("id", "type", "made by", "when", "path")
    for row in rows:
        when = datetime.datetime.fromtimestamp(row["created_ms"] / 1000).isoformat(" ", "seconds")
        path_text = escape(row["path"]) if row["exists"] else f"[red]{escape(row['path'])} (gone)[/]"
        table.add_row(f"a{row['id']}", row["type"], row["node"], when, path_text)
    console().print(table)
