"""The client of Google Cloud Storage."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("google.cloud.storage", reason="the gcs extra is not installed")

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from components.storage import gcs_objects


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A user who has signed in nowhere."""
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    gcs_objects.client.cache_clear()
    yield
    gcs_objects.client.cache_clear()


@pytest.mark.usefixtures("nobody")
def test_without_credentials_the_client_is_anonymous():
    client = gcs_objects.client()
    assert isinstance(client, storage.Client)
    assert isinstance(client._credentials, AnonymousCredentials)
