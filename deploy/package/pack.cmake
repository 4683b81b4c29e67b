# Run by cpack: installs each component as if below /, into a tree of its own, and makes the packages. Files that hold the prefix hold
# /usr then; with CPack's own staging they would hold a folder of the build.
if(DEFINED ENV{SOURCE_DATE_EPOCH})
  set(CPACK_XV_DATE $ENV{SOURCE_DATE_EPOCH})
endif()
set(trees ${CPACK_TEMPORARY_DIRECTORY})
file(REMOVE_RECURSE ${trees})
foreach(component ${CPACK_COMPONENTS_ALL})
  execute_process(
    COMMAND ${CMAKE_COMMAND} -E env DESTDIR=${trees}/${component}
      ${CMAKE_COMMAND} --install ${CPACK_XV_BUILD} --prefix /usr --component ${component} --strip
    RESULT_VARIABLE code OUTPUT_QUIET)
  if(code)
    message(FATAL_ERROR "component ${component} is not built (above: what is missing): build the targets `product` and `xverse_python`")
  endif()
endforeach()
execute_process(
  COMMAND ${CPACK_XV_FOLDER}/deb ${trees} ${CPACK_XV_OUT}
    ${CPACK_PACKAGE_VERSION}-${CPACK_XV_REVISION} "${CPACK_XV_DATE}" ${CPACK_XV_COMPRESSION}
  RESULT_VARIABLE code)
if(code)
  message(FATAL_ERROR "the packages could not be made (above: why)")
endif()
