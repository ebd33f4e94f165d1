"""Names, listings and credentials of buckets."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from loopback_storages import put_raw
from obstore.store import AzureStore, MemoryStore

from components.common.errors import UserError, storage_errors
from components.storage import objects


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of a bucket of a scheme that the project does not have."""
    monkeypatch.setitem(objects.SCHEMES, "memory", objects.Scheme(lambda _: objects.ObjectStore(MemoryStore())))
    objects.client_of.cache_clear()
    return "memory://flowers"


def test_a_new_scheme_is_an_entry_of_the_table(memory: str) -> None:
    for name in ("set/a/1.jpg", "set/a/2.jpg", "set/b.jpg", "setting/c.jpg"):
        objects.write_object(f"{memory}/{name}", name.encode())
    assert [name for name, _ in objects.list_objects(f"{memory}/set/")] == ["a/1.jpg", "a/2.jpg", "b.jpg"]
    assert objects.read_object(f"{memory}/set/b.jpg") == b"set/b.jpg"
    assert objects.glob_objects(f"{memory}/s*/?.jpg") == [f"{memory}/set/b.jpg", f"{memory}/setting/c.jpg"]
    before = objects.find_objects([f"{memory}/set/b.jpg", f"{memory}/set/none", f"{memory}/set//b.jpg"])
    objects.write_object(f"{memory}/set/b.jpg", b"other")
    assert set(before) == {f"{memory}/set/b.jpg"}
    assert objects.find_objects(before) != before
    with pytest.raises(FileNotFoundError, match=f"^{memory}/none: .*"):
        objects.read_object(f"{memory}/none")


def test_azure_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "flowers")
    objects.client_of.cache_clear()
    client = objects.client_of("az", "photos")
    assert isinstance(client, objects.ObjectStore)
    assert isinstance(client.store, AzureStore)


def test_other_schemes_are_refused() -> None:
    with pytest.raises(UserError, match="expected a path on this machine, or a URI with one of s3://, gs://, az"):
        objects.read_object("ftp://host/photo.jpg")
    with pytest.raises(UserError, match="only object stores can be written to"):
        objects.write_object("hdfs://host/photo.jpg", b"")


def test_empty_objects_that_mark_folders_are_not_files(s3_bucket: str) -> None:
    for name in ("set/", "set/a/", "set/a/1.jpg", "set/a-b/2.jpg", "set/empty.jpg"):
        put_raw(f"{s3_bucket}/{name}", b"")
    assert {name for name, _ in objects.list_objects(f"{s3_bucket}/set")} == {"a/1.jpg", "a-b/2.jpg", "empty.jpg"}


def test_threads_share_a_client(memory: str) -> None:
    objects.write_object(f"{memory}/photo.jpg", b"photo")
    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(objects.read_object, [f"{memory}/photo.jpg"] * 8)) == {b"photo"}
    # Workers get functions, never clients.
    assert pickle.loads(pickle.dumps(objects.read_object)) is objects.read_object


def test_google_s_client_is_anonymous_without_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    objects.client_of.cache_clear()
    client = objects.client_of("gs", "flowers")
    assert isinstance(client, objects.ObjectStore)
    assert client.store.config["skip_signature"] in (True, "true")


def test_a_profile_s_keys_and_region_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "config").write_text("[profile flowers]\nregion = eu-west-1\n")
    (tmp_path / "credentials").write_text("[flowers]\naws_access_key_id = key\naws_secret_access_key = secret\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "flowers")
    objects.client_of.cache_clear()
    client = objects.client_of("s3", "photos")
    assert isinstance(client, objects.ObjectStore)
    expected = {"access_key_id": "key", "secret_access_key": "secret", "region": "eu-west-1"}
    assert client.store.config.items() >= expected.items()
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    objects.client_of.cache_clear()
    with (
        pytest.raises(UserError, match=r"^cannot read photos: s3://photos: the AWS profile 'no-such-profile' gives no"),
        storage_errors("cannot read photos"),
    ):
        objects.client_of.cache_clear()
        list(objects.list_objects("s3://photos"))
