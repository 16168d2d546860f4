"""Every day: both sources into the folders of the day, the day into Postgres, and a check."""

from __future__ import annotations

import datetime
import os

try:  # Airflow 3
    from airflow.sdk import Param, dag, task
    from airflow.sdk.exceptions import AirflowFailException
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task
    from airflow.exceptions import AirflowFailException
    from airflow.models.param import Param
from airflow.timetables.trigger import CronTriggerTimetable

from chorus_operator import DAY, ChorusOperator, project, real_day
from day_check import rows_of, tables

START = datetime.datetime.fromisoformat(os.environ.get("CHORUS_START_DATE", "2026-01-01"))
RETRY_SECONDS = float(os.environ.get("CHORUS_RETRY_SECONDS", "60"))


@dag(
    dag_id="elt",
    # The same on Airflow 2 and 3: the logical date is the day that the run starts on.
    schedule=CronTriggerTimetable("0 0 * * *", timezone="UTC"),
    start_date=START.replace(tzinfo=datetime.timezone.utc),
    catchup=True,
    max_active_runs=1,
    default_args={
        "retries": 3,
        "retry_delay": datetime.timedelta(seconds=RETRY_SECONDS),
        "retry_exponential_backoff": True,
    },
    params={
        "datestamp": Param(
            None,
            type=["null", "string"],
            pattern=r"^(\d{4}-\d{2}-\d{2})?$",
            title="Datestamp",
            description="The day as YYYY-MM-DD; blank for the logical date.",
        )
    },
    tags=["chorus"],
    doc_md=__doc__,
)
def elt():
    extracts = [
        ChorusOperator(task_id="extract_csv", words=["extract_csv"]),
        ChorusOperator(task_id="extract_postgres", words=["extract_postgres"]),
    ]
    load = ChorusOperator(task_id="load", words=["load_to_postgres"])

    @task(retries=0)
    def verify(datestamp: str, loaded: dict) -> dict[str, int]:
        """Compares what is in the folders of the day with what the load has read."""
        day = real_day(datestamp)
        there: dict[str, int] = {}
        try:
            for source in ("csv", "postgres"):
                for table, rows in tables(project() / "output", source, day).items():
                    there[table] = there.get(table, 0) + rows
        except ValueError as fault:
            raise AirflowFailException(str(fault)) from fault
        if there != rows_of(loaded):
            raise AirflowFailException(f"{day} has {there}, but loaded were {rows_of(loaded)}")
        return there

    extracts >> load
    load >> verify(DAY, load.output)


elt()
