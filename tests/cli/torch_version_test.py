"""torch_version_test.py PROGRAM LIBRARY: another libtorch runs than that of the build. LIBRARY makes it say so."""

import json
import sys

import program
from program import line, run

OTHER_MINOR = "2.99.1"


def run_with_torch(version, *arguments, **options):
    return run(*arguments, env={"LD_PRELOAD": LIBRARY, "PRM_SCORE_TEST_TORCH_VERSION": version}, **options)


class TorchVersionTest(program.ProgramTest):
    def minor_version_of_build(self):
        return run("--version", model=None).stdout.decode().split("\nlibtorch ")[1].rsplit(".", 1)[0]

    def test_the_version_is_that_of_the_libtorch_that_runs(self):
        self.assertTrue(run_with_torch(OTHER_MINOR, "--version", model=None).stdout.endswith(b"\nlibtorch 2.99.1\n"))

    def test_another_release_of_the_minor_version_scores_and_is_in_the_metadata_and_the_state(self):
        version = self.minor_version_of_build() + ".99"
        documents = self.write("docs.jsonl", line())
        rows, metadata = self.folder / "rows.jsonl", self.folder / "run.json"
        self.assert_exit(run_with_torch(version, "--output", rows, "--metadata", metadata, documents), 0)
        self.assertEqual(json.loads(metadata.read_text())["versions"]["torch"], version)
        self.assertIn(f'"torch":"{version}"', (self.folder / "rows.jsonl.state").read_text().replace('": "', '":"'))

    def test_another_minor_version_ends_every_command_that_computes(self):
        golden = self.write("golden.jsonl", run(stdin=line()).stdout)
        documents = self.write("docs.jsonl", line())
        for arguments, code in (
            ([documents], 1),
            (["pairs", documents], 1),
            (["show", documents], 1),
            (["check", documents, "--golden", golden], 4),
        ):
            with self.subTest(arguments):
                process = run_with_torch(OTHER_MINOR, *arguments)
                expected = f"expected version {self.minor_version_of_build()}, which this program was built with,"
                self.assert_exit(process, code, f"libtorch: {expected} found 2.99.1 in /")
                self.assertEqual(process.stdout, b"")


if __name__ == "__main__":
    LIBRARY = sys.argv.pop()
    program.main()
