# `cpack` in the build folder writes the Debian packages into its folder `packages`. CPack installs each component into a tree of its
# own; deploy/package/deb makes a package of each tree with Debian's tools (dpkg-shlibdeps, dpkg-gencontrol, dpkg-deb).
set(CPACK_GENERATOR External)
set(CPACK_EXTERNAL_ENABLE_STAGING ON)
set(CPACK_EXTERNAL_PACKAGE_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/pack.cmake)
set(CPACK_PACKAGE_NAME xversed)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_CMAKE_GENERATOR Ninja) # with that of Makefiles, cpack first builds everything, tests too: packages need `product` alone
set(CPACK_XV_FOLDER ${CMAKE_CURRENT_LIST_DIR})
set(CPACK_XV_OUT ${CMAKE_BINARY_DIR}/packages)
set(CPACK_XV_REVISION 1 CACHE STRING "Debian revision of the packages") # cpack -D CPACK_XV_REVISION=2

set(CPACK_XV_DATE ${XV_DATE}) # of all files in the packages

get_cmake_property(CPACK_COMPONENTS_ALL COMPONENTS)
list(REMOVE_ITEM CPACK_COMPONENTS_ALL Unspecified)
include(CPack)
