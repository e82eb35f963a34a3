# What the Extensions Index refuses when it is missing.

foreach(_field HOMEPAGE CATEGORY CONTRIBUTORS DESCRIPTION ICONURL SCREENSHOTURLS DEPENDS)
  if("${EXTENSION_${_field}}" STREQUAL "")
    message(FATAL_ERROR "EXTENSION_${_field} is empty")
  endif()
  if(EXTENSION_${_field} MATCHES ";")
    message(FATAL_ERROR "EXTENSION_${_field} must be one quoted string")
  endif()
  file(APPEND ${CMAKE_BINARY_DIR}/extension.txt.in "${_field}=${EXTENSION_${_field}}\n")
endforeach()
file(RENAME ${CMAKE_BINARY_DIR}/extension.txt.in ${CMAKE_BINARY_DIR}/extension.txt)
