# SPDX-License-Identifier: EUPL-1.2
# staffel_library(NAME HEADERS ... [SOURCES ...] [DEPENDS ...] [PRIVATE_DEPENDS ...])
#   A static library of ours, staffel_NAME, with its headers in a FILE_SET whose members are each
#   checked to compile alone (target all_verify_interface_header_sets). Without sources it is an
#   interface library. Includes are written from the project's root: "core/base/result.h".
function(staffel_library name)
  cmake_parse_arguments(ARG "" "" "HEADERS;SOURCES;DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  set(target staffel_${name})
  if(ARG_SOURCES)
    set(scope PUBLIC)
    add_library(${target} STATIC ${ARG_SOURCES})
    target_link_libraries(${target} PRIVATE staffel_options ${ARG_PRIVATE_DEPENDS})
  else()
    set(scope INTERFACE)
    add_library(${target} INTERFACE)
  endif()
  if(ARG_HEADERS)
    target_sources(${target} ${scope} FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}" FILES ${ARG_HEADERS})
    set_target_properties(${target} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
  endif()
  target_include_directories(${target} ${scope} $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
  target_link_libraries(${target} ${scope} ${ARG_DEPENDS})
endfunction()

# staffel_test(NAME SOURCES ... DEPENDS ... [LABELS ...])
#   A Catch2 program, NAME, whose test cases ctest lists one by one. The main is compiled once.
function(staffel_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE staffel_options ${ARG_DEPENDS} Catch2::Catch2 rapidcheck rapidcheck_catch
                        staffel_test_main)
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  catch_discover_tests(${name} TEST_PREFIX "${name}: " PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 600)
endfunction()
