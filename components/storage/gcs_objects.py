"""Objects of Google Cloud Storage by their gs:// paths.

Credentials are found as Google's clients do it (Application Default Credentials); without any, the client is anonymous
and reads public buckets. `STORAGE_EMULATOR_HOST` leads to an emulator. What the storage refuses is an OSError
of one line.
"""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any, Final

SCHEME: Final = "gs://"

_TIMEOUT_S: Final = 30.0
_FIELDS: Final = "items(name,size,crc32c,etag),nextPageToken"
_HOW_TO_SIGN_IN: Final = "set GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login"


@functools.cache
def client() -> Any:
    """Returns the client, the same one each time: to make one takes a look for credentials."""
    from google.auth.exceptions import DefaultCredentialsError
    from google.cloud import storage

    try:
        # No project: nothing is asked for that belongs to one.
        return storage.Client(project="<none>")
    except DefaultCredentialsError:
        return storage.Client.create_anonymous_client()


@contextlib.contextmanager
def _answering_for(path: str) -> Iterator[None]:
    """Makes what the storage answers an OSError of one line."""
    from google.api_core.exceptions import Forbidden, GoogleAPIError, NotFound, Unauthorized
    from google.auth.exceptions import GoogleAuthError
    from requests import RequestException

    try:
        yield
    except NotFound as error:
        raise FileNotFoundError(f"{path}: {error.message}") from error
    except (Unauthorized, Forbidden) as error:
        raise PermissionError(f"{path}: {error.message}; {_HOW_TO_SIGN_IN}") from error
    except GoogleAuthError as error:
        raise PermissionError(f"{path}: {error}; {_HOW_TO_SIGN_IN}") from error
    except (GoogleAPIError, RequestException) as error:
        raise OSError(f"{path}: {error}") from error


def _split(path: str) -> tuple[str, str]:
    """Returns bucket and name."""
    bucket, _, name = path.removeprefix(SCHEME).partition("/")
    return bucket, name


def _retry() -> Any:
    from google.cloud.storage.retry import DEFAULT_RETRY

    return DEFAULT_RETRY.with_timeout(_TIMEOUT_S)


def pages(start: str, after: str = "") -> Iterator[list[tuple[str, str]]]:
    """Yields pages of the objects whose paths begin with `start`, in their order.

    Args:
        start: What their paths begin with.
        after: A path; those up to it are passed over.

    Yields:
        Paths, and what changes with their content: size and checksum.
    """
    bucket, prefix = _split(start)
    offset = _split(after)[1] or None
    with _answering_for(start):
        listing = client().list_blobs(
            bucket, prefix=prefix, start_offset=offset, fields=_FIELDS, timeout=_TIMEOUT_S, retry=_retry()
        )
        for page in listing.pages:
            entries = ((f"{SCHEME}{bucket}/{blob.name}", f"{blob.size}-{blob.crc32c or blob.etag}") for blob in page)
            # The offset itself is listed as well.
            yield [entry for entry in entries if entry[0] > after]


def get(path: str) -> bytes:
    """Returns what an object holds."""
    bucket, name = _split(path)
    with _answering_for(path):
        blob = client().bucket(bucket).blob(name)
        content: bytes = blob.download_as_bytes(raw_download=True, timeout=_TIMEOUT_S, retry=_retry())
    return content
