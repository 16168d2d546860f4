"""Runs `chorus` as an Airflow task: its exit code decides whether a retry helps."""

from __future__ import annotations

import datetime
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

try:  # Airflow 3
    from airflow.sdk import BaseOperator
    from airflow.sdk.exceptions import AirflowException, AirflowFailException
except ImportError:  # Airflow 2
    from airflow.exceptions import AirflowException, AirflowFailException
    from airflow.models.baseoperator import BaseOperator

# The exit code of what may go well the next time: network, timeout, a server restart.
TEMPORARY = 75

# What a process is given to end by itself, in seconds.
PATIENCE = 30

# The day of a run: the parameter, else the logical date. A run without both has none.
DAY = "{{ params.datestamp or (ds if ds is defined else '') }}"


def project() -> Path:
    """Returns the folder of `meltano.yml`: `CHORUS_PROJECT`, else the one this file belongs to."""
    return Path(os.environ.get("CHORUS_PROJECT") or Path(__file__).resolve().parents[2])


def real_day(text: str | None) -> str:
    """Returns the day if it is a real date, written `YYYY-MM-DD`; else fails the task for good."""
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text or "", re.ASCII):
            return datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    raise AirflowFailException(
        f"the datestamp {text!r} is no real date: write YYYY-MM-DD, or leave it blank in a run "
        "that has a logical date"
    )


class ChorusOperator(BaseOperator):
    """Runs jobs, or plugins from a tap to a target, for one day, and returns the run's summary.

    Exit code 75 raises `AirflowException`, so that `retries` apply; every other failure raises
    `AirflowFailException`, which ends the task at once and says how to run it again.

    :param words: what `chorus run` is to run, such as `["extract_csv"]`
    :param options: more options of `chorus run`
    :param variables: environment variables, over those of the worker
    :param datestamp: the day; templated
    """

    template_fields = ("words", "options", "variables", "datestamp")
    ui_color = "#e3f1e3"

    def __init__(
        self,
        *,
        words: list[str],
        options: list[str] | None = None,
        variables: dict[str, str] | None = None,
        datestamp: str = DAY,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.words = words
        self.options = options or []
        self.variables = variables or {}
        self.datestamp = datestamp
        self._process: subprocess.Popen | None = None

    def execute(self, context) -> dict:
        day = real_day(self.datestamp)
        # A task that is cleared does all of its work again, and the retries are Airflow's.
        command = ["run", *self.words, "--datestamp", day, "--full-refresh", "--retries", "0"]
        command = ["chorus", *command, *self.options, "--json", "--project", str(project())]
        shown = self._shown(command)
        self.log.info("%s", shown)
        with tempfile.TemporaryFile() as summary:
            code = self._run(command, summary)
            if code != 0:
                raise self._failure(code, shown, context)
            summary.seek(0)
            return json.loads(summary.read())

    def on_kill(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)

    def _run(self, command: list[str], summary) -> int:
        environment = {**os.environ, **self.variables}
        program = shutil.which(command[0], path=environment.get("PATH"))
        if program is None:
            raise AirflowFailException(
                "cannot find `chorus`: put it and the connectors on the PATH of the worker"
            )
        self._process = subprocess.Popen(
            [program, *command[1:]],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=summary,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            for line in self._process.stderr:
                self.log.info("%s", line.rstrip("\n"))
            return self._process.wait()
        except BaseException:
            self.on_kill()
            raise

    def _shown(self, command: list[str]) -> str:
        variables = [f"{name}={shlex.quote(value)}" for name, value in self.variables.items()]
        return " ".join([*variables, shlex.join(command)])

    def _failure(self, code: int, shown: str, context) -> AirflowException:
        if code == TEMPORARY:
            return AirflowException(
                f"chorus exited 75: what it says above may go well the next time\n"
                f"the command was: {shown}"
            )
        run = context["dag_run"]
        date = getattr(run, "logical_date", None) or getattr(run, "execution_date", None)
        dates = f" --start-date {date.isoformat()} --end-date {date.isoformat()}" if date else ""
        return AirflowFailException(
            f"chorus exited {code}, and a retry would not help: see above for what to mend\n"
            f"then run the step again: {shown}\n"
            f"or it and what follows: airflow tasks clear {self.dag_id} "
            f"--task-regex '^{self.task_id}$' --downstream{dates} --yes"
        )
