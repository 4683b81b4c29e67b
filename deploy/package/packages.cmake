# `cpack` in the build folder writes the Debian packages into its folder `packages`. pack.cmake installs each component into a tree of
# its own, of which deploy/package/deb makes a package with Debian's tools (dpkg-shlibdeps, dpkg-gencontrol, dpkg-deb).
set(CPACK_GENERATOR External)
set(CPACK_EXTERNAL_PACKAGE_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/pack.cmake)
set(CPACK_PACKAGE_NAME xversed)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_XV_FOLDER ${CMAKE_CURRENT_LIST_DIR})
set(CPACK_XV_BUILD ${CMAKE_BINARY_DIR})
set(CPACK_XV_OUT ${CMAKE_BINARY_DIR}/packages)
set(CPACK_XV_REVISION 1) # Debian's; another one: cpack -D CPACK_XV_REVISION=2
set(CPACK_XV_DATE ${XV_DATE}) # of all files in the packages

get_cmake_property(CPACK_COMPONENTS_ALL COMPONENTS)
list(REMOVE_ITEM CPACK_COMPONENTS_ALL Unspecified)
include(CPack)
