# SPDX-License-Identifier: EUPL-1.2
# Language level, warnings and sanitizers, as one interface target that every target of ours links.
option(STAFFEL_TESTS "Build the tests and the benchmark" ON)
option(STAFFEL_FUZZ "Build the fuzz targets with libFuzzer (clang only)" OFF)
set(STAFFEL_SANITIZE "" CACHE STRING "Sanitizers for all targets, such as address,undefined or thread")

find_program(STAFFEL_CCACHE ccache)
if(STAFFEL_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      "${CMAKE_COMMAND};-E;env;CCACHE_BASEDIR=${CMAKE_SOURCE_DIR};CCACHE_NOHASHDIR=1;${STAFFEL_CCACHE}")
endif()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

add_library(staffel_options INTERFACE)
target_compile_features(staffel_options INTERFACE cxx_std_20)
target_compile_options(staffel_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wimplicit-fallthrough
  # Options are given by name, the rest stays at its default: that is what they are for.
  -Wno-missing-field-initializers
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>)
target_compile_definitions(staffel_options INTERFACE
  $<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=2>)
if(STAFFEL_SANITIZE)
  # Everything, the generated code too: a sanitizer that sees half of a program reports nonsense.
  add_compile_options(-fsanitize=${STAFFEL_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${STAFFEL_SANITIZE})
  target_compile_options(staffel_options INTERFACE -U_FORTIFY_SOURCE)
endif()
if(STAFFEL_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
