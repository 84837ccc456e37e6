"""The repository's scripts before their packages are installed: --help works, anything else says what to install."""

import os
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
FOLDERS = (SCRIPTS, SCRIPTS / "train")
PYTHON_SCRIPTS = sorted(
    path for folder in FOLDERS for path in folder.glob("*.py") if "\nif __name__ ==" in path.read_text(encoding="utf-8")
)
SHELL_SCRIPTS = sorted(
    path for folder in FOLDERS for path in folder.glob("*.sh") if path.read_text(encoding="utf-8").startswith("#!")
)
STANDARD_LIBRARY_ONLY = {"bench", "drift", "scale", "soak"}
# What makes a script reach its packages, where it does not load them at once.
ARGUMENTS = {"compare_prompts": ["--binary", "none", "data/tiny-judge"]}


def run(*command):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        list(map(str, command)), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100, check=False
    )


def run_bare(script, *arguments):
    """By a Python without site-packages."""
    return run(sys.executable, "-S", "-B", script, *arguments)


class WithoutPackages(unittest.TestCase):
    def test_help_of_python_scripts(self):
        self.assertGreater(len(PYTHON_SCRIPTS), 20)
        for script in PYTHON_SCRIPTS:
            for flag in ("--help", "-h"):
                with self.subTest(script=script.name, flag=flag):
                    process = run_bare(script, flag)
                    self.assertEqual((process.returncode, process.stderr), (0, ""))
                    self.assertTrue(process.stdout.startswith(f"usage: {script.name}"), process.stdout)

    def test_help_shows_the_options(self):
        self.assertIn("--epochs", run_bare(SCRIPTS / "train/train_judge.py", "--help").stdout)
        self.assertIn("--cpus-per-actor", run_bare(SCRIPTS / "ray_score.py", "--help").stdout)

    def test_help_behind_two_dashes_is_another_program_s(self):
        process = run_bare(SCRIPTS / "ray_score.py", "a.jsonl", "--output", "b.jsonl", "--", "--help")
        self.assertEqual((process.returncode, process.stdout), (1, ""))

    def test_one_line_says_what_to_install(self):
        for script in PYTHON_SCRIPTS:
            if script.stem in STANDARD_LIBRARY_ONLY:
                continue
            with self.subTest(script=script.name):
                process = run_bare(script, *ARGUMENTS.get(script.stem, []))
                self.assertEqual((process.returncode, process.stdout.count("\n") > 1), (1, False))
                self.assertRegex(
                    process.stderr, rf"^{script.stem}: expected the Python packages of \S+requirements.txt.*, found no "
                )
                self.assertEqual(process.stderr.count("\n"), 1, process.stderr)
                installed = re.findall(r"-r (\S+)", process.stderr)
                self.assertTrue(installed)
                for file in installed:
                    self.assertTrue((ROOT / file).is_file(), file)

    def test_other_errors_keep_their_traceback(self):
        code = (
            f"import sys; sys.path.insert(0, {str(SCRIPTS / 'train')!r}); import required_packages, pathlib\n"
            f"required_packages.prepare(pathlib.Path('make_data.py'), [])\n"
            "raise ValueError('other')"
        )
        process = run(sys.executable, "-S", "-B", "-c", code)
        self.assertEqual(process.returncode, 1)
        self.assertIn("Traceback", process.stderr)

    def test_help_of_shell_scripts(self):
        self.assertGreater(len(SHELL_SCRIPTS), 7)
        for script in SHELL_SCRIPTS:
            with self.subTest(script=script.name):
                process = run("bash", script, "--help")
                self.assertEqual((process.returncode, process.stderr), (0, ""))
                self.assertIn(script.name.removesuffix(".sh"), process.stdout)


if __name__ == "__main__":
    unittest.main()
