// The settings of lossd: what there is, what it defaults to, what is allowed.

#ifndef LOSSD_SERVER_CONFIG_OPTIONS_H_
#define LOSSD_SERVER_CONFIG_OPTIONS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace lossd {

struct ServerOptions {
  // Where RPCs are served: "HOST:PORT" (port 0: any free one) or "unix:PATH".
  std::vector<std::string> listen = {"127.0.0.1:50051"};
  // Where callers on this machine get arenas, "unix:PATH"; empty: nowhere.
  std::string arena_listen;
  // Name or number of the group that may connect to Unix sockets. Empty: to
  // that of `arena_listen` the group of the process, to those of `listen`
  // whoever the umask allows to.
  std::string socket_group;
  // Where /metrics and /healthz are served, "HOST:PORT"; empty: nowhere.
  std::string metrics_listen = "127.0.0.1:9464";
  // TCP beyond this machine without TLS.
  bool allow_plaintext = false;
  // Files in PEM. The server's certificate with those between it and the root,
  // and its key: both or neither, which means no TLS. Unix sockets never have
  // it.
  std::string tls_certificate;
  std::string tls_key;
  // Of those who certify clients, who then must have a certificate.
  std::string tls_client_ca;
  // The file that says who may call; empty: everybody.
  std::string identities;
  // Whether anybody may ask which RPCs there are.
  bool reflection = true;
  // Most connections at a time, at most three quarters of the descriptors that
  // the process may have.
  int max_connections = 1000;
  // Threads that compute, at most as many as CPUs may be used; 0: as many.
  int threads = 0;
  // Largest request and reply.
  int64_t max_message_bytes = int64_t{256} << 20;
  // Bytes of arenas, requests in hand and replies not yet sent; 0: half of
  // MemoryLimit().
  int64_t memory_budget = 0;
  // Most items in a request.
  int64_t max_items = 16384;
  // Seconds between "not serving" and the refusal of new RPCs on shutdown, so
  // that load balancers notice.
  double drain_delay = 0;
  // Seconds that RPCs in flight get to finish on shutdown.
  double drain_timeout = 30;
  // "debug", "info", "warning" or "error".
  std::string log_level = "info";
};

struct CommandLine {
  ServerOptions options;
  // Not empty for --help, --version and --print_config: print this instead of
  // serving.
  std::string text;
};

// Names and values of all options, as a file of flags has them. No secrets:
// those are in files that the options name.
std::vector<std::pair<std::string, std::string>> Described(
    const ServerOptions& options);

// Reads the command line; the environment variable LOSSD_FLAG stands in for a
// --flag that is not given, and a line of --flag_file for one that the
// environment does not have either (flag_file.h; --listen may hold several
// addresses separated by commas). INVALID_ARGUMENT, one line, for anything that
// is not allowed, unknown names of all three among it.
absl::StatusOr<CommandLine> ParseCommandLine(int argc, const char* const* argv);

}  // namespace lossd

#endif  // LOSSD_SERVER_CONFIG_OPTIONS_H_
