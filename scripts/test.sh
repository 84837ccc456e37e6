#!/usr/bin/env bash
# test.sh - installs what the tests need, builds and runs them; safe to run again. Ends with ctest's own closing lines.
#
#   scripts/test.sh [--all] [CTEST-ARGUMENTS...]      e.g. scripts/test.sh -R Chunk
#
# Without --all: the tests labelled unit, golden and cli. With it every test, heavy ones too; that is the CI gate.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup_lib.sh"

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  print_manual scripts/test.sh
  exit
fi

cmake_arguments=()
labels=(-L '^(unit|golden|cli)$' -LE '^heavy$')
if [[ ${1:-} == --all ]]; then
  shift
  cmake_arguments=(-DPRM_SCORE_TEST_PYTHON="$venv_python")
  labels=()
fi

build_all() {
  configure build -DPRM_SCORE_TORCH_DIR="$torch_dir" -DPRM_SCORE_BUILD_TESTS=ON "${cmake_arguments[@]}"
  build build
}

step 'system packages' install_packages "${build_packages[@]}" "${test_packages[@]}"
step 'libtorch' ensure_torch cpu
if [[ ${#labels[@]} -eq 0 ]]; then
  step 'heavy tests' install_packages "${heavy_test_packages[@]}"
  step 'Python packages' install_requirements tests/requirements.txt scripts/train/requirements.txt \
    scripts/ray_scoring/requirements.txt
fi
step 'build' build_all
say "== tests, after $SECONDS s"
run exec ctest --test-dir build --parallel "$(nproc)" --output-on-failure --no-tests=error "${labels[@]}" "$@"
