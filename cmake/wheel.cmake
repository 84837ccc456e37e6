# wheel.cmake - what `pip install .` puts where, in the words of a virtual environment:
#
#   bin/prm-score                  the program itself; finds the judge by ../share
#   share/prm_score/tiny-judge/    the judge that is used without --model
#   share/prm_score/check/, metadata.schema.json    fixtures for `prm-score check`; what --metadata writes
#   share/man/, bash-completion/, zsh/, fish/    manual page and completion
#   lib/python3.N/site-packages/prm_score/   the module
#
# Both find libtorch in the environment's torch. Its folder as seen from theirs is known now; the absolute one of build
# time is for environments that have torch from elsewhere (--system-site-packages).
execute_process(COMMAND "${Python_EXECUTABLE}" -E -c "import os, sysconfig\nprint(os.path.relpath(sysconfig.get_path('platlib'), sysconfig.get_path('scripts')))"
  OUTPUT_VARIABLE site_packages_from_scripts OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)

set_target_properties(prm-score PROPERTIES INSTALL_RPATH
  "$ORIGIN/${site_packages_from_scripts}/torch/lib;$ORIGIN/../torch/lib;${LibTorch_DIR}/lib")
install(TARGETS prm-score RUNTIME DESTINATION "${SKBUILD_SCRIPTS_DIR}")

set_target_properties(_native PROPERTIES INSTALL_RPATH "$ORIGIN/../torch/lib;${LibTorch_DIR}/lib")
install(TARGETS _native LIBRARY DESTINATION prm_score)
install(FILES "${PROJECT_BINARY_DIR}/src/python/_build.py" DESTINATION prm_score)

install(DIRECTORY data/tiny-judge data/check DESTINATION "${SKBUILD_DATA_DIR}/share/prm_score")
install(FILES data/metadata.schema.json DESTINATION "${SKBUILD_DATA_DIR}/share/prm_score")
install(DIRECTORY "${PRM_SCORE_SHARE_DIR}/" DESTINATION "${SKBUILD_DATA_DIR}/share")
