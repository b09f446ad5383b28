# The functions the folders are described with. Sources are explicit lists: a file that is not listed is not built.
#
#   holdfast_library(NAME SOURCES .. PUBLIC headers.. [USES layers..] [PROTO x.proto..] [LINK targets..])
#   holdfast_example(NAME SOURCES .. USES layers.. [LINK targets..])
#   holdfast_test(NAME SOURCES .. USES layers.. LABEL unit|story|sim|net|.. [TIMEOUT s] [LINK ..] [ARGS ..]
#                 [ONLY_IN presets..] [SERIAL])
#   holdfast_script_test(NAME COMMAND .. LABEL .. [TIMEOUT s] [ONLY_IN presets..] [SERIAL])
#   holdfast_fuzz(NAME SOURCES .. USES layers.. CORPUS dir [LINK ..])
#
# USES takes base, rtcp, membership, replication. Libraries and tests are made of the same object files; tests and
# fuzzers link them statically, so that functions a shared library hides can be reached; examples link the shared ones.

set(HOLDFAST_WARNINGS
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes
    -Wswitch-enum -Wvla -Wwrite-strings -Wundef -Wformat=2 -Wcast-align -Wpointer-arith -Wimplicit-fallthrough)

# What every file of ours is compiled with.
add_library(holdfast_flags INTERFACE)
target_compile_options(holdfast_flags INTERFACE ${HOLDFAST_WARNINGS} -fno-strict-aliasing -fno-omit-frame-pointer)
# clang counts CHECK(!"what cannot happen") as a conversion.
target_compile_options(holdfast_flags INTERFACE $<$<C_COMPILER_ID:Clang>:-Wno-string-conversion>)
if(HOLDFAST_WERROR)
    target_compile_options(holdfast_flags INTERFACE -Werror)
endif()
if(HOLDFAST_SANITIZE)
    target_compile_options(holdfast_flags INTERFACE
        -fsanitize=${HOLDFAST_SANITIZE} -fno-sanitize-recover=all)
    target_link_options(holdfast_flags INTERFACE -fsanitize=${HOLDFAST_SANITIZE})
endif()
if(HOLDFAST_FUZZ)
    target_compile_options(holdfast_flags INTERFACE -fsanitize=fuzzer-no-link)
    target_link_options(holdfast_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
target_include_directories(holdfast_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_include_directories(holdfast_flags SYSTEM INTERFACE ${PROJECT_BINARY_DIR}) # *.pb-c.h

# C11 without extensions; files that touch the system (by their suffix, or all with SYSTEM) get the GNU functions, too.
function(holdfast_dialect target)
    cmake_parse_arguments(PARSE_ARGV 1 D "SYSTEM" "" "")
    set_target_properties(${target} PROPERTIES C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS ${D_SYSTEM})
    if(D_SYSTEM)
        target_compile_definitions(${target} PRIVATE _GNU_SOURCE=)
        return()
    endif()
    get_target_property(sources ${target} SOURCES)
    foreach(source IN LISTS sources)
        if(source MATCHES "(_(loop|disk)|blocking(_[a-z]+)?)\\.c$")
            set_property(SOURCE ${source} APPEND PROPERTY COMPILE_OPTIONS -std=gnu11)
            set_property(SOURCE ${source} APPEND PROPERTY COMPILE_DEFINITIONS _GNU_SOURCE=)
        endif()
    endforeach()
endfunction()

# The static libraries of the layers named; ret_missing names those that have no sources yet.
function(holdfast_static_uses ret_targets ret_missing)
    set(targets "")
    set(missing "")
    foreach(layer IN LISTS ARGN)
        if(TARGET holdfast-${layer}-static)
            list(APPEND targets holdfast-${layer}-static)
        else()
            list(APPEND missing ${layer})
        endif()
    endforeach()
    set(${ret_targets} ${targets} PARENT_SCOPE)
    set(${ret_missing} ${missing} PARENT_SCOPE)
endfunction()

# Generated protobuf-c code: included as "membership/membership.pb-c.h", compiled without warnings.
function(holdfast_proto ret_sources)
    set(sources "")
    foreach(proto IN LISTS ARGN)
        cmake_path(GET proto STEM stem)
        set(generated ${CMAKE_CURRENT_BINARY_DIR}/${stem}.pb-c)
        add_custom_command(OUTPUT ${generated}.c ${generated}.h
            COMMAND ${PROTOC_C} --c_out=${PROJECT_BINARY_DIR} -I${PROJECT_SOURCE_DIR}
                    ${CMAKE_CURRENT_SOURCE_DIR}/${proto}
            DEPENDS ${proto} VERBATIM)
        set_source_files_properties(${generated}.c PROPERTIES COMPILE_OPTIONS "-w")
        list(APPEND sources ${generated}.c ${generated}.h)
    endforeach()
    set(${ret_sources} ${sources} PARENT_SCOPE)
endfunction()

function(holdfast_library name)
    cmake_parse_arguments(PARSE_ARGV 1 L "" "" "SOURCES;PUBLIC;USES;PROTO;LINK;OBJECTS")
    set(full holdfast-${name})
    if(NOT L_SOURCES)
        message(STATUS "${full}: no sources yet, skipped")
        return()
    endif()
    holdfast_proto(generated ${L_PROTO})
    set(objects "")
    foreach(target IN LISTS L_OBJECTS)
        list(APPEND objects $<TARGET_OBJECTS:${target}>)
    endforeach()

    add_library(${full}-objects OBJECT ${L_SOURCES} ${generated})
    holdfast_dialect(${full}-objects)
    set_target_properties(${full}-objects PROPERTIES POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden)
    target_link_libraries(${full}-objects PRIVATE holdfast_flags ${L_LINK})

    # Without the layer below there can be tests of the cores, but no shared library.
    holdfast_static_uses(static_uses missing ${L_USES})
    list(TRANSFORM L_USES PREPEND holdfast- OUTPUT_VARIABLE shared_uses)
    if(missing)
        list(APPEND static_uses holdfast-base-static)
    endif()
    foreach(target IN LISTS shared_uses)
        if(NOT TARGET ${target})
            set(missing ${target})
            message(STATUS "${full}: ${target} is not complete yet, no shared library")
        endif()
    endforeach()

    add_library(${full}-static STATIC $<TARGET_OBJECTS:${full}-objects> ${objects})
    set_target_properties(${full}-static PROPERTIES LINKER_LANGUAGE C)
    target_link_libraries(${full}-static PUBLIC ${static_uses} ${L_LINK} holdfast_flags)
    if(missing)
        return()
    endif()

    add_library(${full} SHARED $<TARGET_OBJECTS:${full}-objects> ${objects})
    add_library(holdfast::${name} ALIAS ${full})
    target_sources(${full} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${L_PUBLIC})
    target_link_libraries(${full} PUBLIC ${shared_uses} PRIVATE $<BUILD_INTERFACE:holdfast_flags> ${L_LINK})
    set(script ${PROJECT_SOURCE_DIR}/cmake/${name}.map)
    target_link_options(${full} PRIVATE -Wl,--version-script=${script})
    if(NOT HOLDFAST_SANITIZE)
        target_link_options(${full} PRIVATE -Wl,-z,defs)
    endif()
    # Before 1.0 a minor version may break the interface, so it is part of the soname.
    set_target_properties(${full} PROPERTIES LINKER_LANGUAGE C EXPORT_NAME ${name} LINK_DEPENDS ${script}
        VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
    set_property(GLOBAL APPEND PROPERTY HOLDFAST_LIBRARIES ${name})
    set_property(GLOBAL PROPERTY HOLDFAST_USES_${name} "${L_USES}")
endfunction()

add_custom_target(programs COMMENT "All example programs") # what examples/demo builds

function(holdfast_example name)
    cmake_parse_arguments(PARSE_ARGV 1 E "" "" "SOURCES;USES;LINK")
    set(uses "")
    foreach(layer IN LISTS E_USES)
        if(NOT TARGET holdfast-${layer})
            message(STATUS "example ${name}: ${layer} has no sources yet, skipped")
            return()
        endif()
        list(APPEND uses holdfast::${layer})
    endforeach()
    add_executable(${name} ${E_SOURCES})
    add_dependencies(programs ${name})
    holdfast_dialect(${name} SYSTEM)
    target_link_libraries(${name} PRIVATE holdfast_flags ${uses} holdfast_ev ${E_LINK})
endfunction()

# A ctest entry with the settings that all tests share.
function(holdfast_test_entry name)
    cmake_parse_arguments(PARSE_ARGV 1 T "SERIAL" "LABEL;TIMEOUT" "COMMAND;ONLY_IN")
    if(NOT T_LABEL)
        message(FATAL_ERROR "test ${name} has no LABEL")
    endif()
    if(NOT T_TIMEOUT)
        set(T_TIMEOUT 60)
    endif()
    if(HOLDFAST_PRESET STREQUAL valgrind)
        math(EXPR T_TIMEOUT "${T_TIMEOUT} * 20")
    elseif(HOLDFAST_PRESET STREQUAL tsan)
        math(EXPR T_TIMEOUT "${T_TIMEOUT} * 5")
    endif()
    if(T_ONLY_IN AND HOLDFAST_PRESET AND NOT HOLDFAST_PRESET IN_LIST T_ONLY_IN)
        return()
    endif()
    add_test(NAME ${name} COMMAND ${T_COMMAND} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    set_tests_properties(${name} PROPERTIES LABELS "${T_LABEL}" TIMEOUT ${T_TIMEOUT} RUN_SERIAL ${T_SERIAL})
    set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT
        "HOLDFAST_SOURCE_DIR=${PROJECT_SOURCE_DIR}" "HOLDFAST_BINARY_DIR=${PROJECT_BINARY_DIR}"
        "ASAN_OPTIONS=abort_on_error=1:detect_stack_use_after_return=1:strict_string_checks=1"
        "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1" "TSAN_OPTIONS=halt_on_error=1")
endfunction()

function(holdfast_test name)
    cmake_parse_arguments(PARSE_ARGV 1 T "SERIAL" "LABEL;TIMEOUT" "SOURCES;USES;LINK;ARGS;ONLY_IN")
    holdfast_static_uses(uses missing ${T_USES})
    if(missing)
        message(STATUS "test ${name}: ${missing} has no sources yet, skipped")
        return()
    endif()
    add_executable(${name} ${T_SOURCES})
    holdfast_dialect(${name} SYSTEM)
    target_link_libraries(${name} PRIVATE holdfast_flags ${uses} PkgConfig::CMOCKA ${T_LINK})
    if(T_SERIAL)
        set(T_SERIAL SERIAL)
    else()
        set(T_SERIAL "")
    endif()
    holdfast_test_entry(${name} COMMAND ${name} ${T_ARGS} LABEL ${T_LABEL} TIMEOUT ${T_TIMEOUT}
        ONLY_IN ${T_ONLY_IN} ${T_SERIAL})
endfunction()

function(holdfast_script_test name)
    holdfast_test_entry(${name} ${ARGN})
endfunction()

function(holdfast_fuzz name)
    cmake_parse_arguments(PARSE_ARGV 1 F "" "CORPUS" "SOURCES;USES;LINK")
    holdfast_static_uses(uses missing ${F_USES})
    if(missing)
        message(STATUS "fuzzer ${name}: ${missing} has no sources yet, skipped")
        return()
    endif()
    add_executable(${name} ${F_SOURCES})
    holdfast_dialect(${name} SYSTEM)
    target_link_libraries(${name} PRIVATE holdfast_flags ${uses} ${F_LINK})
    cmake_path(ABSOLUTE_PATH F_CORPUS)
    if(HOLDFAST_FUZZ)
        target_link_options(${name} PRIVATE -fsanitize=fuzzer)
        holdfast_test_entry(${name} LABEL fuzz TIMEOUT 300
            COMMAND ${PROJECT_SOURCE_DIR}/tests/fuzz/campaign $<TARGET_FILE:${name}> ${F_CORPUS})
        return()
    endif()
    target_sources(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/fuzz/replay.c)
    holdfast_test_entry(${name} COMMAND ${name} ${F_CORPUS} LABEL fuzz-corpus TIMEOUT 60)
endfunction()
