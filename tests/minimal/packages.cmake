# The libraries that the minimal build takes where they are installed, and replaces by the header of their name in this folder where
# they are not: one rank, no documents, plain loops. -DWIRESWEEP_MINIMAL=REPLACED replaces them all.
function(ws_find_or_replace name library header) # and folders to look for the header in
  add_library(PkgConfig::${name} INTERFACE IMPORTED GLOBAL)
  if(NOT WIRESWEEP_MINIMAL STREQUAL "REPLACED")
    find_path(WS_${name}_INCLUDE ${header} PATH_SUFFIXES ${ARGN})
    find_library(WS_${name}_LIBRARY ${library})
  endif()
  if(WS_${name}_INCLUDE AND WS_${name}_LIBRARY)
    target_include_directories(PkgConfig::${name} SYSTEM INTERFACE ${WS_${name}_INCLUDE})
    target_link_libraries(PkgConfig::${name} INTERFACE ${WS_${name}_LIBRARY})
    message(STATUS "  ${library} ${WS_${name}_LIBRARY}")
  else()
    target_include_directories(PkgConfig::${name} INTERFACE ${PROJECT_SOURCE_DIR}/tests/minimal/${library})
    message(STATUS "  ${library} replaced")
  endif()
endfunction()

message(STATUS "minimal build")
find_package(Threads REQUIRED)
ws_find_or_replace(OPENBLAS openblas f77blas.h x86_64-linux-gnu/openblas-pthread openblas)
ws_find_or_replace(CJSON cjson cjson/cJSON.h)
ws_find_or_replace(CMOCKA cmocka cmocka.h)
add_library(PkgConfig::MPI_PC INTERFACE IMPORTED GLOBAL) # one rank, whatever is installed
target_include_directories(PkgConfig::MPI_PC INTERFACE ${PROJECT_SOURCE_DIR}/tests/minimal/mpi)
