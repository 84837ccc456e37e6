"""A real Slurm of one node, this machine, in a folder of its own: munged, slurmctld and slurmd, without systemd,
cgroups and accounting. Needs root, and the packages slurm-wlm and munge."""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import time

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")
NUM_CPUS = 4
START_TIMEOUT_S = 60

CONFIG = """
ClusterName=prm-score-test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser=root
SlurmdUser=root
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
MinJobAge=3600
KillWait=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs={num_cpus} State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing_programs():
    """Those that are not installed; sbin need not be in PATH."""
    return [name for name in PROGRAMS if shutil.which(name, path=search_path()) is None]


def search_path():
    return os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class Slurm:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.daemons = []
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_"))}
        self.env = variables | {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": search_path()}

    def start(self):
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        controller_port, node_port = free_ports(2)
        (self.folder / "slurm.conf").write_text(
            CONFIG.format(folder=self.folder, host=socket.gethostname().split(".")[0], controller_port=controller_port,
                          node_port=node_port, num_cpus=NUM_CPUS)
        )
        self.start_daemon("munged", "--foreground", "--force", f"--key-file={key}",
                          *(f"--{what}={self.folder}/munge.{what.split('-')[0]}"
                            for what in ("socket", "pid-file", "log-file", "seed-file")))
        self.wait_until((self.folder / "munge.socket").exists)
        self.start_daemon("slurmctld", "-D")
        self.wait_until(lambda: self.call("scontrol", "ping").returncode == 0)
        self.start_daemon("slurmd", "-D")
        self.wait_until(lambda: "State=IDLE" in self.call("scontrol", "show", "node").stdout)

    def start_daemon(self, *command):
        log = (self.folder / f"{command[0]}.out").open("wb")
        command = ("setpriv", "--pdeathsig", "TERM", *command)  # gone with the test, however that ends
        self.daemons.append((command[3], subprocess.Popen(command, env=self.env, stdout=log, stderr=log,
                                                          stdin=subprocess.DEVNULL, cwd=self.folder)))
        log.close()

    def wait_until(self, is_true):
        deadline = time.monotonic() + START_TIMEOUT_S
        while not is_true():
            for name, daemon in self.daemons:
                if daemon.poll() is not None:
                    raise AssertionError(f"{name} has ended with {daemon.returncode}:\n{self.logs()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"no Slurm after {START_TIMEOUT_S} s:\n{self.logs()}")
            time.sleep(0.1)

    def stop(self):
        self.call("scancel", "--user=root")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.call("squeue")  # an answer means that the jobs are known to be cancelled
        for _, daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def call(self, *command, **options):
        return subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=60, **options)

    def submit(self, *arguments, **options):
        """The number of the job."""
        done = self.call("sbatch", "--parsable", *map(str, arguments), **options)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return done.stdout.strip()

    def tasks(self, job):
        """Number of the array's task (0 of a plain job) to (state, restarts, exit code)."""
        tasks = {}
        for block in self.call("scontrol", "show", "job", job, "--oneliner").stdout.splitlines():
            facts = dict(word.split("=", 1) for word in block.split() if "=" in word)
            number = facts.get("ArrayTaskId", "0")  # several, "1-3", for those that have not begun
            if "JobState" in facts:
                key = int(number) if number.isdigit() else number
                tasks[key] = (facts["JobState"], int(facts["Restarts"]), facts["ExitCode"])
        return tasks

    def logs(self):
        files = sorted(self.folder.glob("*.out")) + sorted(self.folder.glob("*.log"))
        return "\n".join(f"{file.name}: {file.read_text(errors='replace')[-2000:]}" for file in files)
