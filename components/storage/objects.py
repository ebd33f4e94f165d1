"""Files in S3, Google Cloud Storage, Azure (obstore) and HDFS (fsspec) by their URIs, SCHEME://BUCKET/NAME.

Listings tell each file's version (size, and entity tag or time). Whatever a storage refuses is an OSError of one line.
A new scheme is an entry of `SCHEMES`.
"""

import bisect
import configparser
import contextlib
import datetime
import fnmatch
import functools
import itertools
import os
import re
import shutil
import socket
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import obstore
from obstore import exceptions, store

from components.common.errors import UserError

# A page of a listing, and how many files one thread looks up.
_PAGE: Final = 1000
_THREADS: Final = 16
_PARTS: Final = 4  # of SCHEME://BUCKET/NAME, at its slashes
_CLIENT: Final[Any] = {
    "connect_timeout": datetime.timedelta(seconds=10),
    "read_timeout": datetime.timedelta(seconds=60),
    # Of a whole request; obstore's 30 s are too short for archives.
    "timeout": datetime.timedelta(hours=1),
}
_RETRIES: Final[Any] = {"max_retries": 4, "retry_timeout": datetime.timedelta(seconds=60)}
_HDFS_TIMEOUT_S: Final = 60.0
_METADATA_SERVICE: Final = ("169.254.169.254", 80)
_METADATA_TIMEOUT_S: Final = 1.0


def is_remote(path: str) -> bool:
    """Tells whether a path is a URI, such as gs://BUCKET/photos."""
    return "://" in path


def list_objects(folder: str) -> Iterator[tuple[str, str]]:
    """Yields all files below a folder from one listing: paths relative to it, and versions."""
    client, name = _locate(folder)
    start = f"{name}/" if name else ""
    with _one_line_errors(folder):
        entries = itertools.chain.from_iterable(client.pages(name))
        below = ((path[len(start) :], version) for path, version in entries if path.startswith(start))
        for (path, version), (following, _) in itertools.pairwise(itertools.chain(below, [("", "")])):
            # Other programs make a folder by an empty object named FOLDER/; obstore drops the slash.
            if not (version.startswith("0-") and following.startswith(f"{path}/")):
                yield path, version


def find_objects(uris: Collection[str]) -> dict[str, str]:
    """Returns the versions of those files that exist.

    Lists what lies between the first and the last of them in each bucket: a request for up to 1,000 files.
    """
    buckets: dict[str, list[str]] = {}
    for uri in sorted(set(uris)):
        parts = uri.split("/", _PARTS - 1)
        if len(parts) == _PARTS and _is_valid(parts[-1]):
            buckets.setdefault("/".join(parts[:-1]), []).append(parts[-1])
    chunks = [
        (bucket, names[start : start + _PAGE])
        for bucket, names in buckets.items()
        for start in range(0, len(names), _PAGE)
    ]
    found: dict[str, str] = {}
    with ThreadPoolExecutor(_THREADS) as threads:
        for part in threads.map(lambda chunk: _find_sorted(*chunk), chunks):
            found |= part
    return found


def glob_objects(pattern: str) -> list[str]:
    """Returns the URIs that match a pattern; a star stands for anything within one folder."""
    start = pattern[: min((pattern.index(sign) for sign in "*?[" if sign in pattern), default=len(pattern))]
    folder = start.rpartition("/")[0]
    uris = (f"{folder}/{name}" for name, _ in list_objects(folder))
    return [uri for uri in uris if uri.count("/") == pattern.count("/") and fnmatch.fnmatchcase(uri, pattern)]


def read_object(uri: str) -> bytes:
    """Returns the content of a file; one that does not exist is a FileNotFoundError."""
    client, name = _locate(uri)
    with _one_line_errors(uri):
        return client.read(name)


def download_folder(folder: str, names: Collection[str], target: Path) -> None:
    """Copies files below a folder, named as by `list_objects`, into a new local folder, which appears when complete."""
    unfinished = target.with_name(f"{target.name}.{uuid.uuid4().hex}.tmp")

    def copy(name: str) -> None:
        path = unfinished / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(read_object(f"{folder}/{name}"))

    try:
        unfinished.mkdir(parents=True)
        with ThreadPoolExecutor(_THREADS) as threads:
            list(threads.map(copy, names))
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def upload_folder(source: Path, folder: str) -> None:
    """Copies all files below a folder on this machine into one of an object store."""
    files = [file for file in source.rglob("*") if file.is_file()]
    with ThreadPoolExecutor(_THREADS) as threads:
        list(threads.map(lambda file: write_object(f"{folder}/{file.relative_to(source).as_posix()}", file), files))


def write_object(uri: str, content: bytes | Path) -> None:
    """Writes bytes or a file as an object; readers see the old one or the whole new one."""
    client, name = _object_store(uri)
    with _one_line_errors(uri):
        obstore.put(client.store, name, content)


def copy_object(source: str, target: str) -> None:
    """Copies an object, within its bucket without reading it."""
    (client, name), (target_client, target_name) = _object_store(source), _object_store(target)
    if client is not target_client:
        write_object(target, read_object(source))
        return
    with _one_line_errors(source):
        obstore.copy(client.store, name, target_name)


def delete_object(uri: str) -> None:
    """Deletes an object; one that does not exist is not an error."""
    client, name = _object_store(uri)
    with _one_line_errors(uri), contextlib.suppress(FileNotFoundError):
        obstore.delete(client.store, name)


def is_object(uri: str) -> bool:
    """Tells whether there is an object of that name."""
    client, name = _object_store(uri)
    with _one_line_errors(uri):
        try:
            obstore.head(client.store, name)
        except FileNotFoundError:
            return False
    return True


def is_folder(uri: str) -> bool:
    """Tells whether a folder holds anything, even the empty object that marks it as a folder."""
    client, name = _locate(uri)
    with _one_line_errors(uri):
        return any(client.pages(name))


def list_folder(uri: str) -> tuple[list[str], list[str]]:
    """Returns the names of the folders and of the files in a folder of an object store."""
    client, name = _object_store(uri)
    start = len(name) + 1 if name else 0
    with _one_line_errors(uri):
        found = obstore.list_with_delimiter(client.store, name)
    files = [entry["path"] for entry in found["objects"] if entry["path"] != name]
    return [path[start:].rstrip("/") for path in found["common_prefixes"]], [path[start:] for path in files]


class ObjectStore:
    """A bucket through obstore."""

    def __init__(self, bucket: Any):
        """Takes one of obstore's stores."""
        self.store = bucket

    def pages(self, folder: str, after: str = "") -> Iterator[list[tuple[str, str]]]:
        """Yields names and versions of what is below a folder, a page per request, after a name."""
        for page in obstore.list(self.store, folder, offset=after or None, chunk_size=_PAGE):
            yield [
                (entry["path"], f"{entry['size']}-{entry['e_tag'] or entry['last_modified'].timestamp()}")
                for entry in page
            ]

    def read(self, name: str) -> bytes:
        """Returns the content of an object."""
        return obstore.get(self.store, name).bytes().to_bytes()


class Hdfs:
    """A host's HDFS, read through WebHDFS without Kerberos."""

    def __init__(self, host: str):
        """Connects to the host, or to `HDFS_HOST` and `HDFS_PORT`, as `HDFS_USER`."""
        from fsspec.implementations.webhdfs import WebHDFS

        host = os.environ.get("HDFS_HOST") or host.partition(":")[0]
        if not host:
            raise OSError("no host: write hdfs://HOST/PATH, or set HDFS_HOST")
        user = os.environ.get("HDFS_USER") or os.environ.get("USER") or "hdfs"
        port = int(os.environ.get("HDFS_PORT") or "9870")
        self._files = WebHDFS(host, port, user=user, skip_instance_cache=True)
        # fsspec waits for ever.
        self._files.session.request = functools.partial(self._files.session.request, timeout=_HDFS_TIMEOUT_S)

    def pages(self, folder: str, after: str = "") -> Iterator[list[tuple[str, str]]]:
        """Yields one page: all files below a folder, after a name."""
        try:
            # Without `on_error`, fsspec takes whatever cannot be listed for empty.
            found = self._files.find(f"/{folder}", detail=True, on_error="raise")
        except FileNotFoundError:
            return
        entries = ((path.lstrip("/"), f"{info['size']}-{info['modificationTime']}") for path, info in found.items())
        yield sorted(entry for entry in entries if entry[0] > after)

    def read(self, name: str) -> bytes:
        """Returns the content of a file."""
        # fsspec's own `cat_file` asks for the size first, and returns a data node's error message as the content.
        return bytes(self._files._call("OPEN", path=f"/{name}").content)


def _s3(bucket: str) -> ObjectStore:
    """Opens a bucket of S3, or of `S3_ENDPOINT`."""
    endpoint = os.environ.get("S3_ENDPOINT")
    if endpoint and "://" not in endpoint:
        endpoint = f"{'http' if os.environ.get('S3_USE_HTTPS') == '0' else 'https'}://{endpoint}"
    endpoint = endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    client: Any = {**_CLIENT, "allow_http": (endpoint or "").startswith("http://")}
    if os.environ.get("S3_VERIFY_SSL") == "0":
        client["allow_invalid_certificates"] = True
    options = {**({"endpoint": endpoint} if endpoint else {}), **_aws_credentials()}
    return ObjectStore(store.S3Store(bucket, client_options=client, retry_config=_RETRIES, **options))


def _aws_credentials() -> dict[str, Any]:
    """Returns a profile's credentials, which obstore does not read; {} where it finds others itself.

    It would also look for a machine's role, but wait for minutes where there is no metadata service.
    """
    obstores_own = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_METADATA_ENDPOINT")  # fmt: skip
    if any(os.environ.get(name) for name in obstores_own):
        return {}
    profile = os.environ.get("AWS_PROFILE") or "default"
    files = configparser.ConfigParser(interpolation=None)
    files.read(
        Path(os.environ.get(variable) or Path.home() / ".aws" / name)
        for variable, name in (("AWS_CONFIG_FILE", "config"), ("AWS_SHARED_CREDENTIALS_FILE", "credentials"))
    )
    settings: dict[str, str] = {}
    for section in (f"profile {profile}", profile):
        settings |= dict(files[section]) if section in files else {}
    region = {"region": settings["region"]} if "region" in settings and not os.environ.get("AWS_REGION") else {}
    if "aws_access_key_id" in settings:
        keys = {"access_key_id": "aws_access_key_id", "secret_access_key": "aws_secret_access_key",
                "session_token": "aws_session_token"}  # fmt: skip
        return {**region, **{option: settings[name] for option, name in keys.items() if name in settings}}
    if os.environ.get("AWS_PROFILE") or settings.keys() - {"region", "output"}:
        try:
            from botocore.exceptions import BotoCoreError
            from obstore.auth.boto3 import Boto3CredentialProvider
        except ImportError as error:
            raise UserError(
                f"the AWS profile {profile!r} has no access key; to sign in another way: pip install boto3"
            ) from error
        try:
            return {"credential_provider": Boto3CredentialProvider()}
        except (BotoCoreError, ValueError) as error:
            raise PermissionError(f"the AWS profile {profile!r} gives no credentials: {error}") from error
    if os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() != "true":
        with contextlib.suppress(OSError), socket.create_connection(_METADATA_SERVICE, _METADATA_TIMEOUT_S):
            return {}
    raise PermissionError("no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE")


def _gcs(bucket: str) -> ObjectStore:
    """Opens a bucket of Google Cloud Storage, without credentials if Google's own library finds none."""
    options: dict[str, Any] = {"skip_signature": True}
    client: Any = dict(_CLIENT)
    if emulator := os.environ.get("STORAGE_EMULATOR_HOST"):
        options["base_url"] = emulator if "://" in emulator else f"http://{emulator}"
        client["allow_http"] = True
    else:
        import google.auth
        from google.auth.exceptions import DefaultCredentialsError
        from obstore.auth.google import GoogleCredentialProvider

        with contextlib.suppress(DefaultCredentialsError):
            scopes = ["https://www.googleapis.com/auth/devstorage.read_write"]
            options = {"credential_provider": GoogleCredentialProvider(google.auth.default(scopes=scopes)[0])}
    return ObjectStore(store.GCSStore(bucket, client_options=client, retry_config=_RETRIES, **options))


def _azure(container: str) -> ObjectStore:
    """Opens a container of Azure's Blob Storage; `AZURE_STORAGE_ACCOUNT_NAME` and the like say where and who."""
    return ObjectStore(store.AzureStore(container, client_options=_CLIENT, retry_config=_RETRIES))


class Scheme(NamedTuple):
    """A storage."""

    open: Callable[[str], ObjectStore | Hdfs]
    through_tfx: bool = True  # TFX's file operations use this module; TensorFlow has gs:// built in
    sign_in: str = ""  # what to do when credentials are refused


SCHEMES: Final[dict[str, Scheme]] = {
    "s3": Scheme(_s3),
    "gs": Scheme(
        _gcs, False, "set GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login"
    ),
    "az": Scheme(_azure),
    "hdfs": Scheme(Hdfs, False),
}  # fmt: skip
# `--output`, `--to` and serving folders; WebHDFS is only read.
WRITABLE_SCHEMES: Final = tuple(f"{name}://" for name, scheme in SCHEMES.items() if scheme.open is not Hdfs)


@functools.cache
def client_of(scheme: str, bucket: str) -> ObjectStore | Hdfs:
    """Returns a bucket's client, the same one each time."""
    return SCHEMES[scheme].open(bucket)


def check_scheme(uri: str) -> None:
    """Raises UserError for the URI of an unknown storage."""
    if uri.partition("://")[0] not in SCHEMES:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise UserError(f"cannot read {uri!r}: expected a path on this machine, or a URI with one of {known}")


def _locate(uri: str) -> tuple[ObjectStore | Hdfs, str]:
    """Returns the client of a URI's bucket, and the name in it."""
    check_scheme(uri)
    scheme, _, rest = uri.partition("://")
    bucket, _, name = rest.partition("/")
    name = name.rstrip("/")
    if name and not _is_valid(name):
        raise FileNotFoundError(f"{uri}: names with empty parts, '.' or '..' are not supported")
    with _one_line_errors(uri):
        return client_of(scheme, bucket), name


def _object_store(uri: str) -> tuple[ObjectStore, str]:
    client, name = _locate(uri)
    if not isinstance(client, ObjectStore):
        raise UserError(f"cannot write to {uri!r}: only object stores can be written to")
    return client, name


def _is_valid(name: str) -> bool:
    return not {"", ".", ".."} & set(name.split("/"))


def _find_sorted(bucket: str, wanted: Sequence[str]) -> dict[str, str]:
    """Finds files of one bucket: a page of its listing at a time, from the next one that is wanted."""
    folder = os.path.commonprefix([wanted[0], wanted[-1]]).rpartition("/")[0]  # noqa: RUF071  (of any names)
    client, _ = _locate(f"{bucket}/{wanted[0]}")
    found: dict[str, str] = {}
    position, after = 0, ""
    while position < len(wanted):
        # A name without its last character comes before it, and next to nothing lies between.
        before = wanted[position][:-1]
        after = max(after, before if _is_valid(before) else "")
        with _one_line_errors(f"{bucket}/{folder}"):
            page: list[tuple[str, str]] = next(client.pages(folder, after), [])
        if not page:
            break
        versions = dict(page)
        after = page[-1][0]
        end = bisect.bisect_right(wanted, after, position)
        found |= {f"{bucket}/{name}": versions[name] for name in wanted[position:end] if name in versions}
        position = end
    return found


@contextlib.contextmanager
def _one_line_errors(uri: str) -> Iterator[None]:
    """Makes what a client raises an OSError of one line."""
    try:
        yield
    except (OSError, exceptions.BaseError, RuntimeError, ValueError) as error:
        kind: type[OSError] = OSError
        hint = ""
        if isinstance(error, FileNotFoundError):
            kind = FileNotFoundError
        elif isinstance(error, (PermissionError, exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)):
            kind = PermissionError
            hint = SCHEMES[uri.partition("://")[0]].sign_in
        # Not "from error": servers repeat the access key's id in what obstore quotes.
        raise kind(f"{uri}: {_reason(error)}{hint and f'; {hint}'}") from None


def _reason(error: Exception) -> str:
    """Returns what a server said, or else what obstore says of the request."""
    text = str(error).partition("\n\nDebug source")[0]
    if said := re.search(r"<Code>(.*?)</Code>\s*<Message>(.*?)\s*</Message>", text, re.DOTALL):
        text = f"{said[1]}: {said[2]}"
    elif request := re.search(r"Error performing (\w+ [^\s?]+).*? - (.*)", text, re.DOTALL):
        text = f"{request[1]}: {request[2]}"
    return " ".join(text.split()).rstrip(":")
