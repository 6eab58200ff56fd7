# What every library, program and test of lossd has in common.

# lossd_add_library(NAME SOURCES file... DEPS target...)
function(lossd_add_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPS")
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC ${arg_DEPS} PRIVATE lossd_options)
endfunction()

# lossd_add_executable(NAME SOURCES file... DEPS target...)
function(lossd_add_executable name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPS")
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_DEPS} lossd_options)
endfunction()
