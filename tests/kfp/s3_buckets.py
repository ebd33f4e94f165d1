"""A client of the installation's S3 server."""

from pathlib import Path
from typing import Any

import boto3
from installation import ACCESS_KEY, ADDRESS, REGION, S3_PORT, SECRET_KEY


class Buckets:
    """Copies files to and from buckets."""

    def __init__(self) -> None:
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=f"http://{ADDRESS}:{S3_PORT}",
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )

    def upload(self, folder: Path, bucket: str, prefix: str) -> None:
        """Copies the files of a folder into a new bucket."""
        self._client.create_bucket(Bucket=bucket)
        for file in filter(Path.is_file, folder.rglob("*")):
            self._client.upload_file(str(file), bucket, f"{prefix}/{file.relative_to(folder).as_posix()}")

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """Returns the keys below a prefix."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def download(self, bucket: str, prefix: str, folder: Path) -> Path:
        """Copies what is below a prefix into a folder and returns it."""
        for key in self.keys(bucket, prefix):
            file = folder / key.removeprefix(f"{prefix}/")
            file.parent.mkdir(parents=True, exist_ok=True)
            if not key.endswith("/"):
                self._client.download_file(bucket, key, str(file))
        return folder
