"""scripts/slurm_array.sbatch in a real Slurm of one node: tasks are killed, requeued and sent again, and the merged
rows are those of one run, byte for byte. Needs the program as first argument; see one_node_slurm.py."""

import math
import os
import pathlib
import re
import signal
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/cli"))

import one_node_slurm  # noqa: E402
import program  # noqa: E402
from program import MODEL, ProgramTest, run  # noqa: E402

NUM_SHARDS = 4
TIMEOUT_S = 480
# A task that starts again in the second in which its first attempt ended is killed: "Job credential revoked".
START_DELAY_S = 3
UPDATE_INTERVAL_S = 10


def documents():
    """Seconds of work for every task; blank and bad lines, too."""
    examples = (program.DATA / "examples/docs.jsonl").read_bytes().splitlines()
    lines = [line for _ in range(40) for line in (*examples, b"", b"nope")]
    return b"\n".join(lines) + b"\n"


class SlurmTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        missing = one_node_slurm.missing_programs()
        assert not missing, f"not installed: {missing} (apt-get install slurm-wlm munge)"
        assert os.geteuid() == 0, "Slurm's daemons are started as root"
        folder = tempfile.TemporaryDirectory(prefix="one_node_slurm.")
        cls.addClassCleanup(folder.cleanup)
        cls.slurm = one_node_slurm.Slurm(folder.name)
        cls.addClassCleanup(cls.slurm.stop)
        cls.slurm.start()

    def setUp(self):
        super().setUp()
        self.write("docs.jsonl", documents())
        self.script = self.write("array.sbatch", self.edited_script())

    def edited_script(self):
        """As users get it, with the lines edited that are marked."""
        script = (ROOT / "scripts/slurm_array.sbatch").read_text()
        for old, new in (
            (r"(?m)^program=.*", f"program='{program.PROGRAM}'"),
            (r"(?m)^arguments=.*", f"arguments=(docs.jsonl --model '{MODEL}')"),
            (r"(?m)^#SBATCH --cpus-per-task=2 .*", "#SBATCH --cpus-per-task=1"),
        ):
            script, count = re.subn(old, new, script)
            self.assertEqual(count, 1, old)
        return script.encode()

    def submit(self, *arguments):
        return self.slurm.submit(*arguments, cwd=self.folder)

    def wait_until(self, is_true, what):
        deadline = time.monotonic() + TIMEOUT_S
        while not is_true():
            if time.monotonic() > deadline:
                logs = "\n".join(path.read_text() for path in sorted(self.folder.glob("*.log")))
                self.fail(f"{what}: not after {TIMEOUT_S} s\n{logs}\n{self.slurm.logs()}")
            time.sleep(0.05)

    def wait_for_rows(self, number):
        """In the middle of the shard's work."""
        partial = self.folder / f"rewards.{number}.jsonl.partial"
        self.wait_until(lambda: partial.exists() and partial.read_bytes().count(b"\n") >= 3, f"rows of shard {number}")

    def wait_for(self, job, *expected):
        """Until all tasks of a job are in one of these states."""
        def states():
            return {state for state, *_ in self.slurm.tasks(job).values()}

        self.wait_until(lambda: states() and states() <= set(expected), f"job {job} {expected}")
        return self.slurm.tasks(job)

    def scontrol(self, *arguments):
        done = self.slurm.call("scontrol", *map(str, arguments))
        self.assertEqual(done.returncode, 0, done.stderr)

    def start_again_now(self, task):
        """Slurm lets a task that was requeued wait for two minutes."""

        updated_at = -math.inf

        def has_started():
            nonlocal updated_at
            shown = self.slurm.call("scontrol", "show", "job", task).stdout
            # Again and again: the end of the first attempt may set the time anew.
            if "JobState=PENDING" in shown and time.monotonic() - updated_at > UPDATE_INTERVAL_S:
                self.slurm.call("scontrol", "update", f"jobid={task}", f"StartTime=now+{START_DELAY_S}seconds")
                updated_at = time.monotonic()
            return "Restarts=0" not in shown and ("JobState=RUNNING" in shown or "JobState=COMPLETED" in shown)

        self.wait_until(has_started, f"{task} to start again")

    def kill_program_of(self, number):
        """kill -9, by the file that it writes."""
        wanted = str(self.folder / f"rewards.{number}.jsonl.partial")
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                name = (process / "comm").read_text().strip()
                files = [os.readlink(file) for file in (process / "fd").iterdir()]
            except OSError:
                continue
            if name == "prm-score" and wanted in files:
                os.kill(int(process.name), signal.SIGKILL)
                return
        self.fail(f"no process writes {wanted}")

    def check_merged(self):
        shards = sorted(self.folder.glob("rewards.[0-9].jsonl"))
        self.assertEqual(len(shards), NUM_SHARDS)
        single = run("docs.jsonl", "--output", "single.jsonl", "--threads", 1, cwd=self.folder)
        self.assertEqual(single.returncode, 3)
        self.assertEqual((self.folder / "rewards.jsonl").read_bytes(), (self.folder / "single.jsonl").read_bytes())

    def submit_merge(self, after):
        """The command of the script's comment."""
        command = f"'{program.PROGRAM}' merge rewards.[0-9]*.jsonl --output rewards.jsonl --resume"
        return self.submit(f"--dependency=afterany:{after}", "--output=merge.log", "--wrap", command)

    def test_one_task_is_killed_and_another_requeued(self):
        job = self.submit(self.script)
        merge = self.submit_merge(job)
        self.wait_for_rows(1)
        self.kill_program_of(1)
        self.wait_for_rows(2)
        self.scontrol("requeue", f"{job}_2")
        self.start_again_now(f"{job}_2")
        self.wait_until(lambda: self.slurm.tasks(job)[1][0] == "FAILED", "the killed task")
        self.assertEqual(self.slurm.tasks(job)[1][2], "137:0")
        self.assertFalse((self.folder / "rewards.1.jsonl").exists())
        self.scontrol("requeue", f"{job}_1")
        self.start_again_now(f"{job}_1")
        tasks = self.wait_for(job, "COMPLETED")
        self.assertEqual([tasks[number][1] > 0 for number in range(NUM_SHARDS)], [False, True, True, False])
        self.assertIn("goes on after", (self.folder / "prm-score.1.log").read_text())
        self.wait_for(merge, "FAILED", "COMPLETED")  # 3, as some rows are bad
        self.assertEqual(self.slurm.tasks(merge)[0][2], "3:0", (self.folder / "merge.log").read_text())
        self.check_merged()

    def test_a_task_whose_time_is_up_requeues_itself(self):
        job = self.submit(self.script)
        self.wait_for_rows(3)
        self.assertEqual(self.slurm.call("scancel", "--batch", "--signal=USR1", f"{job}_3").returncode, 0)
        self.start_again_now(f"{job}_3")
        self.assertTrue((self.folder / "rewards.3.jsonl.partial").read_bytes().endswith(b"\n"))
        tasks = self.wait_for(job, "COMPLETED")
        self.assertEqual([tasks[number][1] > 0 for number in range(NUM_SHARDS)], [False, False, False, True])
        merge = self.submit_merge(job)
        self.wait_for(merge, "FAILED", "COMPLETED")
        self.check_merged()

    def test_a_single_task_sent_again_scores_its_own_shard(self):
        self.write("docs.jsonl", b'{"text":"a few words"}\n' * 9)
        job = self.submit("--array=0,2", self.script)
        self.wait_for(job, "COMPLETED")
        job = self.submit("--array=3", self.script)
        self.wait_for(job, "COMPLETED")
        rows = program.rows_of((self.folder / "rewards.3.jsonl").read_bytes())
        self.assertEqual([row["line"] for row in rows], [4, 8])
        job = self.submit("--array=4", self.script)  # there is no such shard
        self.wait_for(job, "FAILED")
        self.assertIn("from 0 to 3", (self.folder / "prm-score.4.log").read_text())
        bare = f"'{program.PROGRAM}' docs.jsonl --model '{MODEL}' --shard auto"
        job = self.submit("--array=3", "--output=bare.%a.log", "--open-mode=truncate", "--wrap", bare)
        self.assertEqual(self.wait_for(job, "FAILED")[3][2], "2:0")
        self.assertIn("--num-shards", (self.folder / "bare.3.log").read_text())
        bare += " --log-level error --progress none"
        job = self.submit("--array=1-7:2", "--output=bare.%a.log", "--open-mode=truncate", "--wrap", bare)
        self.wait_for(job, "COMPLETED")
        rows = [program.rows_of((self.folder / f"bare.{task}.log").read_bytes()) for task in (1, 5, 7)]
        self.assertEqual([[row["line"] for row in of_task] for of_task in rows], [[1, 5, 9], [3, 7], [4, 8]])


if __name__ == "__main__":
    sys.argv[1:2] = [os.path.abspath(path) for path in sys.argv[1:2]]  # jobs run in other folders
    program.main()
