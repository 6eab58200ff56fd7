#include "tests/server/raw_calls.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <grpcpp/impl/codegen/client_unary_call.h>
#include <grpcpp/impl/codegen/rpc_method.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <limits>
#include <utility>

namespace lossd {
namespace {

using grpc::internal::RpcMethod;

grpc::ByteBuffer ToBuffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string ToString(const grpc::ByteBuffer& buffer) {
  std::string bytes;
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

}  // namespace

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetMaxReceiveMessageSize(-1);
  // Otherwise channels of several tests share a connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(),
                                   arguments);
}

grpc::Status CallRaw(const std::shared_ptr<grpc::Channel>& channel,
                     const std::string& path, const std::string& request,
                     std::string* reply) {
  grpc::ClientContext context;
  const RpcMethod method(path.c_str(), RpcMethod::NORMAL_RPC, channel);
  grpc::ByteBuffer result;
  const grpc::Status status =
      grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(
          channel.get(), method, &context, ToBuffer(request), &result);
  if (status.ok() && reply != nullptr) *reply = ToString(result);
  return status;
}

RawStream::RawStream(std::shared_ptr<grpc::Channel> channel, const char* path)
    : channel_(std::move(channel)) {
  using Factory = grpc::internal::ClientReaderWriterFactory<grpc::ByteBuffer,
                                                            grpc::ByteBuffer>;
  stream_.reset(Factory::Create(
      channel_.get(), RpcMethod(path, RpcMethod::BIDI_STREAMING, channel_),
      &context_));
}

// Also for a call that nobody finished.
RawStream::~RawStream() { context_.TryCancel(); }

bool RawStream::Write(const std::string& message) {
  return stream_->Write(ToBuffer(message));
}

bool RawStream::Read(std::string* message) {
  grpc::ByteBuffer buffer;
  if (!stream_->Read(&buffer)) return false;
  *message = ToString(buffer);
  return true;
}

grpc::Status CallStream(const std::shared_ptr<grpc::Channel>& channel,
                        const char* path,
                        const std::vector<std::string>& messages,
                        std::vector<std::string>* replies) {
  RawStream stream(channel, path);
  for (const std::string& message : messages) stream.Write(message);
  stream.WritesDone();
  for (std::string reply; stream.Read(&reply);) replies->push_back(reply);
  return stream.Finish();
}

HttpReply HttpGet(const std::string& address, const std::string& path) {
  HttpReply reply;
  const size_t colon = address.rfind(':');
  std::array<char, 256> error = {};
  mg_connection* connection = mg_download(
      address.substr(0, colon).c_str(), std::stoi(address.substr(colon + 1)), 0,
      error.data(), error.size(), "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n",
      path.c_str(), address.c_str());
  if (connection == nullptr) return reply;
  reply.code = mg_get_response_info(connection)->status_code;
  std::array<char, 4096> part = {};
  for (int got = 0;
       (got = mg_read(connection, part.data(), part.size())) > 0;) {
    reply.body.append(part.data(), static_cast<size_t>(got));
  }
  mg_close_connection(connection);
  return reply;
}

namespace {

int OpenSocket(const std::string& address) {
  const size_t colon = address.rfind(':');
  sockaddr_in name = {};
  name.sin_family = AF_INET;
  name.sin_port =
      htons(static_cast<uint16_t>(std::stoi(address.substr(colon + 1))));
  EXPECT_EQ(
      inet_pton(AF_INET, address.substr(0, colon).c_str(), &name.sin_addr), 1);
  const int number = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(
      connect(number, reinterpret_cast<const sockaddr*>(&name), sizeof(name)),
      0);
  return number;
}

// A number in network order.
uint32_t ReadNumber(int socket, size_t bytes) {
  std::array<uint8_t, 4> digits = {};
  EXPECT_EQ(recv(socket, digits.data(), bytes, MSG_WAITALL),
            static_cast<ssize_t>(bytes));
  uint32_t number = 0;
  for (size_t i = 0; i < bytes; ++i) number = number << 8 | digits[i];
  return number;
}

}  // namespace

std::map<uint32_t, uint32_t> Http2SettingsOf(const std::string& address) {
  const int socket = OpenSocket(address);
  // The preface and empty settings: RFC 9113, 3.4 and 6.5.
  const std::string hello(
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", 33);
  EXPECT_EQ(send(socket, hello.data(), hello.size(), 0),
            static_cast<ssize_t>(hello.size()));
  const uint32_t length = ReadNumber(socket, 3);
  EXPECT_EQ(ReadNumber(socket, 2), 0x0400U);
  EXPECT_EQ(ReadNumber(socket, 4), 0U);
  std::map<uint32_t, uint32_t> settings;
  for (uint32_t read = 0; read < length; read += 6) {
    const uint32_t name = ReadNumber(socket, 2);
    settings[name] = ReadNumber(socket, 4);
  }
  close(socket);
  return settings;
}

SilentConnection::~SilentConnection() {
  if (number_ >= 0) close(number_);
}

void SilentConnection::Open(const std::string& address) {
  number_ = OpenSocket(address);
}

bool SilentConnection::Ended() const {
  // What the server says first does not matter.
  std::array<char, 256> bytes;
  ssize_t received = 0;
  do {
    received = recv(number_, bytes.data(), bytes.size(), MSG_DONTWAIT);
  } while (received > 0);
  return received == 0 || errno == ECONNRESET;
}

}  // namespace lossd
