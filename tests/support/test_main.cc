// SPDX-License-Identifier: EUPL-1.2
// Catch2's main, compiled once for all test programs: it takes longer than most of the tests.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
