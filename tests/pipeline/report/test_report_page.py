"""What the report shows, and what it must not show."""

import html.parser
import itertools
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner
from made_run import MadeRun

from components.common.errors import UserError
from pipeline.cli.report import report as report_command
from pipeline.records.intervals import independent_difference
from pipeline.records.store import open_store
from pipeline.report.page import render_page, write_report
from pipeline.report.view import RunView

NASTY_NAMES = [
    "<script>alert(1)</script>",
    "a\"b'c\nd & {{ 7 * 7 }} $x_1^2$ \x00\x1b\udc80",
    "\u202eesor 花 " + "W" * 60,
    "https://example.org/a.png",
    "url(//example.org)",
]

MakeRun = Callable[..., MadeRun]
ReportOf = Callable[[MadeRun], str]


class Outline(html.parser.HTMLParser):
    """Collects what accessibility and privacy depend on."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def parse(page: str) -> Outline:
    outline = Outline()
    outline.feed(page)
    return outline


def _section(page: str, name: str) -> str:
    return page[page.index(f'<section id="{name}"') :].partition("</section>")[0]


def _lineage(page: str) -> dict[str, list[str]]:
    """The cells of the lineage table by component."""
    rows = re.findall(r"<tr>(.*?)</tr>", _section(page, "lineage"), re.DOTALL)
    cells = [[_text(cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)] for row in rows[1:]]
    return {component: others for component, *others in cells}


def _text(markup: str) -> str:
    return " ".join(" ".join(parse(markup).text).split())


def test_page_counts_the_files_that_were_not_used(blessed_page: str) -> None:
    text = re.sub(r"\s+", " ", " ".join(parse(blessed_page).text))

    assert "left out: no photo of a class hidden 1 " in text
    assert "left out: no photo of a class unsupported suffix: none 1, .webp 4 5 " in text
    assert "Converted to JPEG: HEIC 2, WebP 1." in text


def test_page_has_the_numbers_of_the_run(blessed_run: MadeRun, blessed_page: str) -> None:
    run, page = blessed_run, blessed_page
    text = re.sub(r"\s+", " ", "".join(parse(page).text))

    accuracy = run.metrics("test")["accuracy"]
    assert f"{accuracy:.1%} of the test photos classified correctly" in text
    assert "Blessed and pushed" in text and "/srv/made/7" in text
    assert "loss 0.654" in text
    assert "a dense head (recipe: reference)" in text
    assert "digest-of-Trainer" in text and "abc123" in text and "0.001" in text
    # The epoch with the highest validation accuracy, not the last.
    assert "The weights of epoch 1 of 2 were kept" in text
    assert "A label is <missing>." in text
    assert "same picture as blue/train 1.jpg in train" in text
    matrix = [row for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL) if "right-" in row]
    cells = [[int(cell) for cell in re.findall(r'class="(?:right|wrong)-\d">(\d+)<', row)] for row in matrix]
    assert cells == run.metrics("validation")["confusion_matrix"] + run.metrics("test")["confusion_matrix"]


def test_mistakes_are_those_with_the_highest_confidence_first(blessed_run: MadeRun, blessed_page: str) -> None:
    run, page = blessed_run, blessed_page
    test_split = page[page.index('id="mistakes"') :]
    assert re.findall(r'class="id">([^<]+)<', test_split)[:3] == [
        run.photo_id("test", label, run.per_class - 1) for label in (0, 1, 2)
    ]
    assert 'alt="blue, classified as green"' in test_split


def test_a_doubtful_label_is_shown_with_its_photo_and_what_it_may_be(blessed_run: MadeRun, blessed_page: str) -> None:
    section = _section(blessed_page, "labels")
    assert section.count("data:image/jpeg;base64,") == 1
    given, suggested = blessed_run.class_names[:2]
    assert f"{suggested} <b>97.0%</b>" in section
    assert f"labelled {given} <b>2.0%</b>" in section
    assert "agree with 98.7% of all labels" in section


def test_what_has_moved_is_said_in_a_line_and_a_table(blessed_run: MadeRun, blessed_page: str) -> None:
    section = _section(blessed_page, "drift")
    line = f"Drift: found in labels ({blessed_run.class_names[0]} 20.0% before, 32.5% now), compared with the latest"
    assert f"{line} blessed model&#39;s 1,234 photos; why not." in section
    assert [cell in section for cell in ("0.125", "0.050", "0.001", "<td>yes</td>", "32.5%")] == [True] * 5


def test_odd_looking_photos_are_counted_with_examples(blessed_page: str) -> None:
    odd = blessed_page[blessed_page.index("Odd-looking photos") : blessed_page.index("<h3>Duplicates")]
    assert "Half empty: 1,234 photos" in odd
    assert odd.count("data:image/jpeg;base64,") == 1
    assert "no picture" not in odd


def test_both_photos_of_a_near_duplicate_are_shown(blessed_page: str) -> None:
    page = blessed_page
    pairs = page[page.index('<ul class="pairs">') : page.index("Anomalies")]
    assert pairs.count("data:image/jpeg;base64,") == 2
    assert "no picture" not in pairs


def test_lineage_says_which_component_made_what_from_what(blessed_run: MadeRun) -> None:
    run = open_store(str(blessed_run.output)).run(blessed_run.run_id)
    rows = _lineage(render_page(RunView(run)))
    assert list(rows) == list(run.executions)
    execution = run.executions["Trainer"]
    examples, base, model, logs = (
        f"{a.type} #{a.id}" for written in (False, True) for _, a in execution.artifacts(written)
    )
    number, _, inputs, outputs = rows["Trainer"]
    assert number.startswith(f"#{execution.id} done")
    assert inputs == f"{examples} of ImageValidator {base} of BackboneImporter"
    assert outputs.startswith(f"{model} {blessed_run.output}") and logs in outputs
    assert rows["BackboneImporter"][2] == "\N{EN DASH}"
    # What another run made, such as the blessed model to compare with, is not of this one.
    run.executions = {node: found for node, found in run.executions.items() if node != "TfdsExampleGen"}
    assert _lineage(render_page(RunView(run)))["ImageValidator"][2].endswith("of an earlier run")


def test_not_blessed_run_says_why(make_run: MakeRun, report_of: ReportOf) -> None:
    page = report_of(make_run(blessed=False, min_accuracy=0.8, baseline_correct=8, recipe="strong"))
    assert "Not blessed, not pushed" in page
    assert "Test accuracy is 0.7500, below the required 0.8000." in page
    # 9 of 12 photos are far too few to tell 0.75 from 0.8.
    assert "within noise" in page
    assert "/srv/made/7" not in page
    # The baseline's predictions are missing, so the interval is that of independent samples.
    assert "now +8.3 points, 95% interval" in page
    interval = independent_difference((9, 8), (12, 12))
    limits = f"{100 * interval.low:+.1f} to {100 * interval.high:+.1f}"
    assert f"{limits}</span> (independent samples of 12 and 12 photos" in page
    assert "a kernel machine (recipe: strong), calibrated" in page


@pytest.mark.parametrize("failed_node", ["TfdsExampleGen", "ImageValidator", "Trainer", "Evaluator.test"])
def test_failed_run_shows_what_there_is(make_run: MakeRun, report_of: ReportOf, failed_node: str) -> None:
    run = make_run(failed_node=failed_node, failure="disk <b>full</b> at https://me:secret@host/x")
    page = report_of(run)
    assert f"The run failed at {failed_node}" in page
    assert "disk &lt;b&gt;full&lt;/b&gt;" in page
    assert "secret" not in page
    assert ("chart-Trainer-accuracy-title" in page) == (failed_node == "Evaluator.test")


def test_a_run_without_executions_has_no_report_yet(blessed_run: MadeRun) -> None:
    run = open_store(str(blessed_run.output)).run(blessed_run.run_id)
    run.executions = {}
    with pytest.raises(UserError, match="no executions yet"):
        write_report(run)


def test_diverged_loss_is_shown_and_left_out_of_the_model_card(make_run: MakeRun) -> None:
    run = make_run(loss=float("nan"))
    written = write_report(open_store(str(run.output)).run(run.run_id))
    assert "loss nan" in written.page.read_text(encoding="utf-8")
    card = json.loads(written.model_card.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    kinds = {metric["type"] for metric in card["quantitative_analysis"]["performance_metrics"]}
    assert "accuracy" in kinds and "loss" not in kinds


@pytest.mark.parametrize("damage", ["folders", "photos", "predictions"])
def test_report_survives_missing_files(make_run: MakeRun, report_of: ReportOf, damage: str) -> None:
    run = make_run(**{"photo": lambda _: b"no picture at all"} if damage == "photos" else {})
    if damage == "folders":
        shutil.rmtree(run.output / "pipelines")
    if damage == "predictions":
        for path in run.output.rglob("predictions.jsonl"):
            path.unlink()
    page = report_of(run)
    assert "of the test photos classified correctly" in page
    assert ("chart-reliability" in page) == (damage == "photos")
    assert ("data:image" in page) == (damage == "predictions")


def test_strings_from_data_are_escaped(make_run: MakeRun, report_of: ReportOf) -> None:
    page = report_of(make_run(class_names=NASTY_NAMES))
    outline = parse(page)
    assert not outline.attributes("script")
    assert "49" not in re.findall(r">([^<>]*x_1[^<>]*)<", page)[0]
    assert not re.search("[\x00\x1b\u202e\udc80]", page)
    assert page.encode("utf-8")
    assert {image["alt"] for image in outline.attributes("img")} >= {"<script>alert(1)</script>, train photo"}
    assert "$x_1^2$" in "".join(outline.text)


def test_page_asks_the_network_for_nothing(make_run: MakeRun, report_of: ReportOf) -> None:
    page = report_of(make_run(class_names=NASTY_NAMES))
    outline = parse(page)
    policy = next(meta for meta in outline.attributes("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"] == (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    )
    targets = {
        value
        for _, attributes in outline.tags
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "srcset", "poster", "action", "data")
    }
    assert all(target and target.startswith(("#", "data:")) for target in targets)
    styles = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in styles and "@import" not in styles


def test_page_is_accessible(blessed_page: str) -> None:
    outline = parse(blessed_page)
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    references = [
        reference
        for _, attributes in outline.tags
        for name in ("aria-labelledby", "href", "xlink:href")
        for reference in (attributes.get(name) or "").split()
    ]
    assert {reference.lstrip("#") for reference in references if not reference.startswith("data:")} <= set(ids)
    assert [name for name, _ in outline.tags if name in ("header", "main", "footer", "nav", "h1")] == [
        "header", "h1", "nav", "main", "footer",
    ]  # fmt: skip
    assert len(outline.attributes("table")) == len(outline.attributes("caption"))
    assert all(cell.get("scope") in ("col", "row") for cell in outline.attributes("th"))
    assert all(image.get("alt") for image in outline.attributes("img"))
    assert all(image["role"] == "img" and image["aria-labelledby"] for image in outline.attributes("svg"))
    levels = [int(name[1]) for name, _ in outline.tags if re.fullmatch("h[1-6]", name)]
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))
    assert outline.attributes("html")[0]["lang"] == "en"
    assert next(attributes for name, attributes in outline.tags if name == "a")["href"] == "#main"


def test_model_card_follows_the_schema(blessed_run: MadeRun, tmp_path: Path) -> None:
    run = blessed_run
    written = write_report(open_store(str(run.output)).run(run.run_id), tmp_path / "report.html")
    card = json.loads(written.model_card.read_text(encoding="utf-8"))
    # The parts of the Model Card Toolkit's schema v0.0.2 that the card uses.
    texts = {"type": "array", "items": {"type": "object", "required": ["description"], "additionalProperties": False,
             "properties": {"description": {"type": "string"}}}}  # fmt: skip
    license_schema = {"oneOf": [{"required": ["identifier"]}, {"required": ["custom_text"]}]}
    metric = {"type": "object", "required": ["type", "value", "slice"], "properties": {"value": {"type": "number"}}}
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": ["model_details", "model_parameters", "quantitative_analysis", "considerations"],
        "properties": {
            "schema_version": {"const": "0.0.2"},
            "model_details": {
                "required": ["name", "overview", "documentation", "version", "licenses"],
                "properties": {"licenses": {"type": "array", "items": license_schema}},
            },
            "model_parameters": {"required": ["model_architecture", "data", "input_format", "output_format"]},
            "quantitative_analysis": {"properties": {"performance_metrics": {"type": "array", "items": metric}}},
            "considerations": {"properties": {"users": texts, "use_cases": texts, "limitations": texts}},
        },
    }
    jsonschema.validate(card, schema)
    values = {(m["type"], m["slice"]): m["value"] for m in card["quantitative_analysis"]["performance_metrics"]}
    for split in ("validation", "test"):
        metrics = run.metrics(split)
        assert values["accuracy", split] == metrics["accuracy"]
        assert values["loss", split] == metrics["loss"]
        assert values["recall", f"{split}, class green"] == pytest.approx(0.75)
    assert card["model_details"]["licenses"][0] == {"identifier": "Apache-2.0"}


def test_copied_store_is_reported_from_its_own_files(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    copy = tmp_path / "elsewhere" / "copy"
    shutil.copytree(run.output, copy)
    curve = next(run.output.rglob("history.json"))
    curve.write_text(curve.read_text().replace("1.25", "9.75"))
    page = write_report(open_store(str(copy)).run(run.run_id)).page
    assert page.is_relative_to(copy)
    assert "1.2500" in page.read_text(encoding="utf-8") and "9.7500" not in page.read_text(encoding="utf-8")


def test_command_writes_where_it_is_told(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    target = tmp_path / "my report.html"
    result = CliRunner().invoke(
        report_command, ["2031", "--output", str(run.output), "--to", str(target), "--json"], catch_exceptions=False
    )
    answer = json.loads(result.output)
    assert answer["run_id"] == run.run_id and answer["state"] == "blessed"
    assert Path(answer["page"]) == target and target.is_file() and Path(answer["model_card"]).is_file()


def test_unwritable_target_is_a_user_error(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="choose another file"):
        write_report(open_store(str(run.output)).run(run.run_id), tmp_path / "file" / "report.html")
