# shellcheck shell=bash
# setup_lib.sh - what quickstart.sh, test.sh and check.sh share: messages, system packages, libtorch, configuring.
#
# Sourced by bash under `set -euo pipefail`; makes the repository root the working directory, `caller_dir` is the one
# before. Everything it makes lies below build/:
#
#   build/deps/torch, nvidia   the torch wheel and the CUDA libraries it needs, as they lie in site-packages
#   build/deps/venv            a Python with pip, to fetch wheels and (test.sh --all) to run the tests' Python parts
#
# Each step looks first at what is there, and what is downloaded gets its final name only when it is whole: all of it
# may be interrupted and run again. Only apt and pip reach for the network, each as configured on this machine.

readonly caller_dir=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

readonly torch_version=2.15.0
# Whose wheel of torch is fetched; only its libraries and headers are used, so the machine's own Python does not matter.
readonly torch_wheel_python=3.11
readonly deps_dir=$PWD/build/deps
readonly venv_python=$deps_dir/venv/bin/python

# shellcheck disable=SC2034  # used by the scripts that source this file
readonly build_packages=(g++ cmake ninja-build pkg-config ca-certificates libpcre2-dev libsentencepiece-dev
  nlohmann-json3-dev libspdlog-dev libcli11-dev libpugixml-dev libssl-dev libzstd-dev zlib1g-dev libjs-chart.js)
# shellcheck disable=SC2034
readonly test_packages=(libgtest-dev python3 jq)
# shellcheck disable=SC2034
readonly clang_version=16
# Apertium: the translator of the training scripts; strace: kills at chosen system calls; clang: fuzzing; zsh, fish and
# groff: completion and manual page; python3-dev: the Python module; slurm-wlm, munge, parallel: shards on a cluster; a
# JRE: Spark.
# shellcheck disable=SC2034
heavy_test_packages=(apertium apertium-eng-spa apertium-eng-cat strace "clang-$clang_version"
  "libclang-rt-$clang_version-dev" zsh fish groff-base python3-dev slurm-wlm munge parallel default-jre-headless)
# The browser that looks at reports: where it is a package of the distribution (Ubuntu's is a snap; that test is skipped).
if [[ $(. /etc/os-release 2>/dev/null && printf '%s' "${ID:-}") == debian ]]; then
  heavy_test_packages+=(chromium chromium-driver)
fi
readonly heavy_test_packages

# ---- messages -------------------------------------------------------------------------------------------------------

say() { printf '%s\n' "$*" >&2; }

die() {
  say "error: $*"
  exit 1
}

# print_manual SCRIPT: the comment at its top, which is its manual.
print_manual() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$1"; }

# Prints a command, then runs it.
run() {
  say "+ $*"
  "$@"
}

# step TITLE COMMAND...: runs the command under a title and says how long it took.
step() {
  local title=$1 start=$SECONDS
  shift
  say "== $title"
  "$@"
  say "== $title: done in $((SECONDS - start)) s"
}

# ---- system packages ------------------------------------------------------------------------------------------------

as_root() {
  if [[ $EUID -eq 0 ]]; then
    run "$@"
  elif command -v sudo >/dev/null; then
    run sudo "$@"
  else
    die "this needs root, and there is no sudo; run as root, then start again: $*"
  fi
}

missing_packages() {
  local package
  for package in "$@"; do
    [[ $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null) == 'install ok installed' ]] || printf '%s\n' "$package"
  done
}

# Installs those of the given Debian/Ubuntu packages that are missing; asks apt nothing if none is.
install_packages() {
  local -a missing
  if ! command -v apt-get >/dev/null; then
    say "no apt-get here; taken as installed: $*"
    return
  fi
  mapfile -t missing < <(missing_packages "$@")
  if [[ ${#missing[@]} -eq 0 ]]; then
    say "all there: $*"
    return
  fi
  as_root dpkg --configure -a  # finishes an installation that was interrupted
  as_root apt-get update
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    -o DPkg::Lock::Timeout=600 "${missing[@]}"
}

# ---- Python ---------------------------------------------------------------------------------------------------------

# A virtual environment of our own with pip in it; its stamp is written last.
ensure_venv() {
  local base_python=python3
  [[ ! -e $deps_dir/venv/complete ]] || return 0
  if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    install_packages python3 python3-venv
    base_python=/usr/bin/python3
  fi
  rm -rf "$deps_dir/venv"
  run "$base_python" -m venv "$deps_dir/venv"
  touch "$deps_dir/venv/complete"
}

# Installs the packages of requirements files into the virtual environment, once per content of the files.
install_requirements() {
  local wanted file
  local -a arguments=()
  ensure_venv
  wanted=$(cat -- "$@")
  if [[ $wanted == "$(cat "$deps_dir/venv/installed.txt" 2>/dev/null)" ]]; then
    say "all there: $*"
    return
  fi
  for file in "$@"; do arguments+=(-r "$file"); done
  run "$venv_python" -m pip install --disable-pip-version-check "${arguments[@]}"
  printf '%s\n' "$wanted" >"$deps_dir/venv/installed.txt"
}

# ---- libtorch -------------------------------------------------------------------------------------------------------

has_nvidia_driver() {
  [[ -e /proc/driver/nvidia/version ]] || nvidia-smi -L >/dev/null 2>&1
}

# The folder of libtorch that this build has used so far, if it is still there.
configured_torch() {
  local dir=''
  [[ ! -f build/CMakeCache.txt ]] || dir=$(sed -n 's/^PRM_SCORE_TORCH_DIR:PATH=//p' build/CMakeCache.txt)
  [[ ! -e $dir/lib/libtorch_cpu.so ]] || printf '%s\n' "$dir"
}

# pip_unpack DIR REQUIREMENT...: unpacks wheels, and what they depend on unless --no-deps is given, below DIR.
pip_unpack() {
  local dir=$1
  shift
  ensure_venv
  mkdir -p "$dir/tmp"
  run env TMPDIR="$dir/tmp" "$venv_python" -m pip install --disable-pip-version-check --no-compile \
    --only-binary=:all: --python-version "$torch_wheel_python" --target "$dir" "$@"
  rm -rf "$dir/tmp"
}

fetch_torch() {
  local new=$deps_dir/new-torch
  if [[ -e $deps_dir/torch/lib/libtorch_cpu.so && -e $deps_dir/torch-$torch_version.dist-info/METADATA ]]; then
    return
  fi
  rm -rf "$new"
  pip_unpack "$new" --no-deps "torch==$torch_version"
  rm -rf "$deps_dir"/torch "$deps_dir"/torch-*.dist-info "$deps_dir"/nvidia
  mv "$new"/torch-*.dist-info "$deps_dir/torch-$torch_version.dist-info"
  mv "$new/torch" "$deps_dir/torch"
  rm -rf "$new"
}

# The CUDA packages that our copy of the wheel names, as pip requirements, one a line; none for a CPU-only wheel.
# Its CPU library is linked to two of them (runtime and CUPTI), which `cpu` is; `cuda` is all.
cuda_requirements() {
  local metadata=$deps_dir/torch-$torch_version.dist-info/METADATA
  case $1 in
    cpu) sed -nE 's/^Requires-Dist: cuda-toolkit\[[^]]*\](==[0-9.]+).*/cuda-toolkit[cudart,cupti]\1/p' "$metadata" ;;
    cuda) sed -nE 's/^Requires-Dist: ((cuda-toolkit|nvidia-)[^;]*).*/\1/p' "$metadata" ;;
  esac
}

# fetch_cuda_libraries cpu|cuda: `cuda` serves both, so it is never replaced by `cpu`.
fetch_cuda_libraries() {
  local set=$1 new=$deps_dir/new-nvidia
  local -a requirements
  if [[ -e $deps_dir/nvidia/set-$set || -e $deps_dir/nvidia/set-cuda ]]; then
    return
  fi
  mapfile -t requirements < <(cuda_requirements "$set")
  rm -rf "$new"
  [[ ${#requirements[@]} -eq 0 ]] || pip_unpack "$new" "${requirements[@]}"
  mkdir -p "$new/nvidia"
  touch "$new/nvidia/set-$set"
  rm -rf "$deps_dir/nvidia"
  mv "$new/nvidia" "$deps_dir/nvidia"
  rm -rf "$new"
}

# ensure_torch cpu|cuda: sets `torch_dir`. In this order: $PRM_SCORE_TORCH_DIR; what build/ is configured with; the
# active Python's torch; build/deps/torch, fetched if it is not there, with the CUDA libraries for GPUs if `cuda` is given
# or an NVIDIA driver is present.
ensure_torch() {
  local set=$1 wanted=${PRM_SCORE_TORCH_DIR:-}
  ! has_nvidia_driver || set=cuda
  if [[ -n $wanted ]]; then
    wanted=$(cd "$caller_dir" && realpath -m "$wanted")
  else
    wanted=$(configured_torch)
  fi
  torch_dir=$(cmake -DPRM_SCORE_TORCH_DIR="$wanted" -DPRM_SCORE_FALLBACK_TORCH_DIR="$deps_dir/torch" \
    -P cmake/torch_location.cmake | tail -n 1)
  if [[ -z $torch_dir || $torch_dir -ef $deps_dir/torch ]]; then
    fetch_torch
    fetch_cuda_libraries "$set"
    torch_dir=$deps_dir/torch
  fi
  say "libtorch: $torch_dir"
}

# ---- building -------------------------------------------------------------------------------------------------------

# One job per core, but a file that includes libtorch takes up to 2 GB to compile.
num_jobs() {
  local cores memory_gb jobs
  cores=$(nproc)
  memory_gb=$(awk '/^MemAvailable:/ { print int($2 / 1048576) }' /proc/meminfo)
  jobs=$((memory_gb / 2 < cores ? memory_gb / 2 : cores))
  printf '%s\n' "$((jobs < 1 ? 1 : jobs))"
}

# configure DIR CMAKE-ARGUMENTS...
configure() {
  local dir=$1
  shift
  run cmake -S . -B "$dir" -G Ninja "$@"
}

# build DIR [TARGET...]: everything if no target is given.
build() {
  local dir=$1
  shift
  run cmake --build "$dir" --parallel "$(num_jobs)" ${1:+--target "$@"}
}
