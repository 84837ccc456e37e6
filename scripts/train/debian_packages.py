"""Debian packages, downloaded and unpacked."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path


class PackageError(Exception):
    """A package cannot be had."""


class Packages:
    """Debian packages in a work folder: WORK/debs/*.deb, WORK/unpacked/PACKAGE."""

    def __init__(self, work: Path) -> None:
        self._debs = work / "debs"
        self._unpacked = work / "unpacked"

    def get(self, package: str) -> tuple[Path, str]:
        """The folder that holds the package's files, and its version."""
        deb = self._deb(package)
        folder = self._unpacked / package
        if not folder.is_dir():
            self._unpacked.mkdir(parents=True, exist_ok=True)
            partial = self._unpacked / f".{package}.{os.getpid()}"
            try:
                self._run(package, "dpkg-deb", "-x", str(deb), str(partial))
                partial.rename(folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        return folder, self._run(package, "dpkg-deb", "-f", str(deb), "Version").strip()

    def _deb(self, package: str) -> Path:
        if not (debs := self._debs_of(package)):
            self._debs.mkdir(parents=True, exist_ok=True)
            self._run(package, "apt-get", "download", package, cwd=self._debs)
            debs = self._debs_of(package)
        if not debs:
            raise PackageError(f"package {package}: apt-get left no .deb in {self._debs}")
        return debs[-1]

    def _debs_of(self, package: str) -> list[Path]:
        return sorted(self._debs.glob(f"{package}_*.deb"))

    @staticmethod
    def _run(package: str, *command: str, cwd: Path | None = None) -> str:
        try:
            done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)
        except FileNotFoundError as error:
            raise PackageError(f"package {package}: {command[0]} is not installed") from error
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise PackageError(f"package {package}: {' '.join(command[:2])} failed: {reason}")
        return done.stdout
