# What Holdfast links to. All of it is in Debian 12; cmake/install-dependencies.sh installs it.
find_package(PkgConfig REQUIRED)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)
find_program(PROTOC_C NAMES protoc-c REQUIRED)

# libev comes without a pkg-config file.
find_path(EV_INCLUDE_DIR NAMES ev.h REQUIRED)
find_library(EV_LIBRARY NAMES ev REQUIRED)
add_library(holdfast_ev INTERFACE)
target_include_directories(holdfast_ev SYSTEM INTERFACE ${EV_INCLUDE_DIR})
target_link_libraries(holdfast_ev INTERFACE ${EV_LIBRARY})

if(HOLDFAST_TESTS)
    pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
endif()
if(HOLDFAST_EXAMPLES)
    pkg_check_modules(HIREDIS REQUIRED IMPORTED_TARGET hiredis)
endif()
