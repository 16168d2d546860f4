"""Runs `airflow` commands in one process and writes down how each ended: imports take the time.

Reads a list of `{"argv", "variables"}` as JSON from standard input; writes a list of `{"code",
"tasks", "printed"}` to the file named by the first argument. `tasks` are those of the newest run.
"""

import contextlib
import io
import json
import os
import sys

from airflow.cli import cli_parser
from airflow.models import DagRun
from airflow.utils.session import create_session


def run(parser, scenario):
    os.environ.update(scenario["variables"])
    printed = io.StringIO()
    try:
        arguments = parser.parse_args(scenario["argv"])
        with contextlib.redirect_stdout(printed):
            arguments.func(arguments)
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except Exception as failure:
        code = f"{type(failure).__name__}: {failure}"
    return {"code": code, "tasks": tasks(), "printed": printed.getvalue()}


def tasks():
    with create_session() as session:
        newest = session.query(DagRun).order_by(DagRun.id.desc()).first()
        instances = newest.get_task_instances(session=session) if newest else []
        return {name(i): {"state": i.state, "tries": i.try_number} for i in instances}


def name(instance):
    index = instance.map_index
    return instance.task_id if index < 0 else f"{instance.task_id}_{index}"


def main():
    parser = cli_parser.get_parser()
    results = [run(parser, scenario) for scenario in json.load(sys.stdin)]
    with open(sys.argv[1], "w") as out:
        json.dump(results, out)


if __name__ == "__main__":
    main()
