# Install and export: libraries, headers under include/holdfast, a CMake package and pkg-config files.
include(CMakePackageConfigHelpers)

get_property(layers GLOBAL PROPERTY HOLDFAST_LIBRARIES)
if(NOT layers)
    return()
endif()
set(header_dir ${CMAKE_INSTALL_INCLUDEDIR}/holdfast)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/holdfast)

# Relative, so that an installation may be moved.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig
    OUTPUT_VARIABLE HOLDFAST_PC_PREFIX)

foreach(layer IN LISTS layers)
    install(TARGETS holdfast-${layer} EXPORT holdfast
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        FILE_SET HEADERS DESTINATION ${header_dir})

    get_property(HOLDFAST_PC_REQUIRES GLOBAL PROPERTY HOLDFAST_USES_${layer})
    list(TRANSFORM HOLDFAST_PC_REQUIRES PREPEND holdfast-)
    list(JOIN HOLDFAST_PC_REQUIRES ", " HOLDFAST_PC_REQUIRES)
    set(HOLDFAST_PC_NAME holdfast-${layer})
    configure_file(${PROJECT_SOURCE_DIR}/cmake/holdfast.pc.in ${PROJECT_BINARY_DIR}/holdfast-${layer}.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/holdfast-${layer}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

install(EXPORT holdfast NAMESPACE holdfast:: DESTINATION ${package_dir} FILE holdfast-targets.cmake)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/holdfast-config.cmake.in
    ${PROJECT_BINARY_DIR}/holdfast-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/holdfast-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/holdfast-config.cmake ${PROJECT_BINARY_DIR}/holdfast-config-version.cmake
    DESTINATION ${package_dir})
