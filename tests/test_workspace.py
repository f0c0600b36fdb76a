from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from studio.errors import DiskFull, InvalidInput, WorkspaceInUse
from studio.workspace import Workspace, read_json, write_atomic, write_json


def test_a_second_owner_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    first, second = Workspace(tmp_path), Workspace(tmp_path)
    first.lock("the app")
    with pytest.raises(WorkspaceInUse, match=rf"in use by process {os.getpid()} on .* \(the app\)"):
        second.lock("a script")
    first.unlock()
    second.lock("a script")
    second.unlock()
    assert read_json(tmp_path / "owner.json") is None


def test_an_owner_that_was_killed_leaves_no_lock(tmp_path: Path) -> None:
    program = f"""
        import sys, time
        from pathlib import Path
        from studio.workspace import Workspace
        workspace = Workspace(Path({str(tmp_path)!r}))
        workspace.lock("the first")
        print("locked", flush=True)
        time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"locked\n"
            with pytest.raises(WorkspaceInUse, match=f"process {process.pid} on"):
                Workspace(tmp_path).lock("the second")
        finally:
            process.kill()
    again = Workspace(tmp_path)
    again.lock("the second")
    again.unlock()


def test_what_a_killed_process_had_begun_to_write_is_gone_at_the_next_start(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.create()
    workspace.snapshots.mkdir()
    (workspace.exports / ".rows.parquet.17-1.part").write_bytes(b"half")
    (workspace.exports / ".rows.18-1.part").mkdir()
    (workspace.snapshots / ".writing.x").write_bytes(b"half")
    kept = [workspace.exports / "rows.parquet", workspace.snapshots / "8e0ee5.jsonl.zst"]
    for path in kept:
        path.write_bytes(b"whole")
    workspace.lock("test")
    assert sorted(path for folder in (workspace.exports, workspace.snapshots) for path in folder.iterdir()) == kept
    workspace.unlock()


def test_a_file_is_no_workspace(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="is a file"):
        Workspace(tmp_path / "file").lock("tests")


def test_a_write_replaces_the_whole_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "value.json"
    write_json(path, {"a": "ä" * 1000})
    write_json(path, {"a": "日本"})
    assert read_json(path) == {"a": "日本"}
    assert [p.name for p in path.parent.iterdir()] == ["value.json"]


def test_a_write_that_cant_be_renamed_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_atomic(tmp_path / "taken", b"data")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


def test_a_file_that_isnt_whole_reads_as_none(tmp_path: Path) -> None:
    (tmp_path / "half").write_text('{"a": ')
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert read_json(tmp_path / "half") is read_json(tmp_path / "binary") is read_json(tmp_path / "none") is None


def test_training_is_refused_when_the_disk_is_nearly_full(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.require_space(0, "training")
    with pytest.raises(DiskFull, match="not enough disk space for training"):
        workspace.require_space(workspace.free_bytes(), "training")


ON_A_SMALL_DISK = """
    import os, sys
    from pathlib import Path
    from studio.errors import DiskFull
    from studio.store import Store
    from studio.records import Example, Turn, new_id
    from studio.workspace import read_json, write_json

    disk = Path(sys.argv[1])
    write_json(disk / "value.json", {"a": 1})
    try:
        write_json(disk / "value.json", {"a": "x" * 20_000_000})
    except DiskFull as error:
        print("file:", error.message)
    assert read_json(disk / "value.json") == {"a": 1}
    assert [p.name for p in disk.iterdir()] == ["value.json"]

    def example():
        return Example(new_id("e"), "p", 1, "approved", (Turn("user", os.urandom(50_000).hex()),), "A")

    store = Store(disk / "studio.duckdb")
    saved = []
    try:
        for _ in range(1000):
            saved.append(example())
            store.examples.append(saved[-1:])
    except DiskFull as error:
        print("store:", error.message)
    store.close()
    (disk / "value.json").unlink()
    # Room again, as the hint asks for: everything that was saved is still there, and saving works.
    os.system(f"mount -o remount,size=64m {disk}")
    store = Store(disk / "studio.duckdb")
    assert {e.id for e in saved[:-1]} == {e.id for e in store.examples.find("p")}, "rows were lost"
    store.examples.append([example()])
    store.close()
    print("kept", len(saved) - 1)
"""


def test_a_full_disk_is_named_and_nothing_saved_is_lost(tmp_path: Path) -> None:
    """On a file system of 8 MB of its own, so that it really is full."""
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(ON_A_SMALL_DISK))
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=8m tmpfs {disk} && exec {sys.executable} {program} {disk}"
    command = ["unshare", "--map-root-user", "--user", "--mount", "sh", "-c", mount]
    probe = subprocess.run([*command[:-1], f"mount -t tmpfs tmpfs {disk}"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"no file system can be mounted here: {probe.stderr.strip()}")
    result = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(Path.cwd())}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "file: There is no space left to save value.json."
    assert lines[1] == "store: There is no space left to save."
    assert int(lines[2].split()[1]) > 5
