// Passes bytes on between clients and a server, until it is told not to.

#ifndef LOSSD_TESTS_CLIENT_RELAY_H_
#define LOSSD_TESTS_CLIENT_RELAY_H_

#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/client/fake_server.h"

namespace lossd::test {

// A Unix socket before another one, "unix:PATH".
class Relay {
 public:
  explicit Relay(const std::string& server);
  // Ends all connections.
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  const std::string& target() const { return target_; }

  // Until Thaw() nobody reads from the connections that there are, as if the
  // server's machine stood still.
  void Freeze();
  void Thaw();

  // Whether clients have sent this much that nobody has read yet, or more.
  bool HasUnread(int bytes);

  // All that has been read from clients.
  std::string Sent();

  // Connections that clients have made.
  size_t connections();

 private:
  // The client's end and the server's.
  struct Pair {
    int ends[2] = {-1, -1};
    bool frozen = false;
    bool ended = false;
  };

  void Run();
  void Wake();
  void Accept();
  // Passes on what is there to read from one end.
  void PassOn(Pair* pair, int end);

  const TempDir dir_;
  const std::string server_;
  const std::string target_;
  int listener_ = -1;
  // What is written to the second one, Run() notices.
  int wake_[2] = {-1, -1};
  std::mutex mutex_;
  bool stopping_ = false;
  std::vector<Pair> pairs_;
  std::string sent_;
  std::thread thread_;
};

}  // namespace lossd::test

#endif  // LOSSD_TESTS_CLIENT_RELAY_H_
