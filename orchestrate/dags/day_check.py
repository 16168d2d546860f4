"""Checks a day of the dated folders against its run records and what a load has read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from urllib.parse import quote


def tables(output: Path, source: str, day: str) -> dict[str, int]:
    """Returns the tables of a source's day with their rows, after checking every file.

    Raises `ValueError` when the day is not finished, or a file is not what its manifest says.
    """
    record = json.loads(_read(output / ".runs" / f"source={source}" / f"extracted_at={day}.json"))
    if record.get("open"):
        raise ValueError(f"a run of {source} {day} has not finished: {record['open']}")
    day_folder = output / f"source={source}" / f"extracted_at={day}"
    return {
        table: _check_table(day_folder / f"table={quote(table, safe='')}", entry)
        for table, entry in record["tables"].items()
    }


def _check_table(folder: Path, entry: dict) -> int:
    text = _read(folder / "_manifest.json")
    if hashlib.sha256(text).hexdigest() != entry["manifest_sha256"]:
        raise ValueError(f"the manifest in {folder} is not the one of the finished run")
    manifest = json.loads(text)
    for file in manifest["files"]:
        data = _read(folder / file["name"])
        if (len(data), hashlib.sha256(data).hexdigest()) != (file["bytes"], file["sha256"]):
            raise ValueError(f"{folder / file['name']} was changed after it was written")
    return sum(file["rows"] for file in manifest["files"])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as cause:
        raise ValueError(f"cannot read {path}: {cause.strerror}") from cause


def rows_of(summary: dict) -> dict[str, int]:
    """Returns the rows of each stream in the summary of a `chorus run`."""
    rows: dict[str, int] = {}
    for step in summary["steps"]:
        for stream in step["streams"]:
            rows[stream["stream"]] = rows.get(stream["stream"], 0) + stream["rows"]
    return rows
