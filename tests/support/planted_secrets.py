"""Secrets that tests put into the environment, and the search for them."""

from pathlib import Path

SECRETS = {
    "AWS_ACCESS_KEY_ID": "PLANTEDACCESSKEY",
    "AWS_SECRET_ACCESS_KEY": "planted-secret-access-key",
    "AWS_SESSION_TOKEN": "planted-session-token",
    "FLOWERS_METADATA_PASSWORD": "planted-metadata-password",
    "FLOWERS_KFP_TOKEN": "planted-bearer-token",
    "FLOWERS_KFP_COOKIE": "authservice_session=planted-cookie",
}


def secrets_in(text: str | bytes) -> list[str]:
    """Returns the names of the secrets whose value is in a text."""
    content = text.encode() if isinstance(text, str) else text
    return [name for name, value in SECRETS.items() if value.encode() in content]


def secrets_below(folder: Path) -> dict[str, list[str]]:
    """Returns the names of the secrets whose value is in a file, by the file's path, or in the path itself."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files, f"nothing to search below {folder}"
    found = {str(path): secrets_in(path.read_bytes()) + secrets_in(str(path)) for path in files}
    return {path: names for path, names in found.items() if names}
