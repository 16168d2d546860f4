"""Every day: both sources into the folders of the day, the day into Postgres, and a check."""

from __future__ import annotations

import sys
from pathlib import Path

# Commands of Airflow 3.0 do not look for modules in the folder of the DAGs.
if str(Path(__file__).parent) not in sys.path:
    sys.path.append(str(Path(__file__).parent))

try:
    from airflow.sdk import dag
except ImportError:  # Airflow 2
    from airflow.decorators import dag

from chorus_airflow.days import DAY, verify
from chorus_airflow.defaults import DAILY, DATESTAMP
from chorus_airflow.operators import ChorusOperator


@dag(
    dag_id="elt",
    catchup=True,
    max_active_runs=1,
    params={"datestamp": DATESTAMP},
    doc_md=__doc__,
    **DAILY,
)
def elt():
    extracts = [
        ChorusOperator(task_id="extract_csv", words=["extract_csv"]),
        ChorusOperator(task_id="extract_postgres", words=["extract_postgres"]),
    ]
    load = ChorusOperator(task_id="load", words=["load_to_postgres"])
    extracts >> load >> verify(DAY, load.output)


elt()
