"""`pip install .` in a fresh virtual environment that has torch: what it puts there, and that it works.

wheel_test.py PROGRAM: the build's own program, to compare with. Run by a Python that has torch, whose packages the
environment gets as links: nothing is downloaded but the build's own requirements.
"""

import importlib.metadata
import json
import os
import pathlib
import shutil
import signal
import site
import subprocess
import sys
import sysconfig
import tempfile
import unittest

PROGRAM = pathlib.Path()
ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "data/examples/docs.jsonl"
TIMEOUT_S = 1500
NOT_LINKED = ("pip", "setuptools", "wheel", "prm_score", "distutils", "_distutils", "__pycache__")


def environment():
    """Ours without what would help the environment under test."""
    hidden = ("PRM_SCORE_", "PYTHON", "HF_", "LD_", "VIRTUAL_ENV", "CMAKE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(hidden)}


def build_environment():
    """A file that includes libtorch takes up to 2 GB to compile. ccache, where there is one, may know the objects from
    another build folder."""
    gigabytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 30
    jobs = max(1, min(os.cpu_count() or 1, gigabytes // 2))
    return {**environment(), "CMAKE_BUILD_PARALLEL_LEVEL": str(jobs), "CCACHE_NOHASHDIR": "1"}


class Environment:
    """A virtual environment in `folder` with links to the packages of this Python, but for those named `without`."""

    def __init__(self, folder, without=()):
        self.folder = folder
        self.bin = folder / "bin"
        self.python = self.bin / "python"
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        self.site_packages = pathlib.Path(
            subprocess.run(
                [self.python, "-c", "import sysconfig; print(sysconfig.get_path('platlib'))"],
                check=True,
                capture_output=True,
                text=True,
            ).stdout.strip()
        )
        for packages in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()}:
            self.link(pathlib.Path(packages), (*NOT_LINKED, *without))

    def link(self, packages, without):
        for package in packages.iterdir() if packages.is_dir() else ():
            link = self.site_packages / package.name
            if not package.name.startswith(without) and not link.exists():
                link.symlink_to(package)

    def run(self, *command, check=True, **options):
        """With the environment's programs first on the PATH, as activating it does."""
        env = options.pop("env", environment())
        env["PATH"] = f"{self.bin}{os.pathsep}{env['PATH']}"
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, **options
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def pip(self, *arguments, **options):
        return self.run(
            self.python, "-m", "pip", "--disable-pip-version-check", *arguments, env=build_environment(), **options
        )

    def files(self):
        return {path for path in self.folder.rglob("*") if not path.is_dir() or path.is_symlink()}


class WheelTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name).resolve()
        cls.installed = Environment(cls.folder / "with-torch")
        cls.before = cls.installed.files()
        # As users do it: in an isolated build. Not its dependencies, of which the environment has torch.
        cls.installed.pip("install", "--no-deps", ROOT)

    def program(self, *arguments, check=True, **options):
        return self.installed.run("prm-score", *arguments, check=check, cwd=self.folder, **options)

    def test_program_is_the_real_one_with_the_same_bits(self):
        found = shutil.which("prm-score", path=str(self.installed.bin))
        self.assertEqual(pathlib.Path(found).read_bytes()[:4], b"\x7fELF")
        own = subprocess.run(
            [PROGRAM, "--spans", EXAMPLES], env=environment(), capture_output=True, text=True, check=True
        )
        self.assertEqual(self.program("--spans", EXAMPLES).stdout, own.stdout)
        self.assertEqual(len(own.stdout.splitlines()), len(EXAMPLES.read_text().splitlines()))

    def test_program_uses_the_judge_and_the_libtorch_of_its_environment(self):
        self.program("--metadata", self.folder / "run.json", EXAMPLES, "--limit", "1")
        checkpoint = json.loads((self.folder / "run.json").read_text())["checkpoint"]
        self.assertEqual(checkpoint["folder"], str(self.installed.folder / "share/prm_score/tiny-judge"))
        libraries = self.installed.run("ldd", self.installed.bin / "prm-score").stdout
        [line] = [line for line in libraries.splitlines() if "libtorch_cpu.so =>" in line]
        library = os.path.normpath(line.split()[2])
        self.assertEqual(library, str(self.installed.site_packages / "torch/lib/libtorch_cpu.so"))

    def test_program_ends_as_it_does_elsewhere(self):
        self.assertEqual(self.program("--no-such", check=False).returncode, 2)
        self.assertEqual(self.program(check=False, input='{"text":1}\n').returncode, 3)
        self.assertEqual(self.program("--model", "/nowhere", check=False, input="").returncode, 1)
        self.assertEqual(self.program(check=False, input="").stdout, "")
        with subprocess.Popen(
            [self.installed.bin / "prm-score"],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            process.stdin.write(b'{"text":"a few words"}\n')
            process.stdin.flush()
            self.assertTrue(process.stdout.readline().startswith(b'{"line":1,"reward":'))
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(TIMEOUT_S), 143)

    def test_manual_and_completion_are_where_they_are_looked_for(self):
        share = self.installed.folder / "share"
        for name in (
            "man/man1/prm-score.1",
            "bash-completion/completions/prm-score",
            "zsh/site-functions/_prm-score",
            "fish/vendor_completions.d/prm-score.fish",
        ):
            self.assertIn("prm", (share / name).read_text(), name)

    def test_module(self):
        """module_test.py, run by the environment's Python, in a folder that is not the sources'."""
        done = self.installed.run(
            self.installed.python, "-B", ROOT / "tests/packaging/module_test.py", cwd=self.folder, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, r"Ran [1-9]\d+ tests")

    def import_error(self):
        """What importing the module says at last."""
        done = self.installed.run(self.installed.python, "-B", "-c", "import prm_score", cwd=self.folder, check=False)
        return done.stderr.splitlines()[-1] if done.stderr else "none"

    def test_a_missing_library_is_named_by_the_loader(self):
        [module] = (self.installed.site_packages / "prm_score").glob("_native.*.so")
        good = module.read_bytes()
        self.addCleanup(module.write_bytes, good)
        module.write_bytes(good.replace(b"\0libpcre2-8.so.0\0", b"\0libpcre2-8.so.X\0"))
        self.assertRegex(self.import_error(), "^ImportError: libpcre2-8.so.X: cannot open shared object file")

    def replace_torch(self, version=None):
        """By none, or by links to its files beside a version.py of `version`."""
        torch = self.installed.site_packages / "torch"
        real = torch.readlink()
        self.addCleanup(torch.symlink_to, real)
        torch.unlink()
        if version is None:
            return
        torch.mkdir()
        self.addCleanup(shutil.rmtree, torch)
        for file in real.iterdir():
            if file.name != "version.py":
                (torch / file.name).symlink_to(file)
        (torch / "version.py").write_text(f"__version__ = '{version}'\n")

    def minor_version_of_build(self):
        return ".".join(self.program("--version").stdout.split("\nlibtorch ")[1].split(".")[:2])

    def requirements(self):
        [distribution] = importlib.metadata.distributions(name="prm_score", path=[str(self.installed.site_packages)])
        return distribution.requires

    def test_requires_the_minor_version_of_torch_that_it_was_built_for(self):
        self.assertIn(f"torch=={self.minor_version_of_build()}.*", self.requirements())

    def test_no_torch_is_named(self):
        minor = self.minor_version_of_build()
        self.replace_torch()
        self.assertEqual(
            self.import_error(),
            f"ImportError: prm_score: expected torch {minor}, which it was built for, found none: "
            f"pip install torch=={minor}.*",
        )

    def test_another_minor_version_of_torch_than_that_of_the_build_is_refused(self):
        expected = rf"^ImportError: prm_score: expected torch {self.minor_version_of_build()}, which it was built for, "
        self.replace_torch("2.99.3+cpu")
        self.assertRegex(self.import_error(), expected + r"found 2\.99\.3 in .*/torch: install prm_score again$")

    def test_another_release_of_the_minor_version_will_do(self):
        self.replace_torch(self.minor_version_of_build() + ".99")
        self.assertEqual(self.import_error(), "none")

    def test_zz_uninstalling_leaves_nothing(self):
        """Last of all."""
        self.assertIn(self.installed.bin / "prm-score", self.installed.files())
        self.installed.pip("uninstall", "--yes", "prm_score")
        self.assertEqual(
            {path for path in self.installed.files() - self.before if "__pycache__" not in path.parts}, set()
        )


class NoTorchTest(unittest.TestCase):
    def test_the_build_says_what_to_install_first(self):
        """Isolated or not; whatever torch a Python on the PATH has, which is not the one that installs."""
        with tempfile.TemporaryDirectory() as folder:
            bare = Environment(pathlib.Path(folder).resolve() / "bare", without=("torch",))
            for isolation in ([], ["--no-build-isolation"]):
                with self.subTest(isolation):
                    done = bare.pip("install", "--no-deps", *isolation, ROOT, check=False)
                    self.assertNotEqual(done.returncode, 0)
                    text = " ".join((done.stdout + done.stderr).split())
                    self.assertIn("run `pip install torch` first", text)
                    self.assertIn("`uv pip install --no-build-isolation .`", text)
                    self.assertFalse((bare.bin / "prm-score").exists())


if __name__ == "__main__":
    PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=2)
