"""The day of a run: which one it is, and whether its folders are what its runs recorded."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
from pathlib import Path

try:  # Airflow 3
    from airflow.sdk import task
    from airflow.sdk.exceptions import AirflowFailException
except ImportError:  # Airflow 2
    from airflow.decorators import task
    from airflow.exceptions import AirflowFailException

# The parameter, else the logical date. A run without both has none.
DAY = "{{ params.datestamp or (ds if ds is defined else '') }}"

# The sources of the example project, as its `meltano.yml` names them.
SOURCES = ("csv", "postgres")


def project() -> Path:
    """Returns the folder of `meltano.yml`: `CHORUS_PROJECT`, else the one this file belongs to."""
    return Path(os.environ.get("CHORUS_PROJECT") or Path(__file__).resolve().parents[3])


def real_day(text: str | None) -> str:
    """Returns the day if it is a real date, written `YYYY-MM-DD`; else fails the task for good."""
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text or "", re.ASCII):
            return datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    raise AirflowFailException(
        f"the datestamp {text!r} is not a valid date: write YYYY-MM-DD, or leave it blank in a run "
        "that has a logical date"
    )


@task(retries=0)
def check(datestamp: str, plan: dict) -> dict[str, int]:
    """Makes sure that the run records of a day have every stream that was planned."""
    there = tables(real_day(datestamp))
    missing = sorted(set(plan["streams"]) - set(there))
    if missing:
        raise AirflowFailException(f"{datestamp} lacks {', '.join(missing)}: nothing is loaded")
    return there


@task(retries=0)
def verify(datestamp: str, loaded: dict) -> dict[str, int]:
    """Compares what is in the folders of the day with what the load has read."""
    there, read = tables(real_day(datestamp)), rows_of(loaded)
    if there != read:
        raise AirflowFailException(f"{datestamp} has {there}, but the load read {read}")
    return there


def tables(day: str) -> dict[str, int]:
    """Returns the tables of all sources with their rows, after checking every file of the day.

    Fails the task when the day is not finished, or a file is not what its manifest says.
    """
    output = project() / "output"
    _awaited(output, day)
    there: dict[str, int] = {}
    for source in SOURCES:
        for table, rows in _tables(output, source, day).items():
            there[table] = there.get(table, 0) + rows
    return there


def rows_of(summary: dict) -> dict[str, int]:
    """Returns the rows of each stream in the summary of a `chorus run`."""
    rows: dict[str, int] = {}
    for step in summary["steps"]:
        for stream in step["streams"]:
            rows[stream["stream"]] = rows.get(stream["stream"], 0) + stream["rows"]
    return rows


def _awaited(output: Path, day: str) -> None:
    """Fails the task when a source of the day is still to be extracted, as a load would fail."""
    for path in sorted((output / ".runs").glob(f"source=*/extracted_at={day}.json")):
        record = json.loads(_read(path))
        for step in record.get("awaited", {}).values():
            raise AirflowFailException(
                f"{record['source']} {day} is not complete: {step} did not succeed"
            )


def _tables(output: Path, source: str, day: str) -> dict[str, int]:
    record = json.loads(_read(output / ".runs" / f"source={source}" / f"extracted_at={day}.json"))
    if record.get("open"):
        raise AirflowFailException(f"a run of {source} {day} has not finished: {record['open']}")
    manifests = {}
    for path in (output / f"source={source}" / f"extracted_at={day}").glob("table=*/_manifest.json"):
        text = _read(path)
        manifests[json.loads(text)["stream"]] = (path.parent, text)
    there = {}
    for table, entry in record["tables"].items():
        folder, text = manifests.get(table, (None, b""))
        if hashlib.sha256(text).hexdigest() != entry["manifest_sha256"]:
            raise AirflowFailException(f"{source} {day}: {table} differs from the finished run")
        there[table] = _rows(folder, json.loads(text))
    unknown = sorted(set(manifests) - set(there))
    if unknown:
        raise AirflowFailException(f"{source} {day}: no finished run has {', '.join(unknown)}")
    return there


def _rows(folder: Path, manifest: dict) -> int:
    for file in manifest["files"]:
        path = folder / file["name"]
        data = _read(path)
        if (len(data), hashlib.sha256(data).hexdigest()) != (file["bytes"], file["sha256"]):
            raise AirflowFailException(f"{path} was changed after it was written")
    return sum(file["rows"] for file in manifest["files"])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as cause:
        raise AirflowFailException(f"cannot read {path}: {cause.strerror}") from cause
