"""The Python module prm_score, as installed beside the program. Needs both, and the sources' data/examples."""

import inspect
import json
import os
import pathlib
import re
import signal
import struct
import subprocess
import sys
import threading
import time
import unittest

import prm_score

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "data/examples/docs.jsonl"
DOCUMENTS = [json.loads(line) for line in EXAMPLES.read_text().splitlines()]
TIMEOUT_S = 600
BAD_LINES = ['{"text":""}', "{}", '{"text":null}', '{"text":true}', '{"text":1.5}', '{"text":[]}', '{"text":{}}']


def rows_of(*arguments, lines=None):
    """What the program says, with its JSON numbers."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PRM_SCORE_")}
    done = subprocess.run(
        ["prm-score", "--progress=none", "--log-level=error", *map(str, arguments)],
        env=env,
        input="".join(f"{line}\n" for line in lines) if lines else None,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode in (0, 3), done.stderr
    return [json.loads(row) for row in done.stdout.splitlines()]


def bits_of(numbers):
    """Of float32 numbers; rows have the shortest digits of theirs."""
    return [None if number is None else struct.pack("<f", number) for number in numbers]


def run_python(code):
    """The finished process of another Python."""
    return subprocess.run(
        [sys.executable, "-c", code, str(EXAMPLES)], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


class ModuleTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scorer = prm_score.Scorer()

    def assert_rows(self, results, rows):
        self.assertEqual(len(results), len(rows))
        for result, row in zip(results, rows, strict=True):
            self.assertEqual(result.id, row.get("id"))
            self.assertEqual(result.reward, row["reward"])  # the same double
            self.assertEqual(result.error, row.get("error"))
            self.assertEqual(result.num_tokens, row.get("num_tokens", 0))
            self.assertEqual(result.num_chunks, row.get("num_chunks", 0))
            self.assertEqual(bits_of(result.log_odds), bits_of(row.get("log_odds", [])))
            self.assertEqual(result.warnings, row.get("warnings", []))
            spans = [
                {"tokens": list(span.tokens), "chars": list(span.chars), "bytes": list(span.bytes)}
                for span in result.spans
            ]
            self.assertEqual(spans, row.get("spans", []))


class SameBitsTest(ModuleTest):
    def test_as_the_program(self):
        self.assert_rows(self.scorer.score(DOCUMENTS), rows_of(EXAMPLES))

    def test_with_every_option_that_moves_the_score(self):
        lines = [
            json.dumps({"key": i, "before": "It was said: ", "body": document["text"] + " é <|endoftext|>"})
            for i, document in enumerate(DOCUMENTS[:4])
        ]
        for options in (
            {"chunk_size": 32, "stride": 20, "spans": True},
            {"first_chunk": "skip"},
            {"last_chunk": "drop"},
            {"last_chunk": "weight"},
            {"max_context": 64},
            {"join": "tokens"},
            {"labels": "B,A"},
            {"special_tokens": "text"},
            {"dtype": "bfloat16"},
            {"no_prefix_sharing": True},
            {"max_batch_tokens": 100, "threads": 1, "self_check": True},
            {"weight_memory": "1"},
            {"weight_memory": 1, "labels": ("B", "A")},
            {"device": "cpu,cpu", "threads": 2},
        ):
            with self.subTest(options):
                fields = {"text_field": "body", "id_field": "key", "context_field": "before"}
                scorer = prm_score.Scorer(**fields, **options)
                texts = {name: ",".join(v) if isinstance(v, tuple) else v for name, v in {**fields, **options}.items()}
                flags = [
                    f"--{name.replace('_', '-')}={str(value).lower() if value is True else value}"
                    for name, value in texts.items()
                ]
                self.assert_rows(scorer.score([json.loads(line) for line in lines]), rows_of(*flags, lines=lines))

    def test_texts_are_documents_too(self):
        texts = [document["text"] for document in DOCUMENTS]
        self.assertEqual(
            [result.reward for result in self.scorer.score(texts)], [row["reward"] for row in rows_of(EXAMPLES)]
        )

    def test_bad_documents_say_what_rows_say(self):
        lines = [*BAD_LINES, '{"id":[7],"text":"good"}']
        self.assert_rows(self.scorer.score([json.loads(line) for line in lines]), rows_of(lines=lines))

    def test_a_checkpoint_of_ones_own_is_named_as_on_the_command_line(self):
        judge = pathlib.Path(sys.prefix) / "share/prm_score/tiny-judge"
        for model in (judge, str(judge)):
            self.assert_rows(prm_score.Scorer(model).score(DOCUMENTS[:1]), rows_of("--limit=1", EXAMPLES))


class OptionsTest(unittest.TestCase):
    def test_are_the_programs_with_its_defaults(self):
        helped = subprocess.run(["prm-score", "--help"], capture_output=True, text=True, check=True).stdout
        flags = set(re.findall(r"^  --([a-z-]+)", helped, re.MULTILINE))
        described = r"^  --([a-z-]+) .*(?:\n {20,}.*)?\(default: ([^()]*)\)$"  # a long name has a line of its own
        defaults = dict(re.findall(described, helped, re.MULTILINE))
        for name, parameter in inspect.signature(prm_score.Scorer).parameters.items():
            flag = name.replace("_", "-")
            self.assertIn(flag, flags)
            if parameter.default not in (None, False):
                self.assertEqual(str(parameter.default), defaults[flag])

    def test_wrong_values_are_named(self):
        for options, message in (
            ({"chunk_size": 0}, 'chunk_size: expected an integer >= 1, got "0"'),
            ({"stride": 65}, "stride: expected at most the chunk size, 64, got 65"),
            ({"join": "both"}, 'join: expected text or tokens, got "both"'),
            ({"labels": "A"}, "labels: expected two different labels"),
            ({"labels": ("A", "A")}, "labels: expected two different labels"),
            ({"labels": ("A", "B", "C")}, "labels: expected two different labels without commas, got ('A', 'B', 'C')"),
            ({"labels": ["A,B"]}, "labels: expected two different labels without commas, got ['A,B']"),
            ({"weight_memory": 0}, "weight_memory: expected a size"),
            (
                {"device": "tpu"},
                'device: expected auto, cpu, cuda, cuda:N, cuda:all, or several as cuda:0,cuda:1 or cpu,cpu, got "tpu"',
            ),
            ({"model": ""}, "model: expected a folder or a hub name"),
            ({"text_field": "a\0b"}, "text_field: expected no null character"),
            ({"context_field": "text"}, "text_field and context_field: expected different fields, got 'text' for both"),
        ):
            with self.subTest(options), self.assertRaises(ValueError) as raised:
                prm_score.Scorer(**options)
            self.assertTrue(str(raised.exception).startswith(message), raised.exception)

    def test_wrong_types_are_named(self):
        for options, message in (
            ({"chunk_size": "64"}, "chunk_size: expected int, got str"),
            ({"threads": True}, "threads: expected int, got bool"),
            ({"spans": 1}, "spans: expected bool, got int"),
            ({"join": 3}, "join: expected str, got int"),
            ({"model": 3}, "model: expected str or path, got int"),
            ({"labels": ("A", 3)}, "labels: expected str or a sequence of two, got tuple"),
            ({"labels": {"A", "B"}}, "labels: expected str or a sequence of two, got set"),
            ({"weight_memory": 1.5}, "weight_memory: expected int, got float"),
            ({"chunksize": 3}, "unexpected keyword argument 'chunksize'"),
        ):
            with self.subTest(options), self.assertRaises(TypeError) as raised:
                prm_score.Scorer(**options)
            self.assertIn(message, str(raised.exception))

    def test_a_checkpoint_that_cannot_be_used_is_an_error(self):
        for options, message in (
            ({"model": "/nowhere"}, "/nowhere: no such folder"),
            ({"labels": "A,zzzz"}, 'label "zzzz": expected a single token'),
        ):
            with self.subTest(options), self.assertRaises(prm_score.Error) as raised:
                prm_score.Scorer(**options)
            self.assertIn(message, str(raised.exception))

    @unittest.skipIf(pathlib.Path("/dev/nvidia0").exists(), "there is a GPU")
    def test_a_gpu_that_is_not_there_is_an_error(self):
        for device in ("cuda", "cuda:1", "cuda:all"):
            with self.subTest(device), self.assertRaises(prm_score.Error) as raised:
                prm_score.Scorer(device=device)
            self.assertTrue(str(raised.exception).startswith(f"device {device}: no NVIDIA "), raised.exception)

    def test_version_is_the_programs(self):
        version = subprocess.run(["prm-score", "--version"], capture_output=True, text=True, check=True).stdout
        info = prm_score.Scorer(threads=1).info
        self.assertEqual(version, f"prm-score {prm_score.__version__}\nlibtorch {info['torch_version']}\n")
        self.assertEqual((info["device"], info["dtype"], info["threads"]), ("cpu", "float32", 1))


class DocumentsTest(ModuleTest):
    def test_none_gives_none(self):
        self.assertEqual(self.scorer.score([]), [])

    def test_what_is_no_sequence_of_documents_is_named(self):
        for documents, message in (
            ("a text", "documents: expected a sequence of documents, got str"),
            ({"text": "a"}, "documents: expected a sequence of documents, got dict"),
            (b"a text", "documents: expected a sequence of documents, got bytes"),
            (None, "documents: expected a sequence of documents, got NoneType"),
            (3, "documents: expected a sequence of documents, got int"),
        ):
            with self.subTest(documents), self.assertRaises(TypeError) as raised:
                self.scorer.score(documents)
            self.assertEqual(str(raised.exception), message)

    def test_what_is_no_object_in_json_is_a_bad_document(self):
        documents = ["good words", None, 3, ["a"], True, {"text": None}]
        lines = ['{"text":"good words"}', "null", "3", '["a"]', "true", '{"text":null}']
        self.assert_rows(self.scorer.score(documents), rows_of(lines=lines))

    def test_what_json_does_not_have_is_a_bad_document(self):
        results = self.scorer.score(["good words", b"bytes", {"text": b"bytes", "id": 7}, object()])
        self.assertEqual(
            [result.error for result in results],
            [
                None,
                "document: expected str or a mapping, got bytes",
                "text: expected str, got bytes",
                "document: expected str or a mapping, got object",
            ],
        )
        self.assertEqual([result.id for result in results], [None, None, 7, None])

    def test_texts_that_utf8_does_not_have_are_bad_documents(self):
        [result] = self.scorer.score(["ab\ud800"])
        self.assertEqual(result.error, "text: expected text, got a lone surrogate at character 2")
        self.assertIsNone(result.reward)

    def test_null_characters_are_text(self):
        self.assert_rows(self.scorer.score([{"text": "a\0b"}]), rows_of(lines=['{"text":"a\\u0000b"}']))

    def test_a_context_field_must_be_there(self):
        scorer = prm_score.Scorer(context_field="prompt")
        results = scorer.score(["a", {"text": "a"}, {"text": "a", "prompt": 1}, {"text": "a", "prompt": ""}])
        missing = 'prompt: missing field "prompt"'
        self.assertEqual(
            [result.error for result in results], [missing, missing, "prompt: expected a string, got a number", None]
        )


class ThreadsTest(ModuleTest):
    def test_other_threads_go_on_while_one_scores(self):
        ticks = 0
        is_done = threading.Event()

        def tick():
            nonlocal ticks
            while not is_done.wait(0.001):
                ticks += 1

        thread = threading.Thread(target=tick)
        thread.start()
        start = time.monotonic()
        self.scorer.score(DOCUMENTS)
        elapsed = time.monotonic() - start
        is_done.set()
        thread.join()
        self.assertGreater(ticks, 50 * elapsed)  # one in 20 ms, of the 1,000 a second that it asks for

    def test_threads_share_scorers(self):
        others = [self.scorer, self.scorer, prm_score.Scorer(threads=1), prm_score.Scorer(threads=3)]
        expected = self.scorer.score(DOCUMENTS)
        results = {}

        def score(number, scorer):
            results[number] = scorer.score(DOCUMENTS)

        threads = [threading.Thread(target=score, args=pair) for pair in enumerate(others)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([results[number] == expected for number in range(len(others))], [True] * len(others))

    def test_a_process_that_is_forked_off_scores_on(self):
        expected = self.scorer.score(DOCUMENTS)
        pid = os.fork()
        if pid == 0:
            signal.alarm(TIMEOUT_S // 2)
            os._exit(0 if self.scorer.score(DOCUMENTS) == expected else 1)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)

    def test_ctrl_c_ends_a_long_score(self):
        interruption = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
        interruption.start()
        start = time.monotonic()
        with self.assertRaises(KeyboardInterrupt):
            self.scorer.score(DOCUMENTS * 2000)
        self.assertLess(time.monotonic() - start, 30)  # of the half an hour that all of them take
        self.assertIsNotNone(self.scorer.score(["good again"])[0].reward)

    def test_a_thread_that_still_scores_does_not_disturb_the_end(self):
        done = run_python(
            "import json, prm_score, sys, threading, time\n"
            "scorer = prm_score.Scorer()\n"
            "documents = [json.loads(line) for line in open(sys.argv[1])] * 2000\n"
            "threading.Thread(target=scorer.score, args=(documents,), daemon=True).start()\n"
            "time.sleep(0.5)\n"
            "print('end')\n"
        )
        self.assertEqual((done.returncode, done.stdout), (0, "end\n"), done.stderr)
        self.assertNotIn("terminate", done.stderr)


class TorchTest(unittest.TestCase):
    """In processes of their own: what is loaded first matters."""

    score = (
        "documents = [json.loads(line) for line in open(sys.argv[1])]\n"
        "print([result.reward for result in prm_score.Scorer(threads=2).score(documents)])\n"
    )

    def check(self, imports, after=""):
        done = run_python(f"import json, sys\n{imports}\n{self.score}{after}")
        self.assertEqual(done.returncode, 0, done.stderr)
        rewards, _, rest = done.stdout.partition("\n")
        self.assertEqual(json.loads(rewards), [row["reward"] for row in rows_of(EXAMPLES)])
        return rest

    def test_is_not_imported(self):
        self.assertEqual(self.check("import prm_score", "print('torch' in sys.modules)"), "False\n")

    def test_before(self):
        self.check("import torch, prm_score", "torch.ones(3, 3) @ torch.ones(3, 3)")

    def test_after(self):
        self.check("import prm_score, torch", "torch.ones(3, 3) @ torch.ones(3, 3)")

    def test_after_scoring(self):
        product = "import torch; print((torch.ones(9, 9) @ torch.ones(9, 9)).sum().item())"
        self.assertEqual(self.check("import prm_score", product), "729.0\n")

    def test_keeps_its_number_of_threads(self):
        for number in (1, 3):
            self.assertEqual(
                self.check(
                    f"import torch, prm_score; torch.set_num_threads({number})", "print(torch.get_num_threads())"
                ),
                f"{number}\n",
            )

    def test_beside_others_that_bring_libraries(self):
        self.check("import numpy, sentencepiece, tokenizers, prm_score, torch")
        self.check("import prm_score, sentencepiece, tokenizers, torch, numpy")


if __name__ == "__main__":
    unittest.main(verbosity=2)
