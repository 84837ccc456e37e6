"""scripts/ray_score.py on a real Ray cluster of this machine: a head without processors, and nodes with one each. Rows
are, byte for byte, those of a single run of prm-score, whatever is killed meanwhile."""

# ruff: noqa: E402
import contextlib
import gzip
import json
import logging
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import unittest.mock

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
sys.path[:0] = [str(REPOSITORY / "tests" / "cli"), str(REPOSITORY / "scripts")]

import program
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from moto.server import ThreadedMotoServer
from output_test import documents
from program import run
from pyarrow import json as pajson
from ray.cluster_utils import Cluster

SCRIPT = REPOSITORY / "scripts" / "ray_score.py"
STUB = HERE / "stub_scorer.py"
MEBIBYTE = 1 << 20
NODE = {"num_cpus": 1, "object_store_memory": 100 * MEBIBYTE}
PATIENCE_S = 240


def environment(**variables):
    quiet = {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    without_cluster = {name: value for name, value in program.environment().items() if name != "RAY_ADDRESS"}
    return {**without_cluster, **quiet, **variables}


def new_cluster():
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    return Cluster(initialize_head=True, head_node_args={**NODE, "num_cpus": 0})


def processes(*words):
    """Ids of the processes whose command line holds all of these words."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            command = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if all(word in command for word in words):
                found.append(int(entry.parent.name))
    return found


def place_in(pid, path):
    """Where a process is in a file; None if it has not opened it."""
    with contextlib.suppress(OSError):
        for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            if os.path.realpath(fd) == str(path):
                return int(pathlib.Path(f"/proc/{pid}/fdinfo/{fd.name}").read_text().split()[1])
    return None


class RayTest(program.ProgramTest):
    """On a cluster that tests share and leave as it was, unless they have one of their own."""

    shared_cluster = None

    @property
    def cluster(self):
        if RayTest.shared_cluster is None:
            RayTest.shared_cluster = new_cluster()
            unittest.addModuleCleanup(RayTest.shared_cluster.shutdown)
            for _ in range(2):
                RayTest.shared_cluster.add_node(**NODE)
        return RayTest.shared_cluster

    def cluster_of(self, *nodes):
        cluster = new_cluster()
        self.addCleanup(cluster.shutdown)
        for node in nodes:
            cluster.add_node(**NODE, **node)
        return cluster

    def command(self, *arguments, options=(), scorer=None, cluster=None):
        scorer = scorer or program.PROGRAM
        given = [str(word) for word in arguments]
        if "--address" not in given:
            given += ["--address", (cluster or self.cluster).address]
        options = [] if scorer == STUB and not options else ["--", *map(str, options)]
        return [sys.executable, "-B", str(SCRIPT), *given, "--prm-score", str(scorer), *options]

    def score(self, *arguments, **how):
        return subprocess.run(
            self.command(*arguments, **how), env=environment(), capture_output=True, timeout=PATIENCE_S
        )

    def start(self, *arguments, **how):
        """Running; its messages are in the file `said`."""
        with (self.folder / "said").open("wb") as said:
            process = subprocess.Popen(self.command(*arguments, **how), env=environment(), stderr=said)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def assert_done(self, done, code):
        self.assertEqual(done.returncode, code, done.stderr.decode())

    def assert_refused(self, done, message, code=1):
        self.assert_done(done, code)
        said = done.stderr.decode()
        self.assertIn(message, said)
        self.assertNotIn("Traceback", said)

    def names(self):
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())

    def parts(self, folder="out.jsonl.parts"):
        return sorted((self.folder / folder).glob("part-*"))

    def wait_until(self, condition, process):
        end = time.monotonic() + PATIENCE_S
        while not (found := condition()):
            self.assertIsNone(process.poll(), (self.folder / "said").read_text())
            self.assertLess(time.monotonic(), end, (self.folder / "said").read_text())
            time.sleep(0.05)
        return found


class RowsTest(RayTest):
    def test_rows_are_those_of_a_single_run(self):
        hard = documents(150)
        files = [
            self.write("a.jsonl", b"\xef\xbb\xbf" + hard + b"\xff\xfe\n" + b'{"text":"' + b"y" * 3000 + b'"}\n'),
            self.write("b \xe9.gz", gzip.compress(hard)),
            self.write("empty.jsonl", b""),
            self.write("c.jsonl", b'\n{"id":[1,2],"text":"no line feed"}'),
        ]
        options = ("--spans", "--keep-all", "--max-line-bytes", "2000", "--threads", "1")
        expected = run(*files, *options)
        out = self.folder / "out.jsonl"
        done = self.score(*files, "--output", out, "--block-bytes", "2K", options=options)
        self.assert_done(done, 3)
        self.assertEqual(out.read_bytes(), expected.stdout)
        self.assertEqual(
            [name for name in self.names() if name.startswith("out")], ["out.jsonl", "out.jsonl.parts/manifest.json"]
        )
        num_bad = sum(json.loads(row)["reward"] is None for row in expected.stdout.splitlines())
        self.assertIn(f"({num_bad} bad) in {out}".encode(), done.stderr)
        # Again: complete, nothing is read; and what is there is not touched without being asked.
        for file in files:
            file.write_bytes(b"x" * file.stat().st_size)
        again = self.score(*files, "--output", out, "--block-bytes", "2K", "--resume", options=options)
        self.assert_done(again, 3)
        self.assertIn(b"already complete", again.stderr)
        self.assert_refused(self.score(*files, "--output", out, options=options), "already there; give --resume")
        self.assertEqual(out.read_bytes(), expected.stdout)

    def test_parquet_in_and_out_by_uri(self):
        lines = [json.loads(line) for line in documents(60).splitlines() if line.strip()]
        rows = [{"id": str(fields["id"]), "body": fields.get("text")} for fields in lines]
        same = self.write("same.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())
        table = pajson.read_json(same)
        (self.folder / "in").mkdir()
        pq.write_table(table, self.folder / "in/a.parquet", row_group_size=7)
        (self.folder / "in/ignored.txt").write_text("x")
        options = ("--text-field", "body", "--threads", "1")
        uri, out = (self.folder / "in").as_uri(), (self.folder / "out").as_uri() + "/"
        done = self.score(uri, "--output", out, "--format", "parquet", "--block-bytes", "1K", options=options)
        self.assert_done(done, 3)
        self.assertGreater(len(self.parts("out")), 3)
        found = pq.read_table(self.folder / "out").to_pylist()  # those with _ in front are no data
        expected = [json.loads(line) for line in run(same, *options).stdout.splitlines()]
        self.assertEqual([row["line"] for row in found], list(range(1, len(lines) + 1)))
        for name in ("line", "id", "reward", "num_tokens", "error"):
            self.assertEqual([row[name] for row in found], [row.get(name) for row in expected])
        self.assertTrue((self.folder / "out/_SUCCESS").exists())
        # One file of rows as text, and one of Parquet.
        for name in ("out.jsonl", "out.parquet"):
            done = self.score(
                self.folder / "in/a.parquet", "--output", self.folder / name, "--errors-ok", options=options
            )
            self.assert_done(done, 0)
        self.assertEqual((self.folder / "out.jsonl").read_bytes(), run(same, *options).stdout)
        self.assertEqual(pq.read_table(self.folder / "out.parquet").to_pylist(), found)


class ObjectStoreTest(RayTest):
    """With an S3 server of this machine."""

    def setUp(self):
        super().setUp()
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        self.addCleanup(server.stop)
        self.server = "{}:{}".format(*server.get_host_and_port())
        keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
        nodes = unittest.mock.patch.dict(os.environ, {**keys, "AWS_ENDPOINT_URL": f"http://{self.server}"})
        self.enterContext(nodes)
        self.own_cluster = self.cluster_of({}, {})

    def test_from_bucket_to_bucket(self):
        store = pafs.S3FileSystem(endpoint_override=self.server, scheme="http", allow_bucket_creation=True)
        store.create_dir("bucket")
        local = []
        for name in ("a.jsonl", "b.jsonl"):
            local.append(self.write(name, documents(40)))
            with store.open_output_stream(f"bucket/docs/{name}") as stream:
                stream.write(documents(40))
        expected = run(*local, "--threads", "1").stdout.replace(f"{self.folder}/".encode(), b"s3://bucket/docs/")
        out = "s3://bucket/out.jsonl"
        how = {"options": ("--threads", "1"), "cluster": self.own_cluster}
        done = self.score("s3://bucket/docs/", "--output", out, "--block-bytes", "2K", **how)
        self.assert_done(done, 3)
        with store.open_input_file("bucket/out.jsonl") as stream:
            self.assertEqual(stream.read(), expected)
        found = store.get_file_info(pafs.FileSelector("bucket", recursive=True))
        files = sorted(entry.path for entry in found if entry.type == pafs.FileType.File)
        inputs = ["bucket/docs/a.jsonl", "bucket/docs/b.jsonl"]
        self.assertEqual(files, [*inputs, "bucket/out.jsonl", "bucket/out.jsonl.parts/manifest.json"])
        self.assert_refused(self.score("s3://bucket/docs/", "--output", out), f"{out}: already there")
        self.assert_refused(
            self.score("s3://other/docs/", "--output", out, "--overwrite"), "s3://other/docs/: cannot be"
        )


class KillsTest(RayTest):
    def setUp(self):
        super().setUp()
        self.docs = self.write("docs.jsonl", documents(1500))
        self.out = self.folder / "out.jsonl"
        self.arguments = (self.docs, "--output", self.out, "--block-bytes", "4K")
        self.options = ("--threads", "1")

    def assert_rows(self):
        self.assertEqual(self.out.read_bytes(), run(self.docs, *self.options).stdout)
        self.assertEqual(self.names(), ["docs.jsonl", "out.jsonl", "out.jsonl.parts/manifest.json", "said"])

    def kill_one(self, *words):
        found = processes(*words)
        self.assertTrue(found, words)
        os.kill(found[0], signal.SIGKILL)

    def test_process_worker_and_node(self):
        doomed = self.cluster.add_node(**NODE)  # one more than the others have
        process = self.start(*self.arguments, "--actors", "3", options=self.options)
        self.wait_until(lambda: len(self.parts()) >= 3, process)
        self.kill_one(program.PROGRAM, "--errors-ok")
        told = "prm-score: killed by SIGKILL, without a message; another one takes its place"
        self.wait_until(lambda: told in (self.folder / "said").read_text(), process)
        self.wait_until(lambda: len(self.parts()) >= 8, process)
        self.kill_one("ray::MapWorker")
        self.wait_until(lambda: len(self.parts()) >= 13, process)
        self.cluster.remove_node(doomed, allow_graceful=False)
        self.assertIsNone(process.poll())
        self.assertEqual(process.wait(PATIENCE_S), 3, (self.folder / "said").read_text())
        self.assert_rows()

    def test_a_signal_leaves_what_can_be_resumed(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            process = self.start(*self.arguments, "--overwrite", options=self.options)
            said = self.folder / "said"  # of this run, whose first words come when it has begun anew
            self.wait_until(lambda: "up to" in said.read_text() and len(self.parts()) >= 3, process)
            process.send_signal(number)
            self.assertEqual(process.wait(PATIENCE_S), 128 + number, (self.folder / "said").read_text())
            self.assertIn("ray_score: interrupted: --resume goes on behind the finished blocks", said.read_text())
            self.assertFalse(self.out.exists())
        process = self.start(*self.arguments, "--resume", options=self.options)
        self.assertEqual(process.wait(PATIENCE_S), 3, (self.folder / "said").read_text())
        self.assert_rows()

    def test_all_of_it_and_resume(self):
        process = self.start(*self.arguments, options=self.options)
        manifest = self.folder / "out.jsonl.parts/manifest.json"
        self.wait_until(lambda: manifest.exists() and len(json.loads(manifest.read_bytes())["blocks"]) >= 4, process)
        process.kill()
        process.wait()
        blocks = json.loads(manifest.read_bytes())["blocks"]
        kept = {part.name: part.stat().st_mtime_ns for part in self.parts() if part.suffix == ".jsonl"}
        self.check_what_is_not_resumed()
        process = self.start(*self.arguments, "--resume", options=self.options)
        self.wait_until(lambda: len(self.parts()) > len(blocks) + 2, process)
        known = [f"part-00000-{block[1]:07}.jsonl" for block in blocks]
        for name in known:  # not written again
            self.assertEqual((self.folder / "out.jsonl.parts" / name).stat().st_mtime_ns, kept[name])
        self.assertEqual(process.wait(PATIENCE_S), 3, (self.folder / "said").read_text())
        self.assertIn(f"goes on after {len(blocks)} blocks", (self.folder / "said").read_text())
        self.assert_rows()

    def check_what_is_not_resumed(self):
        before = {path: path.read_bytes() for path in (self.folder / "out.jsonl.parts").iterdir()}
        resumed = (*self.arguments, "--resume")
        self.assert_refused(
            self.score(*resumed, options=(*self.options, "--chunk-size", "32")), "--chunk-size: 64 there, 32 now"
        )
        self.assert_refused(
            self.score(self.docs, "--output", self.out, "--resume", options=self.options), "--block-bytes: 4096 there"
        )
        whole = self.docs.read_bytes()
        self.docs.write_bytes(whole + b"\n")
        self.assert_refused(self.score(*resumed, options=self.options), "docs.jsonl: ")
        self.docs.write_bytes(whole.replace(b"committee", b"committed", 1))
        self.assert_refused(self.score(*resumed, options=self.options), "docs.jsonl: lines 1 to ")
        self.docs.write_bytes(whole)
        self.assertEqual({path: path.read_bytes() for path in (self.folder / "out.jsonl.parts").iterdir()}, before)

    def test_a_file_that_is_there_twice_is_compared_twice(self):
        docs = self.write("docs.jsonl", b'{"text":"a"}\n' * 30)
        arguments = (docs, docs, "--output", self.out, "--block-bytes", "130")
        self.assert_done(self.score(*arguments, scorer=STUB), 0)
        manifest = self.folder / "out.jsonl.parts/manifest.json"
        state = json.loads(manifest.read_bytes())
        self.assertEqual([block[:2] for block in state["blocks"]], [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]])
        state |= {"complete": False, "blocks": state["blocks"][:4]}  # all of the first, the beginning of the second
        manifest.write_text(json.dumps(state))
        self.out.unlink()
        docs.write_bytes(docs.read_bytes()[:-13] + b'{"text":"b"}\n')
        self.assert_refused(self.score(*arguments, "--resume", scorer=STUB), "docs.jsonl: lines 21 to 30 are not those")

    def test_a_line_that_ends_every_process_stops_the_run(self):
        docs = self.write("docs.jsonl", b"{}\n" * 30 + b"poison\n" + b"{}\n" * 30)
        here = socket.gethostname()
        killed = f"docs.jsonl: lines 21 to 39: ended 3 processes, the last one so: {here}: prm-score: killed by SIGKILL"
        stopped = f"{here}: prm-score: exit code 1\n  prm-score: out of memory"
        for mode, message in (("dies", killed), ("stops", stopped)):
            done = self.score(
                docs, "--output", self.out, "--overwrite", "--block-bytes", "60", scorer=STUB, options=("--stub", mode)
            )
            self.assert_refused(done, message)
            self.assertFalse(self.out.exists())


class BackpressureTest(RayTest):
    def test_reading_waits_for_scoring(self):
        docs = self.write("docs.jsonl", (b'{"text":"' + b"x" * 100_000 + b'"}\n') * 2000)
        process = self.start(docs, "--output", self.folder / "out.jsonl", scorer=STUB, options=("--stub", "slow"))

        def place():
            return max((p for p in (place_in(pid, docs) for pid in processes("ray::")) if p is not None), default=0)

        self.wait_until(lambda: len(self.parts()) >= 2, process)
        time.sleep(5)
        self.assertLess(place(), 64 * MEBIBYTE)
        before = place()
        self.wait_until(lambda: len(self.parts()) >= 12, process)
        self.assertGreater(place(), before)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(PATIENCE_S), 130)
        self.assertIn("interrupted: --resume goes on", (self.folder / "said").read_text())


class BadInputTest(RayTest):
    def setUp(self):
        super().setUp()
        self.docs = self.write("docs.jsonl", b'{"text":"a"}\n')
        self.output = ("--output", self.folder / "out.jsonl")

    def assert_nothing_left(self, *but):
        self.assertEqual(self.names(), sorted(["docs.jsonl", *but]))

    def test_input_and_output(self):
        pq.write_table(pajson.read_json(self.docs).rename_columns(["body"]), self.folder / "a.parquet")
        (self.folder / "empty").mkdir()
        for arguments, message in (
            (("/no/such",), "/no/such: cannot be read: No such file"),
            (("-",), "-: expected files, found standard input"),
            ((self.folder / "empty",), "expected files that end with .jsonl or .parquet, found none"),
            ((self.folder / "a.parquet",), 'a.parquet: expected a column "text", found "body"'),
            (("gopher://x/y",), "gopher://x/y: cannot be opened: "),
            ((self.docs, "--output", "/proc/no/out.jsonl"), "/proc/no/out.jsonl.parts: cannot be made: "),
            ((self.docs, "--output", f"{self.docs}/"), "docs.jsonl/: expected a folder, found a file"),
            (("/dev/null",), "/dev/null: expected a file or a folder, found something else"),
            ((self.docs, "--overwrite", "--output", self.docs), "would be written over "),
            ((self.docs, "--overwrite", "--output", self.folder), "would be written over "),
        ):
            with self.subTest(message):
                self.assert_refused(self.score(*self.output, *arguments), message)
                self.assert_nothing_left("a.parquet")

    def test_usage(self):
        for arguments, options, message in (
            ((), ("--output", "x"), "--output: expected no such option behind --"),
            ((), ("-ox",), "-ox: expected no such option behind --"),
            (("--resume", "--overwrite"), (), "expected one of them, found both"),
            (("--actors", "0"), (), "expected a whole number of 1 or more, found '0'"),
            (("--cpus-per-actor", "nan"), (), "expected a number above 0, found 'nan'"),
            (("--block-bytes", "1X"), (), "expected a size such as 65536, 64K or 4M, found '1X'"),
        ):
            with self.subTest(message):
                self.assert_refused(self.score(self.docs, *self.output, *arguments, options=options), message, code=2)

    def test_cluster(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            nobody = f"127.0.0.1:{unused.getsockname()[1]}"
            for arguments, options, message in (
                (("--address", nobody), (), f"--address {nobody}: no cluster answers: "),
                (("--address", "nonsense"), (), "--address: expected HOST:PORT, auto or local, found 'nonsense'"),
                (("--gpus-per-actor", "1"), (), "expected a node with 1 CPUs and 1 GPUs for an actor, found 3 nodes"),
                ((), ("--model", "/no/such"), "/no/such"),
            ):
                with self.subTest(message):
                    self.assert_refused(self.score(self.docs, *self.output, *arguments, options=options), message)
                    self.assert_nothing_left()
            for options, message in (
                (("--chunk-sise", "1"), "exit code 2\n  prm-score: "),
                ((str(self.docs),), "--fingerprint: expected no files"),
            ):
                self.assert_refused(self.score(self.docs, *self.output, options=options), message, code=2)
                self.assert_nothing_left()
            self.assert_refused(
                self.score(self.docs, *self.output, scorer="/no/such"), "/no/such: cannot be run: No such file"
            )

    def test_options_in_the_environment_are_told(self):
        command = [*self.command(self.docs, *self.output, scorer=STUB), "--cpus-per-actor", "7"]
        done = subprocess.run(command, env=environment(PRM_SCORE_MODEL="x", PRM_SCORE_TEST_X="x"), capture_output=True)
        self.assert_refused(done, "ray_score: warning: PRM_SCORE_MODEL: not used; options of prm-score follow --\n")

    def test_what_answers_is_no_cluster(self):
        with socket.socket() as other:
            other.bind(("", 0))
            other.listen()
            address = f"127.0.0.1:{other.getsockname()[1]}"
            done = self.score(self.docs, *self.output, "--address", address)
        self.assert_refused(done, f"ray_score: --address {address}: no cluster answers: ")
        self.assert_nothing_left()

    def test_a_cluster_that_is_gone_but_still_named(self):
        (self.folder / "ray").mkdir()
        self.write("ray/ray_current_cluster", b"127.0.0.1:1\n")
        command = [sys.executable, "-B", str(SCRIPT), str(self.docs), *map(str, self.output)]
        auto = ("--address", "auto")  # with a note alone it takes any cluster of this machine
        noted = "ray start's note of a cluster here (--address local starts a new one)"
        for variables, arguments, message in (
            ({"RAY_ADDRESS": "127.0.0.1:1"}, (), "RAY_ADDRESS 127.0.0.1:1: no cluster answers: "),
            ({"RAY_ADDRESS": "127.0.0.1:1"}, auto, "RAY_ADDRESS 127.0.0.1:1: no cluster answers: "),
            ({"RAY_ADDRESS": "ray://127.0.0.1:1"}, (), "RAY_ADDRESS: expected HOST:PORT, auto or local, found 'ray://"),
            ({"RAY_TMPDIR": str(self.folder)}, (), noted),
        ):
            with self.subTest(message, arguments=arguments):
                env = environment(**variables)
                done = subprocess.run([*command, *arguments], env=env, capture_output=True, timeout=30)
                self.assert_refused(done, message)
                self.assert_nothing_left("ray/ray_current_cluster")

    def test_no_cluster_at_all(self):
        done = self.score(
            self.docs, *self.output, "--address", "local", "--progress", "none", options=("--threads", "1")
        )
        self.assert_done(done, 0)
        self.assertEqual((self.folder / "out.jsonl").read_bytes(), run(self.docs, "--threads", "1").stdout)


class NodesTest(RayTest):
    """Clusters of nodes that are not alike."""

    def test_workers_that_differ_are_refused(self):
        docs = self.write("docs.jsonl", b'{"text":"a"}\n')
        other = self.folder / "judge"
        other.mkdir()
        for file in program.MODEL.iterdir():
            if file.is_file():
                (other / file.name).write_bytes(file.read_bytes())
        config = json.loads((other / "config.json").read_text())
        (other / "config.json").write_text(json.dumps(config))
        wrapper = self.write("wrapper", b'#!/bin/sh\nexec "$PROGRAM" --model "$MODEL" "$@"\n')
        wrapper.chmod(0o755)
        alike = {"PROGRAM": program.PROGRAM, "MODEL": str(program.MODEL)}
        cluster = self.cluster_of({"env_vars": alike}, {"env_vars": alike | {"MODEL": str(other)}})
        out = self.folder / "out.jsonl"
        done = self.score(docs, "--output", out, scorer=wrapper, cluster=cluster)
        self.assert_refused(done, "nodes differ: SHA-256 of config.json: ")
        self.assertFalse(out.exists() or (self.folder / "out.jsonl.parts").exists())

    def test_another_version_is_refused_and_another_machine_told(self):
        docs = self.write("docs.jsonl", b'{"text":"a"}\n')
        cluster = self.cluster_of({"env_vars": {"STUB_CPU": "one"}}, {"env_vars": {"STUB_CPU": "two"}})
        done = self.score(docs, "--output", self.folder / "a.jsonl", scorer=STUB, cluster=cluster)
        self.assert_done(done, 0)
        self.assertIn(b"warning: the last digits of rewards may depend on the node: cpu: ", done.stderr)
        cluster.add_node(**NODE, env_vars={"STUB_VERSION": "2"})
        done = self.score(docs, "--output", self.folder / "b.jsonl", scorer=STUB, cluster=cluster)
        self.assert_refused(done, "nodes differ: prm_score: ")

    def test_each_actor_gets_its_gpus(self):
        docs = self.write("docs.jsonl", b"{}\n" * 60)
        cluster = self.cluster_of({"num_gpus": 2} | {"resources": {}})
        cluster.add_node(**{**NODE, "num_cpus": 2}, num_gpus=2)
        out = self.folder / "out.jsonl"
        arguments = ("--gpus-per-actor", "1", "--cpus-per-actor", "0.5", "--block-bytes", "9")
        done = self.score(docs, "--output", out, *arguments, scorer=STUB, options=("--stub", "slow"), cluster=cluster)
        self.assert_done(done, 0)
        self.assertIn(b"up to 4 actors", done.stderr)
        self.assertEqual({json.loads(row)["id"] for row in out.read_bytes().splitlines()}, {"0", "1"})


if __name__ == "__main__":
    program.main()
