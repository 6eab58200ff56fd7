#ifndef LOSSD_SERVER_LIBRARY_LOGS_H_
#define LOSSD_SERVER_LIBRARY_LOGS_H_

namespace lossd {

// Sends what gRPC (from warnings up) and protobuf (as debug) themselves have to
// say to our log instead of standard error.
void RouteLibraryLogs();

}  // namespace lossd

#endif  // LOSSD_SERVER_LIBRARY_LOGS_H_
