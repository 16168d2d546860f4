#!/usr/bin/env python3
"""The DAGs under real schedulers: catch-up, a backfill, a cleared task, Celery with two workers.

`make test-slow` runs it; it needs what `scripts/setup.sh slow` installs. It stands on a private
Postgres and, for Celery, a private Redis; everything it starts ends with it.
"""

import datetime
import hashlib
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
BINARIES = TARGET / "debug"
# Nothing here takes as long: then it hangs.
PATIENCE = 600

UV = "uv==0.13.8"
AIRFLOW_2 = ("airflow-2", ["apache-airflow==2.11.2", "psycopg2-binary==2.9.13"])
AIRFLOW_3 = (
    "airflow-celery",
    [
        "apache-airflow==3.3.2",
        "apache-airflow-providers-celery==3.26.0",
        "apache-airflow-providers-postgres==7.1.1",
        "asyncpg==0.32.0",
        # 5.7.0 lacks a name that the provider imports.
        "celery==5.6.3",
        "psycopg2-binary==2.9.13",
        "redis==8.1.0",
    ],
)

TABLES = 14
TODAY = datetime.datetime.now(datetime.timezone.utc).date()
# How many days before today the DAGs begin, where they are to catch up.
CATCH_UP = 3


def main():
    begun = time.monotonic()
    os.chdir("/")
    with tempfile.TemporaryDirectory(prefix="chorus-slow-", dir="/tmp") as scratch:
        scratch = pathlib.Path(scratch)
        scratch.chmod(0o755)
        cluster = Cluster(scratch / "pg")
        try:
            for test in [local_3, celery_3, local_2]:
                started = time.monotonic()
                folder = scratch / test.__name__
                test(Project(folder, cluster))
                print(f"{test.__name__}: passed in {time.monotonic() - started:.0f} s", flush=True)
        finally:
            cluster.stop()
    print(f"3 passed, 0 failed in {time.monotonic() - begun:.0f} s")


def local_3(project):
    """Airflow 3 with the LocalExecutor: catch-up, a backfill, a failed task that is cleared."""
    with Airflow(AIRFLOW_3, project, 3) as airflow:
        caught_up(airflow)
        begun = time.monotonic()
        airflow("backfill", "create", "--dag-id", "elt", "--from-date", "2026-10-01")(
            "--to-date", "2026-10-05", "--max-active-runs", "1"
        )
        days = [f"2026-10-0{day}" for day in range(1, 6)]
        airflow.wait("elt", days)
        print(f"  backfill: 5 days in {time.monotonic() - begun:.0f} s")
        for day in days:
            project.check(day)
        assert airflow.overlaps("elt") == 0, "two runs at the same time"
        cleared(airflow)


def local_2(project):
    """The same with Airflow 2, whose backfill is a scheduler of its own."""
    with Airflow(AIRFLOW_2, project, 2) as airflow:
        caught_up(airflow)
        airflow("dags", "backfill", "elt", "-s", "2026-10-01")("-e", "2026-10-03")
        days = [f"2026-10-0{day}" for day in range(1, 4)]
        airflow.wait("elt", days)
        for day in days:
            project.check(day)
        cleared(airflow)


def celery_3(project):
    """Airflow 3 with the CeleryExecutor: shares of the streams go to two workers."""
    with Airflow(AIRFLOW_3, project, 3, celery=True) as airflow:
        days = [f"2026-03-0{day}" for day in range(1, 5)]
        airflow("dags", "unpause", "elt_scaled")()
        begun = time.monotonic()
        for day in days:
            airflow.trigger("elt_scaled", day)
        airflow.wait("elt_scaled", days)
        seconds = time.monotonic() - begun
        for day in days:
            project.check(day)
        tasks = airflow.by_worker()
        print(f"  celery: {len(days)} days in {seconds:.0f} s; tasks of the workers: {tasks}")
        assert min(tasks.values()) > 0, "a worker has done nothing"


def caught_up(airflow):
    """Lets a DAG that starts three days ago catch up, and looks at its days."""
    begun = time.monotonic()
    airflow("dags", "unpause", "elt")()
    days = [str(TODAY - datetime.timedelta(days=back)) for back in range(CATCH_UP + 1)]
    airflow.wait("elt", days)
    print(f"  catch-up: {len(days)} days in {time.monotonic() - begun:.0f} s")
    for day in days:
        airflow.project.check(day)


def cleared(airflow):
    """Breaks an extract for good, mends it, and clears the one task that failed."""
    project, yesterday = airflow.project, TODAY - datetime.timedelta(days=1)
    day, moment = "2026-09-15", f"{yesterday} 12:00"
    project.broken.touch()
    airflow.trigger("elt", moment, day)
    airflow.wait("elt", [moment], state="failed")
    assert airflow.tasks("elt", moment) == {
        "extract_csv": ("success", 1),
        "extract_postgres": ("failed", 1),
        "load": ("upstream_failed", 0),
        "verify": ("upstream_failed", 0),
    }, airflow.tasks("elt", moment)
    assert len(project.sums(day)) == 1, "an extract that failed has left something"
    project.broken.unlink()
    # The command that the log of the task names.
    clear = ["tasks", "clear", "elt", "--task-regex", "extract_postgres", "--downstream"]
    dates = ["--start-date", f"{moment}+00:00", "--end-date", f"{moment}+00:00"]
    airflow(*clear, *dates)("--yes")
    airflow.wait("elt", [moment])
    tasks = airflow.tasks("elt", moment)
    assert tasks["extract_csv"] == ("success", 1), tasks
    assert [tasks[name][0] for name in sorted(tasks)] == ["success"] * 4, tasks
    assert tasks["extract_postgres"][1] >= 2, tasks
    project.check(day)
    print("  clear: one failed task and what follows it, and no other")


class Cluster:
    """A private Postgres."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        self.binaries = (found[-1] if found else pathlib.Path(shutil.which("initdb"))).parent
        folder.mkdir()
        self.user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        if os.getuid() == 0:
            shutil.chown(folder, "nobody")
        else:
            self.user = []
        self._call("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-c listen_addresses='' -c port={self.port} -c fsync=off"
        options += f" -c unix_socket_directories='{folder}' -c max_connections=300"
        self._call("pg_ctl", "-w", "-s", "-l", str(folder / "log"), "-o", options, "start")

    def _call(self, program, *args):
        command = [*self.user, self.binaries / program, "-D", self.folder / "data", *args]
        call(command, env={**os.environ, "LC_ALL": "C.UTF-8"})

    def stop(self):
        self._call("pg_ctl", "-m", "immediate", "-s", "stop")

    def psql(self, database, *args, **options):
        command = ["psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-h", self.folder]
        command += ["-p", str(self.port), "-U", "postgres", "-d", database, *args]
        return call(command, **options).strip()

    def database(self, name):
        self.psql("postgres", "-c", f"CREATE DATABASE {name}")
        return name


class Project:
    """A copy of the example project with databases, and a tap that a file breaks."""

    def __init__(self, folder, cluster):
        self.folder, self.cluster = folder, cluster
        self.source = cluster.database(f"{folder.name}_sales")
        self.target = cluster.database(f"{folder.name}_warehouse")
        cluster.psql(self.source, "-f", ROOT / "demo/sales.sql")
        (folder / "demo").mkdir(parents=True)
        shutil.copy(ROOT / "meltano.yml", folder)
        shutil.copytree(ROOT / "plugins", folder / "plugins")
        shutil.copy(ROOT / "demo/order_details.csv", folder / "demo")
        lines = ["SCHEMA=public"]
        for end, database in [("SOURCE", self.source), ("TARGET", self.target)]:
            values = [("HOST", cluster.folder), ("PORT", cluster.port), ("USER", "postgres")]
            values += [("PASSWORD", ""), ("DATABASE", database)]
            lines += [f"{end}_POSTGRES_{name}={value}" for name, value in values]
        (folder / ".env").write_text("\n".join(lines) + "\n")
        self.broken = folder / "broken"
        self.programs = folder / "programs"
        self.programs.mkdir()
        tap = self.programs / "tap-postgres"
        tap.write_text(
            f"#!/bin/sh\ntest ! -e '{self.broken}' || exit 78\n"
            f"exec '{BINARIES}/tap-postgres' \"$@\"\n"
        )
        tap.chmod(0o755)

    def check(self, day):
        """Asserts that a day has every table, the same bytes as every other day, and is loaded."""
        sums = self.sums(day)
        assert len(sums) == TABLES, (day, sorted(sums))
        self.wanted = getattr(self, "wanted", sums)
        assert sums == self.wanted, f"{day} is another day"
        loaded = "SELECT count(*), sum(freight) FROM order_details JOIN orders USING (order_id)"
        assert self.cluster.psql(self.target, "-c", loaded).startswith("240|")

    def sums(self, day):
        files = self.folder.glob(f"output/source=*/extracted_at={day}/table=*/*.csv")
        return {path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class Airflow:
    """A running Airflow whose metadata are in the cluster."""

    def __init__(self, packages, project, line, celery=False):
        self.project, self.line, self.celery = project, line, celery
        self.programs = environment(*packages) / "bin"
        self.home = project.folder / "airflow"
        self.database = project.cluster.database(f"{project.folder.name}_airflow")
        self.processes, self.logs = [], project.folder / "logs"
        self.logs.mkdir()
        where = f"postgres@/{self.database}?host={project.cluster.folder}"
        where += f"&port={project.cluster.port}"
        port, begin = free_port(), TODAY - datetime.timedelta(days=CATCH_UP)
        self.variables = {
            **os.environ,
            "PATH": f"{project.programs}:{self.programs}:{BINARIES}:{os.environ['PATH']}",
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "orchestrate/dags"),
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor" if celery else "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{where}",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "false",
            "CHORUS_PROJECT": str(project.folder),
            "CHORUS_RETRY_SECONDS": "1",
            "CHORUS_START_DATE": "2026-01-01" if celery else str(begin),
        }
        if celery:
            self.redis = free_port()
            self.variables["AIRFLOW__CELERY__BROKER_URL"] = f"redis://127.0.0.1:{self.redis}/0"
            self.variables["AIRFLOW__CELERY__RESULT_BACKEND"] = f"db+postgresql://{where}"
            self.variables["AIRFLOW__CELERY__WORKER_CONCURRENCY"] = "2"

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def _start(self):
        self("db", "migrate")()
        if self.celery:
            options = ["--bind", "127.0.0.1", "--port", str(self.redis), "--save", ""]
            self.start("redis", ["redis-server", *options, "--dir", str(self.home)])
        airflow = self.programs / "airflow"
        services = ["api-server", "scheduler", "dag-processor"] if self.line == 3 else ["scheduler"]
        for service in services:
            self.start(service, [airflow, service])
        for worker in ("one", "two") if self.celery else ():
            command = [airflow, "celery", "worker", "--skip-serve-logs", "-H", f"{worker}@chorus"]
            pid = ["--pid", self.home / f"{worker}.pid"]
            self.start(worker, [*command, *pid])
        self.until(
            "the DAGs are read",
            lambda: self.psql("SELECT count(*) FROM dag WHERE dag_id LIKE 'elt%'") == "2",
        )

    def __exit__(self, kind, value, trace):
        for process in reversed(self.processes):
            end(process)
        if kind is not None:
            for log in [*sorted(self.logs.iterdir()), *sorted(self.home.rglob("attempt=*.log"))]:
                lines = log.read_text(errors="replace").splitlines()[-12:]
                tail = [line[:300] for line in lines]
                print(f"--- {log.relative_to(self.project.folder)}", *tail, sep="\n", file=sys.stderr)

    def __call__(self, *words):
        """Returns a command that is run with more words."""
        command = [self.programs / "airflow", *words]
        return lambda *more: call([*command, *more], env=self.variables)

    def start(self, name, command):
        log = (self.logs / f"{name}.log").open("w")
        options = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command, env=self.variables, start_new_session=True, **options)
        self.processes.append(process)

    def psql(self, sql):
        return self.project.cluster.psql(self.database, "-c", sql)

    def rows(self, sql):
        return [tuple(line.split("|")) for line in self.psql(sql).splitlines()]

    @property
    def moment(self):
        """SQL of the moment a run is for, to the minute."""
        column = "logical_date" if self.line == 3 else "execution_date"
        return f"to_char(r.{column} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')"

    def trigger(self, dag, moment, datestamp=None):
        flag = "--logical-date" if self.line == 3 else "--exec-date"
        conf = ["--conf", f'{{"datestamp": "{datestamp}"}}'] if datestamp else []
        self("dags", "trigger", dag)(flag, f"{to_minute(moment)}+00:00", *conf)

    def wait(self, dag, moments, state="success"):
        """Waits until the runs of days or moments have ended, as they should."""
        wanted = sorted(to_minute(moment) for moment in moments)

        def ended():
            sql = f"SELECT {self.moment}, r.state FROM dag_run r WHERE r.dag_id = '{dag}'"
            found = {moment: how for moment, how in self.rows(sql) if moment in wanted}
            other = "failed" if state == "success" else "success"
            assert other not in found.values(), (dag, found)
            return sorted(found) == wanted and set(found.values()) == {state}

        self.until(f"{dag} ends for {', '.join(moments)}", ended)

    def tasks(self, dag, moment):
        """State and tries of the tasks of a run."""
        rows = self.rows(
            "SELECT task_id, i.state, i.try_number FROM task_instance i "
            "JOIN dag_run r USING (dag_id, run_id) "
            f"WHERE dag_id = '{dag}' AND {self.moment} = '{to_minute(moment)}'"
        )
        return {name: (state, int(tries)) for name, state, tries in rows}

    def overlaps(self, dag):
        """How many pairs of runs had tasks at the same time."""
        spans = (
            "SELECT run_id, min(start_date) AS a, max(end_date) AS b FROM task_instance "
            f"WHERE dag_id = '{dag}' GROUP BY 1"
        )
        return int(
            self.psql(
                f"WITH s AS ({spans}) SELECT count(*) FROM s x JOIN s y "
                "ON x.run_id < y.run_id AND x.a < y.b AND y.a < x.b"
            )
        )

    def by_worker(self):
        """How many tasks the log of each worker shows."""
        logs = {name: self.logs / f"{name}.log" for name in ("one", "two")}
        texts = {name: log.read_text(errors="replace") for name, log in logs.items()}
        return {name: text.count(" succeeded in ") for name, text in texts.items()}

    def until(self, what, done):
        limit = time.monotonic() + PATIENCE
        while not done():
            for process in self.processes:
                assert process.poll() is None, f"{process.args} has ended"
            assert time.monotonic() < limit, f"not after {PATIENCE} s: {what}"
            time.sleep(0.5)


def to_minute(moment):
    return moment if len(moment) > 10 else f"{moment} 00:00"


def environment(name, packages):
    """Makes a virtual environment below the target folder, unless it is there."""
    folder, wanted = TARGET / "python" / name, "\n".join(packages)
    stamp = folder / "packages"
    if stamp.exists() and stamp.read_text() == wanted:
        return folder
    installer = TARGET / "python/uv"
    if not (installer / "bin/uv").exists():
        call([sys.executable, "-m", "venv", installer])
        call([installer / "bin/pip", "install", "-q", UV])
    shutil.rmtree(folder, ignore_errors=True)
    call([sys.executable, "-m", "venv", "--without-pip", folder])
    command = [installer / "bin/uv", "pip", "install", "-q", "--compile-bytecode", "--python"]
    call([*command, folder / "bin/python", *packages])
    stamp.write_text(wanted)
    return folder


def call(command, **options):
    with tempfile.TemporaryFile("w+", errors="replace") as printed:
        out = {"stdin": subprocess.DEVNULL, "stdout": printed, "stderr": subprocess.STDOUT}
        code = subprocess.run(command, **out, **options, check=False).returncode
        printed.seek(0)
        text = printed.read()
    assert code == 0, f"{command} exited {code}:\n{text[-4000:]}"
    return text


def end(process):
    """Ends a process and all that it has started."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(15)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
