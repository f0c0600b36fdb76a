from __future__ import annotations

import io
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import fastapi
import pytest
from fastapi.testclient import TestClient

from studio.errors import InvalidInput
from studio.ui.downloads import Downloads, serve, zipped


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "行.jsonl").write_text('{"messages": []}\n', encoding="utf-8")
    return folder


@pytest.fixture
def downloads(exports: Path) -> Downloads:
    return Downloads(exports)


@pytest.fixture
def client(downloads: Downloads) -> TestClient:
    app = fastapi.FastAPI()
    serve(app, downloads)
    return TestClient(app)


def test_a_file_is_served_as_it_is_and_never_shown(exports: Path, downloads: Downloads, client: TestClient) -> None:
    answer = client.get("/" + downloads.link([exports / "行.jsonl"]))
    assert answer.content == (exports / "行.jsonl").read_bytes()
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert downloads.link([exports / "行.jsonl"]) == downloads.link([exports / "行.jsonl"])


def test_nothing_else_is_served(tmp_path: Path, exports: Path, downloads: Downloads, client: TestClient) -> None:
    secret = tmp_path / "studio.duckdb"
    secret.write_text("secret", encoding="utf-8")
    for path in (secret, exports, exports / ".." / "studio.duckdb"):
        with pytest.raises(InvalidInput):
            downloads.link([path])
    link = downloads.link([exports / "行.jsonl"])
    token = urlsplit(link).path.split("/")[1]
    assert client.get(f"/download/{token[:-1]}/x").status_code == 404
    assert client.get("/download/..%2Fstudio.duckdb/x").status_code == 404
    (exports / "行.jsonl").unlink()
    assert client.get("/" + link).status_code == 404
    (exports / "行.jsonl").symlink_to(secret)
    assert client.get("/" + link).status_code == 404


def test_a_folder_leaves_as_a_zip_made_on_the_way(exports: Path, downloads: Downloads, client: TestClient) -> None:
    large = bytes(range(256)) * 20_000
    (exports / "set" / "data").mkdir(parents=True)
    (exports / "set" / "data" / "train.parquet").write_bytes(large)
    (exports / "set" / "README.md").write_text("card", encoding="utf-8")
    answer = client.get("/" + downloads.link([exports / "set"]))
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''set.zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert archive.read("set/data/train.parquet") == large
        assert sorted(archive.namelist()) == ["set/README.md", "set/data/train.parquet"]
    assert max(map(len, zipped([exports / "set"]))) < 2_000_000
