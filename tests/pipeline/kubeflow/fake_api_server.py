"""A loopback server that speaks as much of Kubeflow Pipelines' v2beta1 API as a submission needs."""

import http.server
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import ParseResult, parse_qs, urlparse

START, END = "2026-01-01T10:00:00Z", "2026-01-01T10:00:42Z"


class FakeApiServer(http.server.ThreadingHTTPServer):
    """Answers with what the attributes say and keeps what it was sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.token = ""  # bearer token that is asked for; empty lets everyone in
        self.login_page = False  # an authenticating proxy answers instead
        self.repeats_headers = False  # fails and says what it was sent
        self.known_pipeline = ""
        # One per question; the last one stays.
        self.states = [("RUNNING", "RUNNING", "PENDING"), ("SUCCEEDED", "SUCCEEDED", "SUCCEEDED")]
        self.runs: list[dict[str, Any]] = []
        self.uploads: list[str] = []
        self.upload_names: list[str] = []
        self.schedules: dict[str, dict[str, Any]] = {}
        self.workflow: dict[str, Any] = {}  # Argo's; empty is a server without the older API that hands it out

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def run_status(self) -> dict[str, Any]:
        run, example_gen, trainer = self.states[0]
        if len(self.states) > 1:
            self.states.pop(0)
        tasks = [("root", run), ("tfds-example-gen-driver", "SUCCEEDED"), ("tfds-example-gen", example_gen)]
        return {
            "run_id": "r1",
            "state": run,
            "run_details": {"task_details": [_task(*task) for task in (*tasks, ("trainer", trainer))]},
        }


def _task(name: str, state: str) -> dict[str, Any]:
    finished = state in ("SUCCEEDED", "FAILED")
    error = {"error": {"code": 2, "message": "main container failed: exit code 1"}} if state == "FAILED" else {}
    times = {"start_time": START, "end_time": END if finished else "1970-01-01T00:00:00Z"}
    return {"display_name": name, "state": state, **times, **error}


class _Handler(http.server.BaseHTTPRequestHandler):
    server: FakeApiServer

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def _answer(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.login_page:
            self._send(200, b"<html>please log in</html>", "text/html")
        elif self.server.token and self.headers.get("Authorization") != f"Bearer {self.server.token}":
            self._send_json({"message": "unauthorized"}, 401)
        elif self.server.repeats_headers and not self.path.endswith("/healthz"):
            self._send_json({"message": f"cannot read {dict(self.headers)}"}, 500)
        else:
            url = urlparse(self.path)
            if url.path == "/apis/v1beta1/runs/r1":
                manifest = {"pipeline_runtime": {"workflow_manifest": json.dumps(self.server.workflow)}}
                self._send_json(*((manifest, 200) if self.server.workflow else ({"message": "Not Found"}, 404)))
            elif url.path.startswith("/apis/v2beta1/recurringruns"):
                self._send_json(*self._recurring_runs(method, url, body))
            else:
                self._send_json(self._result(method, url.path.removeprefix("/apis/v2beta1"), body))

    def _result(self, method: str, path: str, body: bytes) -> Any:
        server = self.server
        if path.startswith("/pipelines/upload"):
            server.uploads.append(path)
            server.upload_names += parse_qs(urlparse(self.path).query).get("name", [])
            return {"pipeline_id": "p1", "pipeline_version_id": "v2"}
        if path == "/runs" and method == "POST":
            server.runs.append(json.loads(body))
            return {"run_id": "r1"}
        if path == "/runs/r1":
            return server.run_status()
        known = [{"pipeline_id": "p1", "display_name": server.known_pipeline}] if server.known_pipeline else []
        return {
            "/healthz": {"multi_user": False},
            "/pipelines": {"pipelines": known, "total_size": len(known)},
            "/pipelines/p1/versions": {"pipeline_versions": [{"pipeline_version_id": "v1"}], "total_size": 1},
            "/experiments": {"experiment_id": "e1"} if method == "POST" else {"experiments": [], "total_size": 0},
        }[path]

    def _recurring_runs(self, method: str, url: ParseResult, body: bytes) -> tuple[Any, int]:
        schedules = self.server.schedules
        if method == "POST":
            schedule = json.loads(body)
            # Kubeflow's parser takes descriptors, or the fields from seconds to the day of the week.
            cron = schedule["trigger"]["cron_schedule"]["cron"]
            if not (cron.startswith("@") or re.fullmatch(r"[\d*/,?A-Z -]+", cron)):
                return {"message": f"Schedule cron is not a supported format: {cron}"}, 400
            schedule["recurring_run_id"] = f"s{len(schedules) + 1}"
            schedules[schedule["recurring_run_id"]] = schedule
            return schedule, 200
        if method == "DELETE":
            del schedules[url.path.rpartition("/")[2]]
            return {}, 200
        query = parse_qs(url.query)
        [predicate] = json.loads(query["filter"][0])["predicates"]
        assert (predicate["operation"], predicate["key"]) == ("EQUALS", "display_name")
        wanted = {"display_name": predicate["stringValue"], "experiment_id": query["experiment_id"][0]}
        found = [schedule for schedule in schedules.values() if wanted.items() <= schedule.items()]
        return {"recurringRuns": found, "total_size": len(found)}, 200

    def _send_json(self, value: Any, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode(), "application/json")

    def _send(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: requests are looked at in the attributes."""


@contextmanager
def running_server() -> Iterator[FakeApiServer]:
    """Serves on a free port."""
    with FakeApiServer() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
