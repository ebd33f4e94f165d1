"""The connection to a Kubeflow Pipelines API server."""

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

from components.common.errors import UsageError, UserError, refuse_credentials

TOKEN_VARIABLE = "FLOWERS_KFP_TOKEN"  # noqa: S105
COOKIE_VARIABLE = "FLOWERS_KFP_COOKIE"
_TIMEOUT_S = 10
_UNAUTHORIZED = (401, 403)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses redirects: urllib would send the credentials to another server."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        del args, kwargs


@dataclasses.dataclass(frozen=True)
class Connection:
    """Address and credentials of the API server; empty fields are not used.

    The token is a bearer token, the cookie that of an authenticating proxy (`authservice_session=...`).
    """

    host: str  # Such as http://localhost:8080 or https://HOST/pipeline.
    namespace: str = ""  # The user's, in a multi-user installation.
    token: str = dataclasses.field(default="", repr=False)
    cookie: str = dataclasses.field(default="", repr=False)

    def __post_init__(self) -> None:
        refuse_credentials("host", self.host)
        if not self.host.startswith(("http://", "https://")):
            raise UsageError(f"host {self.host!r} is not an address; use one such as http://localhost:8080")

    def client(self) -> Any:
        """Returns a kfp client, after a check of the server and the credentials."""
        try:
            import kfp
        except ImportError as error:
            raise UserError(f"submitting needs the kubeflow extra ({error}): pip install '.[kubeflow]'") from error
        try:
            json.loads(self.get("apis/v2beta1/healthz"))
        except ValueError as error:
            raise UserError(
                f"{self.host} answers with a web page instead of the Kubeflow Pipelines API, probably a login page; "
                f"set {TOKEN_VARIABLE} or {COOKIE_VARIABLE}, or use kubectl port-forward"
            ) from error
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

    def url(self, path: str) -> str:
        """Returns the address of a path below the host, such as a run's page in the user interface."""
        return f"{self.host.rstrip('/')}/{path}"

    @contextlib.contextmanager
    def readable_errors(self) -> Iterator[None]:
        """Converts the client's errors to UserErrors of one line, and hides its own output."""
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
        """Returns the server's answer for a path below the host; for requests that kfp's client does not have."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if self.cookie:
            headers["Cookie"] = self.cookie
        request = urllib.request.Request(self.url(path), headers=headers)  # noqa: S310 (http or https, see above)
        try:
            with urllib.request.build_opener(_NoRedirects).open(request, timeout=_TIMEOUT_S) as response:
                return bytes(response.read())
        except urllib.error.HTTPError as error:
            if location := error.headers.get("Location"):
                raise UserError(
                    f"{self.host} redirects to {self._without_credentials(location)}; if that is the server, use its "
                    f"address as --host; if it is a login page, set {TOKEN_VARIABLE} or {COOKIE_VARIABLE}, or use "
                    "kubectl port-forward"
                ) from error
            raise self._refused(error.code, error.reason) from error
        except OSError as error:
            raise self._unreachable(error) from error

    def _without_credentials(self, text: object) -> str:
        """Removes the credentials from a server's answer."""
        result = text.decode(errors="replace") if isinstance(text, bytes) else str(text or "")
        for secret in filter(None, (self.token, self.cookie)):
            result = result.replace(secret, "***")
        return result

    def _refused(self, status: int, reason: str) -> UserError:
        if status in _UNAUTHORIZED:
            return UserError(
                f"{self.host} refuses the credentials (HTTP {status}); set {TOKEN_VARIABLE} or {COOKIE_VARIABLE} to "
                "valid ones, and --namespace to your namespace"
            )
        return UserError(f"{self.host} answered HTTP {status}: {self._without_credentials(reason)}")

    def _unreachable(self, error: BaseException) -> UserError:
        reason = self._without_credentials(getattr(error, "reason", None) or error)
        return UserError(
            f"cannot reach Kubeflow Pipelines at {self.host} ({reason}); check --host; without an ingress, "
            "kubectl port-forward -n kubeflow svc/ml-pipeline-ui 8080:80 gives http://localhost:8080"
        )


def _message(body: str) -> str:
    try:
        return str(json.loads(body)["message"]).splitlines()[0]
    except (ValueError, KeyError, TypeError, IndexError):
        return " ".join(body.split())[:200]
