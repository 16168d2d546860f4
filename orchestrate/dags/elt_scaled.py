"""The same as `elt`, for many large tables: their extracts are spread over the workers.

`chorus plan` lists the streams with what the source thinks are their rows; each task extracts a
share of them. The workers need the binaries, and a folder for the output that all of them see.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Commands of Airflow 3.0 do not look for modules in the folder of the DAGs.
if str(Path(__file__).parent) not in sys.path:
    sys.path.append(str(Path(__file__).parent))

try:
    from airflow.sdk import Param, dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task
    from airflow.models.param import Param

from chorus_airflow.days import DAY, check, verify
from chorus_airflow.defaults import DAILY, DATESTAMP
from chorus_airflow.operators import ChorusOperator, PlanOperator


@dag(
    dag_id="elt_scaled",
    catchup=False,
    params={
        "datestamp": DATESTAMP,
        "workers": Param(4, type="integer", minimum=1, description="Tasks of a source at most."),
    },
    doc_md=__doc__,
    **DAILY,
)
def elt_scaled():
    plan = PlanOperator(task_id="plan", words=["extract_csv", "extract_postgres"])

    @task(retries=0)
    def share_out(planned: dict) -> list[dict]:
        return planned["shares"]

    extract = ChorusOperator.partial(task_id="extract").expand_kwargs(share_out(plan.output))
    # Each share adds its tables to the run record of the day: it must have all before the load.
    finish = check(DAY, plan.output)
    load = ChorusOperator(task_id="load", words=["load_to_postgres"])
    extract >> finish >> load >> verify(DAY, load.output)


elt_scaled()
