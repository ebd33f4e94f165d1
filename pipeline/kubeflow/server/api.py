"""The connection to a Kubeflow Pipelines API server, with errors that say what to do."""

import contextlib
import dataclasses
import io
import json
import logging
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from typing import Any

from components.common.errors import UserError, refuse_credentials

TOKEN_VARIABLE = "FLOWERS_KFP_TOKEN"  # noqa: S105
COOKIE_VARIABLE = "FLOWERS_KFP_COOKIE"
_TIMEOUT_S = 10
_UNAUTHORIZED = (401, 403)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Credentials go to the server that they are for: urllib would send them on to any other."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        del args, kwargs


@dataclasses.dataclass(frozen=True)
class Connection:
    """How to reach the API server.

    Attributes:
        host: Its address, such as http://localhost:8080 or https://HOST/pipeline.
        namespace: The user's namespace in a multi-user installation; empty otherwise.
        token: Bearer token; empty for none.
        cookie: Session cookie of an authenticating proxy (`authservice_session=...`); empty for none.
    """

    host: str
    namespace: str = ""
    token: str = dataclasses.field(default="", repr=False)
    cookie: str = dataclasses.field(default="", repr=False)

    def __post_init__(self) -> None:
        refuse_credentials("host", self.host)
        if not self.host.startswith(("http://", "https://")):
            raise UserError(f"host {self.host!r} is not an address; give e.g. http://localhost:8080")

    def client(self) -> Any:
        """Returns a kfp client, after a look at whether the server is there and lets us in.

        Raises:
            UserError: kfp is not installed, or the server cannot be reached or refuses.
        """
        try:
            import kfp
        except ImportError as error:
            raise UserError(f"submitting needs the kubeflow extra ({error}): pip install '.[kubeflow]'") from error
        self._check()
        # urllib3 logs every retry of a refused connection.
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        with warnings.catch_warnings(), self.readable_errors():
            warnings.simplefilter("ignore")
            return kfp.Client(
                host=self.host,
                namespace=self.namespace or "kubeflow",
                existing_token=self.token or None,
                cookies=self.cookie or None,
            )

    def run_url(self, run_id: str) -> str:
        """Returns the run's page in the user interface."""
        return f"{self.host.rstrip('/')}/#/runs/details/{run_id}"

    def schedule_url(self, schedule_id: str) -> str:
        """Returns a recurring run's page in the user interface."""
        return f"{self.host.rstrip('/')}/#/recurringrun/details/{schedule_id}"

    @contextlib.contextmanager
    def readable_errors(self) -> Iterator[None]:
        """Turns the client's errors into one line, and keeps its own messages off the terminal."""
        import kfp_server_api
        import urllib3

        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        except kfp_server_api.ApiException as error:
            raise self._refused(error.status, _message(self._without_credentials(error.body))) from error
        except (urllib3.exceptions.HTTPError, TimeoutError) as error:
            raise self._unreachable(error) from error

    def get(self, path: str) -> bytes:
        """Returns what the server answers, for what the client has no call.

        Args:
            path: Below the host.

        Raises:
            UserError: The server cannot be reached or refuses.
        """
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if self.cookie:
            headers["Cookie"] = self.cookie
        url = f"{self.host.rstrip('/')}/{path}"
        request = urllib.request.Request(url, headers=headers)  # noqa: S310  (http or https, see __post_init__)
        try:
            with urllib.request.build_opener(_NoRedirects).open(request, timeout=_TIMEOUT_S) as response:
                body: bytes = response.read()
        except urllib.error.HTTPError as error:
            if location := error.headers.get("Location"):
                raise UserError(
                    f"{self.host} sends elsewhere, to {self._without_credentials(location)}: if that is the server, "
                    f"give its address as host; if it is a login, set {TOKEN_VARIABLE} or {COOKIE_VARIABLE}, or use "
                    "kubectl port-forward"
                ) from error
            raise self._refused(error.code, error.reason) from error
        except OSError as error:
            raise self._unreachable(error) from error
        return body

    def _check(self) -> None:
        body = self.get("apis/v2beta1/healthz")
        try:
            json.loads(body)
        except ValueError as error:
            raise UserError(
                f"{self.host} answers with a page, not with the Kubeflow Pipelines API: a login is in between; set "
                f"{TOKEN_VARIABLE} or {COOKIE_VARIABLE}, or use kubectl port-forward"
            ) from error

    def _without_credentials(self, text: object) -> str:
        """Returns what a server says without what it was sent."""
        result = text.decode(errors="replace") if isinstance(text, bytes) else str(text or "")
        for secret in filter(None, (self.token, self.cookie)):
            result = result.replace(secret, "***")
        return result

    def _refused(self, status: int, reason: str) -> UserError:
        if status in _UNAUTHORIZED:
            return UserError(
                f"{self.host} refuses the credentials (HTTP {status}): set {TOKEN_VARIABLE} or {COOKIE_VARIABLE} to "
                "valid ones, and --namespace to a namespace of yours"
            )
        return UserError(f"{self.host} answered HTTP {status}: {self._without_credentials(reason)}")

    def _unreachable(self, error: BaseException) -> UserError:
        reason = self._without_credentials(getattr(error, "reason", None) or error)
        return UserError(
            f"cannot reach Kubeflow Pipelines at {self.host} ({reason}): check --host; inside the cluster's network, "
            "kubectl port-forward -n kubeflow svc/ml-pipeline-ui 8080:80 gives http://localhost:8080"
        )


def _message(body: str) -> str:
    try:
        return str(json.loads(body)["message"]).splitlines()[0]
    except (ValueError, KeyError, TypeError, IndexError):
        return " ".join(body.split())[:200]
