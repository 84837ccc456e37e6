# torch_location.cmake - where libtorch is. Included by FindLibTorch.cmake; as a script it prints two last lines, version and
# folder, empty if there is none:
#
#   cmake -DPRM_SCORE_TORCH_DIR=DIR -DPRM_SCORE_FALLBACK_TORCH_DIR=DIR -P torch_location.cmake
#
# Looked at, in this order; the folder of libtorch or of an installed torch wheel of any kind, CPU-only ones too:
#   PRM_SCORE_TORCH_DIR            an error if it is given and will not do
#   the active Python's torch      python3 on the PATH
#   PRM_SCORE_FALLBACK_TORCH_DIR   where scripts/setup_lib.sh unpacks the wheel
#
# A wheel (scikit-build-core's SKBUILD) is built for the torch beside which it will be installed: only PRM_SCORE_TORCH_DIR
# and the torch of the Python that builds it count.
set(PRM_SCORE_TORCH_MINIMUM 2.11)

# The folder of `python`'s torch, empty if it has none; `ARGN`: options of python.
function(prm_score_ask_python_for_torch python result)
  # Finds the folder without importing torch, which takes seconds.
  string(CONCAT locate "import importlib.util as util, os\n"
    "spec = util.find_spec('torch')\n"
    "print(os.path.dirname(os.path.realpath(spec.origin)) if spec and spec.origin else '')")
  execute_process(COMMAND "${python}" ${ARGN} -c "${locate}"
    OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  set(${result} "${found}" PARENT_SCOPE)
endfunction()

function(prm_score_python_torch_dir result)
  set(found "")
  if(SKBUILD)
    prm_score_ask_python_for_torch("${Python_EXECUTABLE}" found)
    if(NOT found)
      # pip isolates a build by variables that hide the environment's packages from its Python; -E does not look at them.
      prm_score_ask_python_for_torch("${Python_EXECUTABLE}" found -E)
    endif()
  else()
    find_program(PRM_SCORE_ACTIVE_PYTHON NAMES python3 python)
    mark_as_advanced(PRM_SCORE_ACTIVE_PYTHON)
    if(PRM_SCORE_ACTIVE_PYTHON)
      prm_score_ask_python_for_torch("${PRM_SCORE_ACTIVE_PYTHON}" found)
    endif()
  endif()
  set(${result} "${found}" PARENT_SCOPE)
endfunction()

# The version that folder `dir` holds, from the wheel's version.py or libtorch's build-version; empty if neither is there.
function(prm_score_torch_version dir result)
  set(line "")
  if(EXISTS "${dir}/version.py")
    file(STRINGS "${dir}/version.py" line REGEX "^__version__ = ")
  elseif(EXISTS "${dir}/build-version")
    file(STRINGS "${dir}/build-version" line LIMIT_COUNT 1)
  endif()
  string(REGEX MATCH "[0-9]+\\.[0-9]+(\\.[0-9]+)?" version "${line}")
  set(${result} "${version}" PARENT_SCOPE)
endfunction()

# What keeps `dir` from being used, in words; empty if nothing does.
function(prm_score_torch_problem dir result)
  set(problem "")
  prm_score_torch_version("${dir}" version)
  if(NOT EXISTS "${dir}/lib/libtorch_cpu.so" OR NOT EXISTS "${dir}/include/ATen/ATen.h")
    set(problem "expected include/ATen/ATen.h and lib/libtorch_cpu.so in it, found no such files")
  elseif(NOT version VERSION_GREATER_EQUAL PRM_SCORE_TORCH_MINIMUM)
    set(problem "expected torch ${PRM_SCORE_TORCH_MINIMUM} or newer, found version '${version}'")
  else()
    # Wheels have had the C++11 string ABI, which every other library here has, since 2.7; a build of one's own may not.
    file(STRINGS "${dir}/lib/libc10.so" cxx11_symbols REGEX "__cxx1112basic_string" LIMIT_COUNT 1)
    if(NOT cxx11_symbols)
      set(problem "expected the C++11 string ABI, found lib/libc10.so built with _GLIBCXX_USE_CXX11_ABI=0")
    endif()
  endif()
  set(${result} "${problem}" PARENT_SCOPE)
endfunction()

# What to do if there is none, in words.
function(prm_score_torch_advice result)
  if(SKBUILD)
    set(${result} "expected torch ${PRM_SCORE_TORCH_MINIMUM} or newer beside ${Python_EXECUTABLE}, found none: run `pip install torch` first (with uv also `uv pip install scikit-build-core nanobind`, then `uv pip install --no-build-isolation .`: its isolated builds do not see the environment), or set the environment variable PRM_SCORE_TORCH_DIR to the folder site-packages/torch" PARENT_SCOPE)
  else()
    set(${result} "run scripts/quickstart.sh, or give -DPRM_SCORE_TORCH_DIR=<libtorch or site-packages/torch>, version ${PRM_SCORE_TORCH_MINIMUM} or newer" PARENT_SCOPE)
  endif()
endfunction()

function(prm_score_find_torch result)
  set(${result} "" PARENT_SCOPE)
  prm_score_python_torch_dir(python_torch_dir)
  foreach(dir IN ITEMS "${PRM_SCORE_TORCH_DIR}" "${python_torch_dir}" "${PRM_SCORE_FALLBACK_TORCH_DIR}")
    if(dir STREQUAL "")
      continue()
    endif()
    prm_score_torch_problem("${dir}" problem)
    if(NOT problem)
      set(${result} "${dir}" PARENT_SCOPE)
      return()
    endif()
    if(dir STREQUAL PRM_SCORE_TORCH_DIR)
      message(FATAL_ERROR "PRM_SCORE_TORCH_DIR=${dir}: ${problem}")
    endif()
    if(dir STREQUAL python_torch_dir)
      message(STATUS "Not used: ${dir}: ${problem}")
    endif()
  endforeach()
endfunction()

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  prm_score_find_torch(torch_dir)
  if(SKBUILD AND NOT torch_dir)
    prm_score_torch_advice(advice)
    message(FATAL_ERROR "${advice}")
  endif()
  prm_score_torch_version("${torch_dir}" torch_version)
  execute_process(COMMAND "${CMAKE_COMMAND}" -E echo "${torch_version}")
  execute_process(COMMAND "${CMAKE_COMMAND}" -E echo "${torch_dir}")
endif()
