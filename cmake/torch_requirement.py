"""The torch that a wheel requires: of the minor version that it is built for. A plugin of scikit-build-core
(dynamic-metadata); it asks torch_location.cmake, as the build does a moment later."""

import os
import pathlib
import subprocess
import sys

_LOCATION = pathlib.Path(__file__).with_name("torch_location.cmake")


def _minor_version_here():
    """Ends the build, before pip downloads a torch in vain, if there is none here."""
    definitions = {
        "SKBUILD": "ON",
        "Python_EXECUTABLE": sys.executable,
        "PRM_SCORE_TORCH_DIR": os.environ.get("PRM_SCORE_TORCH_DIR", ""),
    }
    arguments = [f"-D{name}={value}" for name, value in definitions.items()]
    done = subprocess.run(["cmake", *arguments, "-P", _LOCATION], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    version = done.stdout.splitlines()[-2]
    return ".".join(version.split(".")[:2])


class TorchRequirement:
    def __init__(self):
        self._is_of_sources = False

    def build_state(self, state):
        self._is_of_sources = state == "sdist"

    def dynamic_metadata(self, _settings, _project):
        """Added to what pyproject.toml says, which is all that sources ask for."""
        return {"dependencies": [] if self._is_of_sources else [f"torch=={_minor_version_here()}.*"]}
