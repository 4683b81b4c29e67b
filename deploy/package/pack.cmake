# Run by cpack when each component lies in its tree: makes the packages.
if(DEFINED ENV{SOURCE_DATE_EPOCH})
  set(CPACK_XV_DATE $ENV{SOURCE_DATE_EPOCH})
endif()
execute_process(
  COMMAND ${CPACK_XV_FOLDER}/deb ${CPACK_TEMPORARY_DIRECTORY} ${CPACK_XV_OUT}
    ${CPACK_PACKAGE_VERSION}-${CPACK_XV_REVISION} "${CPACK_XV_DATE}" ${CPACK_XV_COMPRESSION}
  RESULT_VARIABLE code)
if(code)
  message(FATAL_ERROR "the packages could not be made (above: why)")
endif()
