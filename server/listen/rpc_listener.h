// Connections for gRPC.

#ifndef LOSSD_SERVER_LISTEN_RPC_LISTENER_H_
#define LOSSD_SERVER_LISTEN_RPC_LISTENER_H_

#include <grpcpp/grpcpp.h>
#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/arena/descriptor.h"
#include "server/listen/acceptor.h"
#include "server/listen/listen_address.h"
#include "server/listen/tcp_sockets.h"
#include "server/listen/unix_socket.h"

namespace lossd {

// Listens, accepts as many connections as are allowed at a time, and hands them
// to gRPC, which neither bounds them nor tells why it could not bind, and whose
// own loop never accepts again once descriptors were short (CVE-2023-4785).
class RpcListener {
 public:
  struct Options {
    std::vector<ListenAddress> addresses;
    // Name or number of the group that may connect to Unix sockets; empty:
    // whoever the umask allows to.
    std::string group;
    size_t max_connections = 1000;
    // After how many milliseconds in which a client does not acknowledge what
    // was sent TCP gives it up.
    int unacknowledged_milliseconds = 20'000;
  };

  // Binds all of them; clients wait until Serve. INVALID_ARGUMENT for an
  // unknown group; FAILED_PRECONDITION, one line, if one is taken or not
  // allowed.
  static absl::StatusOr<std::unique_ptr<RpcListener>> Listen(
      const Options& options);

  RpcListener(const RpcListener&) = delete;
  RpcListener& operator=(const RpcListener&) = delete;

  // Makes `builder` serve what is accepted here: connections over TCP with
  // these credentials, those over Unix sockets as they are.
  void AddTo(grpc::ServerBuilder& builder,
             std::shared_ptr<grpc::ServerCredentials> tcp);
  // When the server that was built runs. Once.
  void Serve();
  // Takes the sockets away. What was accepted goes on. Once, after Serve.
  void Stop();

  // Will end the connection of this peer, as gRPC names it. Not one over a Unix
  // socket, whose peers have no names. Thread-safe.
  void Close(const std::string& peer);

  // As the options give them, with the ports that were bound.
  const std::vector<std::string>& addresses() const { return texts_; }

  // That are open now. Thread-safe.
  size_t connections();
  // That were closed at once, since there were too many. Thread-safe.
  uint64_t refused_connections() const { return refused_; }

 private:
  using GrpcAcceptor = grpc::experimental::ExternalConnectionAcceptor;
  // gRPC closes a connection without a word, and its number may be another
  // file's by then: what it was tells.
  struct Connection {
    int number = -1;
    ino_t inode = 0;
  };

  explicit RpcListener(size_t max_connections)
      : max_connections_(max_connections) {}
  void Accepted(size_t socket, Descriptor connection);
  void CloseWhoIsToGo();
  // False if there are too many.
  bool TryAdd(int number);
  // Under the lock.
  void DropClosed();

  const size_t max_connections_;
  std::vector<TcpSockets> tcp_;
  std::vector<std::unique_ptr<UnixSocket>> unix_;
  // All of their sockets, those of TCP first.
  std::vector<int> sockets_;
  size_t tcp_sockets_ = 0;
  std::vector<std::string> texts_;
  std::unique_ptr<GrpcAcceptor> to_tcp_;
  std::unique_ptr<GrpcAcceptor> to_unix_;
  std::atomic<uint64_t> refused_ = 0;
  std::mutex mutex_;
  std::vector<Connection> open_;
  std::set<std::string> to_close_;
  std::unique_ptr<Acceptor> acceptor_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_LISTEN_RPC_LISTENER_H_
