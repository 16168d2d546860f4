"""What both DAGs have: a run a day, retries, and a parameter for another day."""

from __future__ import annotations

import datetime
import os

try:  # Airflow 3
    from airflow.sdk import Param
except ImportError:  # Airflow 2
    from airflow.models.param import Param
from airflow.timetables.trigger import CronTriggerTimetable

START = datetime.datetime.fromisoformat(os.environ.get("CHORUS_START_DATE", "2026-01-01"))
RETRY_SECONDS = float(os.environ.get("CHORUS_RETRY_SECONDS", "60"))

DAILY = {
    # The same on Airflow 2 and 3: the logical date is the day that the run starts on.
    "schedule": CronTriggerTimetable("0 0 * * *", timezone="UTC"),
    "start_date": START.replace(tzinfo=datetime.timezone.utc),
    "default_args": {
        "retries": 3,
        "retry_delay": datetime.timedelta(seconds=RETRY_SECONDS),
        "retry_exponential_backoff": True,
    },
    "tags": ["chorus"],
}

DATESTAMP = Param(
    None,
    type=["null", "string"],
    pattern=r"^(\d{4}-\d{2}-\d{2})?$",
    title="Datestamp",
    description="The day as YYYY-MM-DD; blank for the logical date.",
)
