// Unix sockets and descriptors of tests.

#ifndef LOSSD_TESTS_SUPPORT_UNIX_SOCKETS_H_
#define LOSSD_TESTS_SUPPORT_UNIX_SOCKETS_H_

#include <sys/un.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace lossd::test {

// As the system calls for sockets take a path.
sockaddr_un UnixName(const std::string& path);

// Sends a packet with copies of these descriptors. False if it was not sent;
// errno then says why.
bool SendPacket(int socket, std::span<const std::byte> packet,
                const std::vector<int>& files = {});

// Of this process.
size_t OpenDescriptors();

}  // namespace lossd::test

#endif  // LOSSD_TESTS_SUPPORT_UNIX_SOCKETS_H_
