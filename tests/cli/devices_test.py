"""--device with several names: a replica each, the same bytes as from one."""

import json
import pathlib
import random
import time
import unittest

import program

WORDS = "the cat sat on a mat and looked at rain that fell from grey clouds over hills".split()


def documents(number, seed, longest=900):
    generator = random.Random(seed)
    for i in range(number):
        if generator.random() < 0.1:
            yield generator.choice([b"{not json\n", b"\n", b'{"text":""}\n', b'{"no":1}\n'])
        else:
            length = int(longest ** generator.random())
            yield program.line(" ".join(generator.choices(WORDS, k=length)), id=i)


def proportional_set_size(pid):
    """Bytes that the process takes; pages that several processes share count in parts."""
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return 1024 * sum(int(text.split()[1]) for text in rollup.splitlines() if text.startswith("Pss:"))


class DevicesTest(program.ProgramTest):
    def rows(self, *arguments, **options):
        process = program.run(*arguments, **options)
        self.assertIn(process.returncode, (0, 3), process.stderr.decode())
        return process.stdout

    def test_any_number_of_replicas_gives_the_bytes_of_one(self):
        for seed in range(3):
            lines = b"".join(documents(120, seed))
            one = self.rows("--device", "cpu", "--threads", 1, "--spans", stdin=lines)
            for num_replicas, threads, steps in ((2, 2, 2048), (3, 2, 300), (5, 9, 64)):
                with self.subTest(seed=seed, num_replicas=num_replicas):
                    devices = ",".join(["cpu"] * num_replicas)
                    several = self.rows("--device", devices, "--threads", threads, "--max-batch-tokens", steps, "--spans",
                                        stdin=lines)
                    self.assertEqual(several, one)

    def test_also_with_weights_that_are_converted_in_every_step_and_with_each_prompt_on_its_own(self):
        lines = b"".join(documents(25, 7, longest=200))
        for option in (("--weight-memory", 1), ("--no-prefix-sharing",), ("--dtype", "bfloat16"), ("--dtype", "int8")):
            with self.subTest(option=option):
                one = self.rows("--device", "cpu", "--threads", 1, *option, stdin=lines)
                self.assertEqual(self.rows("--device", "cpu,cpu", "--threads", 2, *option, stdin=lines), one)

    def test_rows_do_not_wait_for_the_next_line(self):
        process = program.start("--device", "cpu,cpu")
        for i in range(1, 6):
            process.stdin.write(program.line(id=i))
            process.stdin.flush()
            self.assertEqual(json.loads(process.stdout.readline())["id"], i)
        process.communicate(timeout=program.TIMEOUT_S)
        self.assertEqual(process.returncode, 0)

    def test_metadata_say_how_many(self):
        file = self.folder / "m.json"
        self.rows("--device", "cpu,cpu,cpu", "--threads", 7, "--metadata", file, stdin=program.line())
        metadata = json.loads(file.read_text())
        found = {name: metadata["engine"][name] for name in ("device", "replicas", "threads", "threads_per_replica")}
        self.assertEqual(found, {"device": "cpu,cpu,cpu", "replicas": 3, "threads": 7, "threads_per_replica": 2})
        self.assertEqual(metadata["replica_failures"], [])

    def test_an_output_is_resumed_with_another_number_of_replicas(self):
        lines = b"".join(documents(60, 3))
        whole, output = self.folder / "whole", self.folder / "rows"
        self.rows("--device", "cpu", "--threads", 1, "--output", whole, stdin=lines)
        stopped = program.run("--device", "cpu,cpu", "--threads", 2, "--output", output, "--max-errors", 2, stdin=lines)
        self.assertEqual(stopped.returncode, 1, stopped.stderr)
        resumed = program.run("--device", "cpu,cpu,cpu", "--threads", 3, "--output", output, "--resume", stdin=lines)
        self.assertEqual(resumed.returncode, 3, resumed.stderr)
        self.assertNotIn(b"digits", resumed.stderr)  # as many threads per replica: nothing can move
        self.assertEqual(output.read_bytes(), whole.read_bytes())

    def test_replicas_share_the_weights(self):
        config = json.loads((program.MODEL / "config.json").read_text())
        del config["layer_types"]
        config.update(hidden_size=1024, intermediate_size=4096, num_hidden_layers=8, num_attention_heads=16,
                      num_key_value_heads=4, head_dim=64)
        config = self.write("config.json", json.dumps(config).encode())
        weights = 8 * (1024 * 1024 * 2.5 + 3 * 1024 * 4096) * 4  # 490 MB
        sizes = []
        for devices in ("cpu", "cpu,cpu,cpu"):
            process = program.start("--device", devices, "--threads", 3, "--random-weights", config)
            process.stdin.write(program.line(id=1) * 6)
            process.stdin.flush()
            for _ in range(6):
                self.assertIn(b"reward", process.stdout.readline())
            sizes.append(proportional_set_size(process.pid))
            process.communicate(timeout=program.TIMEOUT_S)
            self.assertEqual(process.returncode, 0)
        self.assertGreater(sizes[0], weights)
        self.assertLess(sizes[1] - sizes[0], weights / 2)

    def test_a_stop_ends_all(self):
        file = self.write("docs.jsonl", b"".join(documents(3000, 1)))
        for device in ("cpu,cpu", "cpu,cpu,cpu,cpu"):
            process = program.start("--device", device, file)
            process.stdout.readline()
            began = time.monotonic()
            process.terminate()
            rest, errors = process.communicate(timeout=program.TIMEOUT_S)
            self.assertEqual(process.returncode, 143, errors)
            self.assertTrue(rest.endswith(b"\n") or not rest)
            self.assertLess(time.monotonic() - began, 60)

    def test_what_is_no_device_names_what_is(self):
        self.assert_exit(program.run("--device", "cpu,tpu"), 2, 'or several as cuda:0,cuda:1 or cpu,cpu, got "cpu,tpu"')
        missing = program.run("--device", "cpu,cuda:97", stdin=program.line())
        self.assertEqual(missing.returncode, 1)
        self.assertIn(b"--device cpu,cuda:97: ", missing.stderr)


if __name__ == "__main__":
    program.main()
