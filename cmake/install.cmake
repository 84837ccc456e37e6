# install.cmake - what `cmake --install build --prefix P` puts where. P may be moved afterwards:
#
#   bin/prm-score                  finds the judge by ../share, and libtorch by its absolute folder of build time (or in
#                                  ../lib, for packages that bring libtorch along)
#   share/prm_score/tiny-judge/    the judge that is used without --model
#   share/prm_score/metadata.schema.json    what --metadata writes
#   share/prm_score/check/         fixtures for `prm-score check`, and their golden for that judge
#   share/man/, bash-completion/, zsh/, fish/    manual page and completion
#   include/prm_score/, lib/*.a    the library
#   lib/cmake/prm_score/           find_package(prm_score) -> prm_score::text and prm_score::model
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/prm_score")

set(libraries prm_score_options prm_score_text prm_score_stream prm_score_checkpoint prm_score_kernels)
if(TARGET prm_score_model)
  list(APPEND libraries prm_score_model)
endif()
foreach(library IN LISTS libraries)
  string(REPLACE prm_score_ "" export_name "${library}")
  set_target_properties(${library} PROPERTIES EXPORT_NAME ${export_name})
endforeach()
install(TARGETS ${libraries} EXPORT prm_score_targets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
if(TARGET prm-score)
  set_target_properties(prm-score PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR};${LibTorch_DIR}/lib")
  install(TARGETS prm-score RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()

install(DIRECTORY include/prm_score DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.h")
install(DIRECTORY data/tiny-judge data/check DESTINATION "${CMAKE_INSTALL_DATADIR}/prm_score")
install(FILES data/metadata.schema.json DESTINATION "${CMAKE_INSTALL_DATADIR}/prm_score")
if(TARGET prm_score_share)
  install(DIRECTORY "${PRM_SCORE_SHARE_DIR}/" DESTINATION "${CMAKE_INSTALL_DATADIR}")
endif()
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}")

configure_package_config_file(cmake/prm_scoreConfig.cmake.in prm_scoreConfig.cmake INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file(prm_scoreConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(EXPORT prm_score_targets FILE prm_scoreTargets.cmake NAMESPACE prm_score:: DESTINATION "${package_dir}")
install(FILES
  "${CMAKE_CURRENT_BINARY_DIR}/prm_scoreConfig.cmake" "${CMAKE_CURRENT_BINARY_DIR}/prm_scoreConfigVersion.cmake"
  cmake/FindLibTorch.cmake cmake/torch_location.cmake
  DESTINATION "${package_dir}")
