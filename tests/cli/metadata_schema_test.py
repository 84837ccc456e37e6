"""Metadata of real runs against data/metadata.schema.json. Needs the program as first argument, and jsonschema."""

import copy
import json
import pathlib
import signal

import jsonschema
import program
from program import DATA, MODEL, ProgramTest, line, run, start

SCHEMA = json.loads((DATA / "metadata.schema.json").read_text())
PAIR = b'{"chosen": "a few words", "rejected": "words few a", "subset": "easy"}\n'
ON_A_GPU_ONLY = {"host.gpu.model", "host.gpu.driver"}


def schemas_within(schema, path=""):
    """Path and schema of every property, however deep; those that have any name are `*`."""
    named = [*schema.get("properties", {}).items(), *schema.get("patternProperties", {}).items()]
    for name, inner in named:
        yield from schemas_of_property(inner, path + ("*" if name.startswith("^") else name))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from schemas_of_property(schema["additionalProperties"], path + "*")


def schemas_of_property(schema, path):
    yield path, schema
    yield from schemas_within(schema, path + ".")


def paths_of(value, schema, path=""):
    """The properties that are there, named as in schemas_within()."""
    for name, inner in value.items() if isinstance(value, dict) else ():
        known = schema.get("properties", {}).get(name)
        yield path + (name if known else "*")
        if known:
            yield from paths_of(inner, known, f"{path}{name}.")
        elif isinstance(schema.get("additionalProperties"), dict):
            yield from paths_of(inner, schema["additionalProperties"], path + "*.")


class MetadataTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.path = self.folder / "metadata.json"

    def validated(self, code):
        metadata = json.loads(self.path.read_text())
        jsonschema.Draft202012Validator(SCHEMA).validate(metadata)
        self.assertEqual(metadata["exit_code"], code)
        return metadata

    def metadata_of(self, *arguments, code=0, **options):
        done = run(*arguments, "--metadata", self.path, **options)
        self.assertEqual(done.returncode, code, done.stderr)
        return self.validated(code)

    def interrupted(self):
        process = start("--metadata", self.path)
        self.addCleanup(process.communicate)
        process.stdin.write(line())
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(60), 130)
        return self.validated(130)


    def metadata_of_a_golden(self):
        golden = self.folder / "golden.jsonl"
        self.assert_exit(run("check", "--update", "--golden", golden, self.write("fixtures.jsonl", line())), 0)
        metadata = json.loads((self.folder / "golden.jsonl.metadata.json").read_text())
        jsonschema.validate(metadata, SCHEMA)
        return metadata


class SchemaTest(MetadataTest):
    def test_the_schema_is_one_and_describes_everything(self):
        jsonschema.Draft202012Validator.check_schema(SCHEMA)
        for path, schema in schemas_within(SCHEMA):
            with self.subTest(path):
                self.assertTrue(schema["description"].endswith("."))
                if "object" in schema["type"]:
                    self.assertIn("additionalProperties", schema)
                    self.assertIsNot(schema["additionalProperties"], True)

    def test_what_the_schema_does_not_know_is_refused(self):
        metadata = self.metadata_of(stdin=line())
        validator = jsonschema.Draft202012Validator(SCHEMA)
        for path in (p for p in paths_of(metadata, SCHEMA) if "*" not in p):
            *parents, name = path.split(".")
            for change in (lambda part, key: part.pop(key), lambda part, key: part.update({key + "_": part[key]})):
                changed = part = copy.deepcopy(metadata)
                for parent in parents:
                    part = part[parent]
                change(part, name)
                self.assertFalse(validator.is_valid(changed), path)

    def test_runs_of_all_kinds_are_as_the_schema_says_and_nothing_in_it_is_unused(self):
        out = self.folder / "out.jsonl"
        docs = self.write("docs.jsonl", line() + b"?\n")
        output = [docs, "--output", out, "--keep", "a,b", "--limit", 5]
        config = MODEL / "config.json"
        found = [
            self.metadata_of(stdin=line("words " * 100), code=0),
            self.metadata_of(stdin=b""),
            self.metadata_of(*output, "--max-errors", 1, code=1),
            self.metadata_of(*output, "--resume", code=3),
            self.metadata_of(*output, "--resume", code=3),
            self.metadata_of("--self-check", "--random-weights", config, "--dtype", "bfloat16", stdin=line()),
            self.metadata_of("--no-prefix-sharing", stdin=line()),
            self.metadata_of("check", "--against", "float32", "--dtype", "int8", self.write("docs.jsonl", line("Fellow citizens of the Senate. " * 60) * 2)),
            self.metadata_of("check", "--against", "float32", self.write("bad.jsonl", b"?\n"), code=4),
            self.metadata_of("pairs", stdin=PAIR),
            self.metadata_of("pairs", stdin=b"?\n", code=3),
            self.metadata_of("pairs", stdin=PAIR + b'{"subset": "hard"}\n', code=3),
            self.metadata_of(self.folder / "none", code=1),
            self.metadata_of("pairs", stdin=PAIR, model=self.folder, code=1),
            self.interrupted(),
            self.metadata_of_a_golden(),
        ]
        seen = {path for metadata in found for path in paths_of(metadata, SCHEMA)}
        self.assertEqual({path for path, _ in schemas_within(SCHEMA)} - seen, ON_A_GPU_ONLY)


class TimesTest(MetadataTest):
    def test_times_and_rates_fit_the_run(self):
        metadata = self.metadata_of("--self-check", "--threads", 1, DATA / "examples" / "docs.jsonl")
        times, throughput, counts = (metadata[name] for name in ("times", "throughput", "counts"))
        self.assertEqual([name for name, seconds in times.items() if seconds <= 0], [])
        self.assertLessEqual(
            times["load_seconds"] + times["self_check_seconds"] + times["scoring_seconds"], metadata["elapsed_seconds"]
        )
        for stage in ("read", "tokenize", "model", "write"):
            self.assertLessEqual(times[stage + "_seconds"], times["scoring_seconds"])
        for name, count in (
            ("forward_rows", throughput["forward_rows"]),
            ("chunks", counts["chunks"]),
            ("tokens", counts["tokens"]),
        ):
            self.assertAlmostEqual(throughput[name + "_per_second"] * times["scoring_seconds"], count, places=3)

    def test_forward_rows_are_those_of_the_plan(self):
        docs = DATA / "examples" / "docs.jsonl"
        plan = json.loads(run("info", "--json", "--plan", docs).stdout)["plan"]
        self.assertEqual(self.metadata_of(docs)["throughput"]["forward_rows"], plan["rows"])
        few = self.write("few.jsonl", b"".join(docs.read_bytes().splitlines(True)[:2]))
        plan = json.loads(run("info", "--json", "--plan", few).stdout)["plan"]
        alone = self.metadata_of("--no-prefix-sharing", few)["throughput"]["forward_rows"]
        self.assertEqual(alone, plan["rows_without_sharing"])

    def test_what_an_earlier_run_answered_is_in_the_counts_and_in_no_rate(self):
        docs = self.write("docs.jsonl", 3 * line("words " * 100) + b"?\n" + line("words " * 100))
        output = [docs, "--output", self.folder / "out.jsonl"]
        self.metadata_of(*output, "--max-errors", 1, code=1)
        metadata = self.metadata_of(*output, "--resume", code=3)
        times, throughput, counts = (metadata[name] for name in ("times", "throughput", "counts"))
        self.assertEqual(throughput["resumed_rows"], 4)
        self.assertEqual((counts["scored_rows"], counts["bad_rows"]), (4, 1))
        for name in ("chunks", "tokens"):
            seconds = times["scoring_seconds"]
            self.assertAlmostEqual(throughput[name + "_per_second"] * seconds, counts[name] / 4, places=3)

    def test_waiting_for_the_input_is_reading(self):
        slow = self.folder / "metadata.json"
        process = start("--metadata", slow)
        process.stdin.write(line())
        process.stdin.flush()
        process.stdout.readline()
        with self.assertRaises(program.subprocess.TimeoutExpired):
            process.wait(1)
        process.communicate()
        times = self.validated(0)["times"]
        self.assertGreater(times["read_seconds"], 1)
        self.assertGreater(times["scoring_seconds"], 1)

    def test_the_host_is_this_machine(self):
        host = self.metadata_of(stdin=line())["host"]
        system = program.os.uname()
        self.assertEqual(host["kernel"], f"{system.sysname} {system.release} {system.machine}")
        self.assertEqual(host["processors"], len(program.os.sched_getaffinity(0)))
        self.assertIn(host["cpu"], pathlib.Path("/proc/cpuinfo").read_text())
        self.assertIn(f'"{host["os"]}"', pathlib.Path("/etc/os-release").read_text())
        self.assertIn(host["instruction_set"], ("DEFAULT", "AVX2", "AVX512"))
        limited = self.metadata_of(stdin=line(), env={"ATEN_CPU_CAPABILITY": "default"})
        self.assertEqual(limited["host"]["instruction_set"], "DEFAULT")


if __name__ == "__main__":
    program.main()
