# Finds libtorch and makes the target prm_score::torch. TorchConfig.cmake is not used: that of a CUDA wheel asks for a
# CUDA toolkit, which nobody needs for building this program; CUDA is loaded at run time (see model/device.h).
#
# Takes PRM_SCORE_TORCH_DIR and PRM_SCORE_FALLBACK_TORCH_DIR (see torch_location.cmake).
# Sets LibTorch_FOUND, LibTorch_DIR (the folder with include/ and lib/) and LibTorch_VERSION.
include("${CMAKE_CURRENT_LIST_DIR}/torch_location.cmake")

prm_score_find_torch(LibTorch_DIR)
prm_score_torch_version("${LibTorch_DIR}" LibTorch_VERSION)

prm_score_torch_advice(libtorch_advice)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch REQUIRED_VARS LibTorch_DIR VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "${libtorch_advice}")

if(LibTorch_FOUND AND NOT TARGET prm_score::torch)
  add_library(prm_score::torch INTERFACE IMPORTED GLOBAL)
  target_include_directories(prm_score::torch SYSTEM INTERFACE
    "${LibTorch_DIR}/include" "${LibTorch_DIR}/include/torch/csrc/api/include")
  target_link_libraries(prm_score::torch INTERFACE "${LibTorch_DIR}/lib/libtorch_cpu.so" "${LibTorch_DIR}/lib/libc10.so")
  # ATen/Parallel.h runs everything on one thread unless the code that includes it is compiled with OpenMP. The runtime is
  # the one that libtorch brings along and loads itself (libgomp.so.1, in older wheels with a hash in its name): two of
  # them would fight for the processors.
  target_compile_options(prm_score::torch INTERFACE -fopenmp)
  file(GLOB openmp_libraries "${LibTorch_DIR}/lib/libgomp*.so*")
  if(openmp_libraries)
    list(GET openmp_libraries 0 openmp_library)
    target_link_libraries(prm_score::torch INTERFACE "${openmp_library}")
  else()
    target_link_options(prm_score::torch INTERFACE -fopenmp)
  endif()
  # The CPU library of a CUDA wheel still needs small CUDA libraries, which lie beside torch in site-packages. When the
  # program runs they are found by that library's own RPATH; the linker has to be told.
  file(GLOB cuda_library_dirs LIST_DIRECTORIES true "${LibTorch_DIR}/../nvidia/*/lib")
  foreach(dir IN LISTS cuda_library_dirs)
    target_link_options(prm_score::torch INTERFACE "LINKER:-rpath-link,${dir}")
  endforeach()
endif()
