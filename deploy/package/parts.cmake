# Which package gets what: install() names one of these components, of which deploy/package/debian/control has the packages.
#   server   daemon, launcher, documents (where install() names none)     library  libxverse.so.0
#   cuda     the plug-in for GPUs                                         dev      what programs that use libxverse are built with
#   tools    CLI, gateway, completion                                     demo     the bundled model and its web demo
#   python   the Python client
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME server)

# Where Debian's packages keep the libraries of an architecture; the loader and pkg-config look there, and CMake in any prefix.
if(EXISTS /etc/debian_version AND CMAKE_LIBRARY_ARCHITECTURE AND NOT DEFINED CMAKE_INSTALL_LIBDIR)
  set(CMAKE_INSTALL_LIBDIR lib/${CMAKE_LIBRARY_ARCHITECTURE} CACHE PATH "Libraries, below the prefix")
endif()

# Two builds of one commit are equal to the byte, wherever they lie, if no path of the build folder stays in what is built. Off by
# default: debuggers then find no source unless they are started in the root of the tree.
option(XV_REPRODUCIBLE "No paths of this machine in programs (deploy/package/make)" OFF)
if(XV_REPRODUCIBLE)
  add_compile_options("$<$<COMPILE_LANGUAGE:C,CXX>:-ffile-prefix-map=${CMAKE_BINARY_DIR}=.>"
    "$<$<COMPILE_LANGUAGE:C,CXX>:-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.>")
endif()
