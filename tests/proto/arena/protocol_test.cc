#include "proto/arena/protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace lossd::arena {
namespace {

using ::testing::HasSubstr;

using Packet = std::vector<std::byte>;

template <class Message>
Packet PacketOf(const Message& message) {
  const auto encoded = Encode(message);
  return {encoded.begin(), encoded.end()};
}

Id CountingId() {
  Id id;
  for (size_t i = 0; i < id.size(); ++i) id[i] = std::byte(i + 1);
  return id;
}

std::string WhyNoRequest(Packet packet) {
  std::string why;
  EXPECT_FALSE(DecodeRequest(packet, &why).has_value());
  return why;
}

std::string WhyNoReply(Packet packet) {
  std::string why;
  EXPECT_FALSE(DecodeReply(packet, &why).has_value());
  return why;
}

// `packet` with one byte of it set.
Packet With(Packet packet, size_t at, int value) {
  packet.at(at) = static_cast<std::byte>(value);
  return packet;
}

Reply Refusal(const std::string& text) {
  return {.kind = Kind::kFree, .tag = 7, .code = 5, .text = text};
}

TEST(ArenaProtocolTest, ACreateIsTheseBytes) {
  const Packet packet = PacketOf(Request{
      .kind = Kind::kCreate, .tag = 0x0807060504030201, .bytes = 0x1122334455});
  Packet expected(kRequestBytes);
  const std::vector<int> bytes = {'L', 'S', 'D',  'A',  1,    0,    1,
                                  0,   1,   2,    3,    4,    5,    6,
                                  7,   8,   0x55, 0x44, 0x33, 0x22, 0x11};
  std::transform(bytes.begin(), bytes.end(), expected.begin(),
                 [](int byte) { return static_cast<std::byte>(byte); });
  EXPECT_EQ(packet, expected);
}

TEST(ArenaProtocolTest, AReplyIsTheseBytes) {
  const Packet packet = PacketOf(Reply{.kind = Kind::kCreate,
                                       .tag = 3,
                                       .code = 8,
                                       .bytes = 0x0102,
                                       .id = CountingId(),
                                       .text = "no"});
  Packet expected(kReplyBytes);
  const std::vector<int> bytes = {
      'L', 'S', 'D', 'A', 1, 0, 1, 0,  3,  0,  0,  0,  0,  0,  0,   0,  8,
      0,   0,   0,   2,   0, 0, 0, 2,  1,  0,  0,  0,  0,  0,  0,   1,  2,
      3,   4,   5,   6,   7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 'n', 'o'};
  std::transform(bytes.begin(), bytes.end(), expected.begin(),
                 [](int byte) { return static_cast<std::byte>(byte); });
  EXPECT_EQ(packet, expected);
}

TEST(ArenaProtocolTest, ARequestIsReadAsItWasWritten) {
  std::string why;
  const auto create = DecodeRequest(
      PacketOf(Request{.kind = Kind::kCreate, .tag = ~0ULL, .bytes = ~0ULL}),
      &why);
  ASSERT_TRUE(create.has_value()) << why;
  EXPECT_EQ(create->kind, Kind::kCreate);
  EXPECT_EQ(create->tag, ~0ULL);
  // What may be wanted is for the server to say: it is a refusal.
  EXPECT_EQ(create->bytes, ~0ULL);
  const auto free = DecodeRequest(
      PacketOf(Request{.kind = Kind::kFree, .tag = 1, .id = CountingId()}),
      &why);
  ASSERT_TRUE(free.has_value()) << why;
  EXPECT_EQ(free->kind, Kind::kFree);
  EXPECT_EQ(free->id, CountingId());
}

TEST(ArenaProtocolTest, AReplyIsReadAsItWasWritten) {
  std::string why;
  const auto reply = DecodeReply(PacketOf(Reply{.kind = Kind::kNone,
                                                .tag = 9,
                                                .code = 16,
                                                .bytes = kMaxArenaBytes,
                                                .id = CountingId(),
                                                .text = "não"}),
                                 &why);
  ASSERT_TRUE(reply.has_value()) << why;
  EXPECT_EQ(reply->kind, Kind::kNone);
  EXPECT_EQ(reply->tag, 9U);
  EXPECT_EQ(reply->code, 16U);
  EXPECT_EQ(reply->bytes, kMaxArenaBytes);
  EXPECT_EQ(reply->id, CountingId());
  EXPECT_EQ(reply->text, "não");
}

TEST(ArenaProtocolTest, ATextIsCutBetweenTwoCharacters) {
  const auto kept = [](const std::string& text) {
    std::string why;
    const auto reply = DecodeReply(PacketOf(Refusal(text)), &why);
    return reply.has_value() ? reply->text : why;
  };
  const std::string whole(kMaxTextBytes, 'x');
  EXPECT_EQ(kept(whole), whole);
  EXPECT_EQ(kept(whole + "x"), whole);
  // A character of four bytes, of which so many would still have fitted.
  for (size_t fitting = 0; fitting < 4; ++fitting) {
    const std::string before(kMaxTextBytes - fitting, 'x');
    EXPECT_EQ(kept(before + "\U0001F600"), before) << fitting;
  }
  const std::string before(kMaxTextBytes - 4, 'x');
  EXPECT_EQ(kept(before + "\U0001F600y"), before + "\U0001F600");
}

TEST(ArenaProtocolTest, MalformedRequests) {
  const Packet create = PacketOf(Request{.kind = Kind::kCreate, .bytes = 1});
  const Packet free =
      PacketOf(Request{.kind = Kind::kFree, .id = CountingId()});
  EXPECT_EQ(WhyNoRequest({}), "length of the packet is 0, allowed is 48");
  EXPECT_EQ(WhyNoRequest(Packet(kRequestBytes - 1)),
            "length of the packet is 47, allowed is 48");
  Packet longer = create;
  longer.push_back({});
  EXPECT_EQ(WhyNoRequest(longer), "length of the packet is 49, allowed is 48");
  EXPECT_EQ(WhyNoRequest(With(create, 3, 'B')),
            "magic is 0x4c534442, allowed is 0x4c534441 (LSDA)");
  EXPECT_EQ(WhyNoRequest(With(create, 5, 1)), "version is 257, allowed is 1");
  for (const int kind : {0, 3}) {
    EXPECT_EQ(WhyNoRequest(With(create, 6, kind)),
              "kind is " + std::to_string(kind) + ", allowed is 1 to 2");
  }
  EXPECT_EQ(WhyNoRequest(With(create, 7, 1)), "kind is 257, allowed is 1 to 2");
  EXPECT_EQ(WhyNoRequest(With(free, 23, 0xab)),
            "byte 23 of a free is 0xab, allowed is 0");
  for (const size_t at : {24U, 39U}) {
    EXPECT_EQ(
        WhyNoRequest(With(create, at, 1)),
        "byte " + std::to_string(at) + " of a create is 0x01, allowed is 0");
  }
  for (const size_t at : {40U, 47U}) {
    const std::string why =
        "byte " + std::to_string(at) + " of a request is 0x01, allowed is 0";
    EXPECT_EQ(WhyNoRequest(With(create, at, 1)), why);
    EXPECT_EQ(WhyNoRequest(With(free, at, 1)), why);
  }
}

TEST(ArenaProtocolTest, MalformedReplies) {
  const Packet reply = PacketOf(Refusal("no"));
  EXPECT_EQ(WhyNoReply(Packet(kRequestBytes)),
            "length of the packet is 48, allowed is 256");
  EXPECT_THAT(WhyNoReply(With(reply, 0, 0)), HasSubstr("magic is 0x00534441"));
  EXPECT_EQ(WhyNoReply(With(reply, 4, 2)), "version is 2, allowed is 1");
  EXPECT_EQ(WhyNoReply(With(reply, 6, 3)), "kind is 3, allowed is 0 to 2");
  EXPECT_EQ(WhyNoReply(With(reply, 16, 17)), "code is 17, allowed is 0 to 16");
  EXPECT_EQ(WhyNoReply(With(reply, 20, 209)),
            "length of the text is 209, allowed is 0 to 208");
  for (const size_t at : {50U, 255U}) {
    EXPECT_EQ(
        WhyNoReply(With(reply, at, 1)),
        "byte " + std::to_string(at) + " of a reply is 0x01, allowed is 0");
  }
}

}  // namespace
}  // namespace lossd::arena
