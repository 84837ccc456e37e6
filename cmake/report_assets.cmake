# report_assets.cmake - what `prm-score report` puts into its page travels inside the program.
#
#   add_report_assets(TARGET)   compiles src/report/* and Chart.js, from the distribution's libjs-chart.js, into TARGET

# Debian and Ubuntu have it in the first place; distributions of node packages in the others.
find_file(PRM_SCORE_CHART_JS chart.min.js
  PATHS /usr/share/javascript/chart.js /usr/share/nodejs/chart.js/dist /usr/lib/node_modules/chart.js/dist
  DOC "Chart.js 3, minified, as one file for browsers" NO_DEFAULT_PATH)
if(NOT PRM_SCORE_CHART_JS)
  message(FATAL_ERROR "Chart.js: expected chart.min.js in /usr/share/javascript/chart.js, found none: "
    "install libjs-chart.js, or set PRM_SCORE_CHART_JS to the file")
endif()

# Reads a file into `variable`. What is inlined must not end its element.
function(read_asset variable path)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${path}")
  file(READ "${path}" text)
  string(TOLOWER "${text}" lower)
  foreach(forbidden IN ITEMS "</script" "<script" "<!--" "</style" ")prm_score\"")
    string(FIND "${lower}" "${forbidden}" place)
    if(NOT place EQUAL -1)
      message(FATAL_ERROR "${path}: expected a file that can be inlined, found ${forbidden} in it")
    endif()
  endforeach()
  set(${variable} "${text}" PARENT_SCOPE)
endfunction()

function(add_report_assets target)
  set(folder "${PROJECT_SOURCE_DIR}/src/report")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${folder}/page.html")
  file(READ "${folder}/page.html" PRM_SCORE_REPORT_HTML)
  read_asset(PRM_SCORE_REPORT_STYLE "${folder}/page.css")
  read_asset(PRM_SCORE_CHART_LICENCE "${folder}/chart_licence.txt")
  read_asset(PRM_SCORE_CHART_LIBRARY "${PRM_SCORE_CHART_JS}")
  if(NOT PRM_SCORE_CHART_LIBRARY MATCHES "^/\\*![^/]*Chart\\.js v3\\.")
    message(FATAL_ERROR "${PRM_SCORE_CHART_JS}: expected Chart.js 3, found something else")
  endif()
  set(PRM_SCORE_REPORT_SCRIPT "")
  foreach(name IN ITEMS elements rows documents charts table page)
    read_asset(script "${folder}/${name}.js")
    string(APPEND PRM_SCORE_REPORT_SCRIPT "${script}")
  endforeach()
  configure_file("${PROJECT_SOURCE_DIR}/src/io/report_assets.cpp.in" io/report_assets.cpp @ONLY)
  target_sources(${target} PRIVATE "${CMAKE_CURRENT_BINARY_DIR}/io/report_assets.cpp")
  set_source_files_properties("${CMAKE_CURRENT_BINARY_DIR}/io/report_assets.cpp" PROPERTIES
    INCLUDE_DIRECTORIES "${PROJECT_SOURCE_DIR}/src/io")
endfunction()
