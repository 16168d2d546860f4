"""Runs `chorus` as an Airflow task: its exit code decides whether a retry helps."""

from __future__ import annotations

import glob
import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile

try:  # Airflow 3
    from airflow.sdk import BaseOperator
    from airflow.sdk.exceptions import AirflowException, AirflowFailException
except ImportError:  # Airflow 2
    from airflow.exceptions import AirflowException, AirflowFailException
    from airflow.models.baseoperator import BaseOperator

from chorus_airflow.days import DAY, project, real_day

# The exit code of what may go well the next time: network, timeout, a server restart.
TEMPORARY = 75

# What a process is given to end by itself, in seconds.
PATIENCE = 30


class ChorusOperator(BaseOperator):
    """Runs jobs, or plugins from a tap to a target, for one day, and returns the run's summary.

    Exit code 75 raises `AirflowException`, so that `retries` apply; every other failure raises
    `AirflowFailException`, which ends the task at once and says how to run it again.

    :param words: what `chorus run` is to run, such as `["extract_csv"]`
    :param options: more options of `chorus run`
    :param variables: environment variables, over those of the worker; the log shows them
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
        # A task that is cleared does all of its work again, and the retries are Airflow's.
        options = ["--full-refresh", "--retries", "0", *self.options]
        return self.chorus(context, "run", self.words, options)

    def on_kill(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)

    def chorus(self, context, verb: str, words: list[str], options: list[str]) -> dict:
        """Runs a command for the day of the task, and returns what it prints."""
        command = ["chorus", verb, *words, "--datestamp", real_day(self.datestamp), *options]
        command += ["--json", "--project", str(project())]
        variables = [f"{name}={shlex.quote(value)}" for name, value in self.variables.items()]
        shown = " ".join([*variables, shlex.join(command)])
        self.log.info("%s", shown)
        with tempfile.TemporaryFile() as printed:
            code = self._run(command, printed)
            if code != 0:
                raise self._failure(code, shown, context)
            printed.seek(0)
            return json.loads(printed.read())

    def _run(self, command: list[str], printed) -> int:
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
            stdout=printed,
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

    def _failure(self, code: int, shown: str, context) -> AirflowException:
        if code == TEMPORARY:
            return AirflowException(
                f"chorus exited 75: a retry may help, see its message above\n"
                f"the command was: {shown}"
            )
        run = context["dag_run"]
        date = getattr(run, "logical_date", None) or getattr(run, "execution_date", None)
        dates = f" --start-date {date.isoformat()} --end-date {date.isoformat()}" if date else ""
        # Airflow 3 looks for `--task-regex` as it stands in the names of tasks: no `^` and `$`.
        return AirflowFailException(
            f"chorus exited {code}, and a retry would not help: see its message above\n"
            f"then run the step again: {shown}\n"
            f"or it and what follows: airflow tasks clear {self.dag_id} "
            f"--task-regex {self.task_id} --downstream{dates} --yes"
        )


class PlanOperator(ChorusOperator):
    """Asks `chorus plan` for the streams of jobs, and shares them out.

    Returns `{"shares": [...], "streams": [...]}`: a share has the arguments of a `ChorusOperator`
    that extracts some of the streams; the parameter `workers` says how many a job has at most.
    """

    def execute(self, context) -> dict:
        plan: dict[str, list] = {"shares": [], "streams": []}
        workers = int(context["params"]["workers"])
        for job in self.words:
            for step in self.chorus(context, "plan", [job], [])["steps"]:
                # A state is one run's at a time.
                state = f"{self.dag_id}:{job}:{real_day(self.datestamp)}"
                plan["streams"] += [stream["stream"] for stream in step["streams"]]
                plan["shares"] += shares(job, state, step, workers)
        if not plan["shares"]:
            raise AirflowFailException(f"{' '.join(self.words)}: there is no stream to extract")
        return plan


def shares(job: str, state: str, step: dict, workers: int) -> list[dict]:
    """Shares the streams of a step out, the largest first, each to who has the least so far."""
    tap = step["step"].split()[0]
    variable = f"{tap.upper().replace('-', '_').replace('.', '_')}__SELECT"
    least: list[tuple[int, list[str]]] = [(0, []) for _ in range(workers)]
    for stream in sorted(step["streams"], key=lambda stream: -(stream.get("rows") or 0)):
        at = min(range(workers), key=lambda at: least[at][0])
        rows, names = least[at]
        # A table costs something even without a row.
        least[at] = (rows + (stream.get("rows") or 0) + 100, [*names, stream["stream"]])
    return [
        {
            "words": [job],
            "options": ["--state-id", f"{state}:{at}"],
            "variables": {variable: json.dumps([glob.escape(name) + ".*" for name in names])},
        }
        for at, (_, names) in enumerate(least)
        if names
    ]
