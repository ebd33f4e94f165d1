"""The graph of artifacts and executions: backward to sources or forward to models."""

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path

from components import contracts
from components.common.errors import UsageError, UserError
from components.contracts.evaluation import ACCURACY, SPLIT_PROPERTY
from components.contracts.nodes import BLESSED_PROPERTY, PUSHED_DESTINATION_PROPERTY, PUSHED_PROPERTY
from components.storage.objects import is_remote
from pipeline.records.metadata import ArtifactRecord, ExecutionRecord
from pipeline.records.store import Run, RunStore

MODEL_TYPE = "Model"
PUSHED_MODEL_TYPE = "PushedModel"
_EXAMPLES_TYPE = "Examples"
# The properties that distinguish artifacts of one type.
LABEL_PROPERTIES = (
    contracts.DATASET_NAME_PROPERTY,
    contracts.DATASET_VERSION_PROPERTY,
    contracts.SPLIT_COUNTS_PROPERTY,
    contracts.BACKBONE_HANDLE_PROPERTY,
    contracts.BACKBONE_DIGEST_PROPERTY,
    SPLIT_PROPERTY,
    ACCURACY,
    BLESSED_PROPERTY,
    PUSHED_DESTINATION_PROPERTY,
)


@dataclasses.dataclass(frozen=True)
class Step:
    """One execution and its run."""

    run: Run
    execution: ExecutionRecord

    def artifacts(self, forward: bool) -> Iterator[tuple[str, ArtifactRecord]]:
        """Yields key and artifact of everything that it wrote (forward) or read (backward)."""
        return self.execution.artifacts(written=forward)


class Lineage:
    """All artifacts of a store, with the executions that wrote and read them."""

    def __init__(self, store: RunStore):
        self._store = store
        self.artifacts: dict[int, ArtifactRecord] = {}
        self.steps: dict[int, Step] = {}
        self._producers: dict[int, Step] = {}
        self._consumers: dict[int, list[Step]] = {}
        pairs = [(run, execution) for run in store.runs for execution in run.executions.values()]
        for run, execution in sorted(pairs, key=lambda pair: pair[1].id):
            step = Step(run, execution)
            self.steps[execution.id] = step
            for forward in (False, True):
                for _, artifact in step.artifacts(forward):
                    self.artifacts[artifact.id] = artifact
            # A cached execution only refers to the outputs of an earlier one.
            if not execution.cached:
                for _, artifact in step.artifacts(forward=True):
                    self._producers.setdefault(artifact.id, step)
                for _, artifact in step.artifacts(forward=False):
                    self._consumers.setdefault(artifact.id, []).append(step)

    def producer(self, artifact: ArtifactRecord) -> Step | None:
        """Returns the execution that wrote an artifact; None if its run is not in the store."""
        return self._producers.get(artifact.id)

    def consumers(self, artifact: ArtifactRecord) -> list[Step]:
        """Returns the executions that read an artifact, oldest first, without those that TFX took from its cache."""
        return self._consumers.get(artifact.id, [])

    def neighbours(self, artifact: ArtifactRecord, forward: bool) -> list[Step]:
        """Returns the executions that read an artifact (forward), or the one that wrote it (backward)."""
        if forward:
            return self.consumers(artifact)
        producer = self.producer(artifact)
        return [producer] if producer else []

    def closure(self, targets: Iterable[ArtifactRecord], forward: bool) -> tuple[list[ArtifactRecord], list[Step]]:
        """Returns every artifact and execution that can be reached from the targets, and these, by id."""
        artifacts: dict[int, ArtifactRecord] = {}
        steps: dict[int, Step] = {}
        waiting = list(targets)
        while waiting:
            artifact = waiting.pop()
            if artifact.id in artifacts:
                continue
            artifacts[artifact.id] = artifact
            for step in self.neighbours(artifact, forward):
                steps[step.execution.id] = step
                waiting.extend(found for _, found in step.artifacts(forward))
        return [artifacts[key] for key in sorted(artifacts)], [steps[key] for key in sorted(steps)]

    def find(self, text: str) -> list[ArtifactRecord]:
        """Finds the artifacts that a user means; raises UserError if there are none.

        `text` is `latest` (the newest model, pushed if possible), an id such as `a27`, a path of an artifact or of a
        pushed folder, the name of a dataset (all its copies), or a run (its model).
        """
        if text == "latest":
            return [self._newest_model(self.artifacts.values(), f"no model was trained yet in {self._store.output}")]
        number = text.removeprefix("a")
        if number.isdigit() and int(number) in self.artifacts:
            return [self.artifacts[int(number)]]
        path = Path(text) if is_remote(text) else Path(text).expanduser().absolute()
        found = self._at_path(path) or self._datasets(text)
        if not found and self._store.is_run(text):
            run = self._store.find_run(text)
            return [self._newest_model(run.artifacts(), f"run {run.run_id} trained no model")]
        if not found:
            raise UsageError(
                f"no artifact {text!r} in the metadata store of {self._store.output}: give an id that `artifacts` "
                "lists (such as a12), the path of an artifact or pushed model, a dataset's name, or a run"
            )
        return found

    def _newest_model(self, candidates: Iterable[ArtifactRecord], none: str) -> ArtifactRecord:
        """Returns the newest pushed model, or else the newest trained one."""
        artifacts = list(candidates)
        pushed = [a for a in artifacts if a.type == PUSHED_MODEL_TYPE and a.properties.get(PUSHED_PROPERTY)]
        models = pushed or [a for a in artifacts if a.type == MODEL_TYPE and self.is_trained(a)]
        if not models:
            raise UserError(f"{none}: `runs` shows how far each run got")
        return max(models, key=lambda artifact: artifact.id)

    def models_built_on(self, sources: Iterable[ArtifactRecord]) -> list[tuple[ArtifactRecord, Run]]:
        """Returns every model trained from the sources, with the run that trained it, oldest first."""
        reached = self.closure(sources, forward=True)[0]
        models = [artifact for artifact in reached if artifact.type == MODEL_TYPE and self.is_trained(artifact)]
        return [(model, producer.run) for model in models if (producer := self.producer(model))]

    def is_source(self, artifact: ArtifactRecord) -> bool:
        """Tells whether an artifact was made without input artifacts, as datasets and backbones are."""
        producer = self.producer(artifact)
        return producer is None or not producer.execution.inputs

    def is_trained(self, model: ArtifactRecord) -> bool:
        """Tells whether a model was made from examples; a backbone was not."""
        producer = self.producer(model)
        return producer is not None and any(
            artifact.type == _EXAMPLES_TYPE for _, artifact in producer.artifacts(forward=False)
        )

    def _at_path(self, path: Path) -> list[ArtifactRecord]:
        """Returns the artifact whose folder is a path or contains it."""
        matches = [
            (len(place.parts), artifact.id, artifact)
            for artifact in self.artifacts.values()
            for place in self._places(artifact)
            if path.is_relative_to(place)
        ]
        return [max(matches, key=lambda match: match[:2])[2]] if matches else []

    def _places(self, artifact: ArtifactRecord) -> Iterator[Path]:
        yield from (Path(artifact.uri), artifact.path)
        if pushed := artifact.properties.get(PUSHED_DESTINATION_PROPERTY):
            yield from (Path(str(pushed)), self._store.locate(str(pushed)))

    def _datasets(self, name: str) -> list[ArtifactRecord]:
        """Returns the Examples of every execution that ingested a dataset of that name."""
        return [
            artifact
            for artifact in self.artifacts.values()
            if artifact.type == _EXAMPLES_TYPE
            and artifact.properties.get(contracts.DATASET_NAME_PROPERTY) == name
            and self.is_source(artifact)
        ]
