# Finds libtorch and makes the target prm_score::torch. TorchConfig.cmake is not used: that of a CUDA wheel asks for a
# CUDA toolkit, which nobody needs for building this program; CUDA is loaded at run time (see model/device.h).
#
# Looked at, in this order; 2.11 or newer is accepted:
#   PRM_SCORE_TORCH_DIR       a libtorch folder, or site-packages/torch of any wheel
#   the active Python's torch (python3 on the PATH)
#   build/deps/torch          where scripts/quickstart.sh and scripts/test.sh unpack the wheel
set(PRM_SCORE_TORCH_MINIMUM 2.11)

function(prm_score_python_torch_dir result)
  find_program(PRM_SCORE_PYTHON NAMES python3 python)
  mark_as_advanced(PRM_SCORE_PYTHON)
  set(${result} "" PARENT_SCOPE)
  if(PRM_SCORE_PYTHON)
    execute_process(
      COMMAND "${PRM_SCORE_PYTHON}" -c "import importlib.util as u, os; s = u.find_spec('torch'); print(os.path.dirname(s.origin) if s and s.origin else '')"
      OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    set(${result} "${found}" PARENT_SCOPE)
  endif()
endfunction()

# The version that folder `dir` holds, from the wheel's version.py or libtorch's build-version; empty if neither is there.
function(prm_score_torch_version dir result)
  set(version "")
  if(EXISTS "${dir}/version.py")
    file(STRINGS "${dir}/version.py" line REGEX "^__version__ = ")
    string(REGEX MATCH "[0-9]+\\.[0-9]+(\\.[0-9]+)?" version "${line}")
  elseif(EXISTS "${dir}/build-version")
    file(STRINGS "${dir}/build-version" line LIMIT_COUNT 1)
    string(REGEX MATCH "[0-9]+\\.[0-9]+(\\.[0-9]+)?" version "${line}")
  endif()
  set(${result} "${version}" PARENT_SCOPE)
endfunction()

prm_score_python_torch_dir(python_torch_dir)
set(LibTorch_DIR "")
foreach(candidate IN ITEMS "${PRM_SCORE_TORCH_DIR}" "${python_torch_dir}" "${PROJECT_SOURCE_DIR}/build/deps/torch")
  if(candidate STREQUAL "")
    continue()
  endif()
  prm_score_torch_version("${candidate}" candidate_version)
  if(EXISTS "${candidate}/lib/libtorch_cpu.so" AND candidate_version VERSION_GREATER_EQUAL PRM_SCORE_TORCH_MINIMUM)
    set(LibTorch_DIR "${candidate}")
    set(LibTorch_VERSION "${candidate_version}")
    break()
  endif()
  if(candidate STREQUAL PRM_SCORE_TORCH_DIR)
    message(FATAL_ERROR "PRM_SCORE_TORCH_DIR=${candidate}: expected include/, lib/libtorch_cpu.so and version "
      "${PRM_SCORE_TORCH_MINIMUM} or newer, found version '${candidate_version}'")
  endif()
endforeach()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch REQUIRED_VARS LibTorch_DIR VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "run scripts/quickstart.sh, or give -DPRM_SCORE_TORCH_DIR=<site-packages/torch>, version ${PRM_SCORE_TORCH_MINIMUM} or newer")

if(LibTorch_FOUND AND NOT TARGET prm_score::torch)
  # The CPU library of a CUDA wheel still needs these two small CUDA libraries; they lie beside torch in site-packages.
  file(GLOB cuda_lib_dirs LIST_DIRECTORIES true "${LibTorch_DIR}/../nvidia/*/lib")
  add_library(prm_score::torch INTERFACE IMPORTED GLOBAL)
  target_include_directories(prm_score::torch SYSTEM INTERFACE
    "${LibTorch_DIR}/include" "${LibTorch_DIR}/include/torch/csrc/api/include")
  target_link_libraries(prm_score::torch INTERFACE "${LibTorch_DIR}/lib/libtorch_cpu.so" "${LibTorch_DIR}/lib/libc10.so")
  foreach(dir IN LISTS cuda_lib_dirs)
    target_link_options(prm_score::torch INTERFACE "LINKER:-rpath-link,${dir}")
  endforeach()
endif()
