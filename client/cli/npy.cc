#include "client/cli/npy.h"

#include <array>
#include <cctype>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace lossd::cli {
namespace {

constexpr char kMagic[] = "\x93NUMPY";
constexpr size_t kMagicLength = 6;
// Data begin at a multiple of this, so that they can be mapped.
constexpr size_t kAlignment = 64;
constexpr char kReadable[] =
    "allowed: float16, bfloat16, float32, float64, int32, int64 and bool";

struct NpyType {
  const char* descr;
  v1::Dtype dtype;
};
// Of several with one dtype the last is written.
constexpr std::array<NpyType, 8> kTypes = {{{"<f4", v1::DTYPE_FLOAT32},
                                            {"<f8", v1::DTYPE_FLOAT64},
                                            {"<i4", v1::DTYPE_INT32},
                                            {"<i8", v1::DTYPE_INT64},
                                            {"|b1", v1::DTYPE_BOOL},
                                            {"<f2", v1::DTYPE_FLOAT16},
                                            {"|V2", v1::DTYPE_BFLOAT16},
                                            {"<V2", v1::DTYPE_BFLOAT16}}};

absl::Status Malformed(const std::string& what) {
  return absl::InvalidArgumentError(
      absl::StrCat("not a well-formed .npy file: ", what));
}

// Reads the header's text from front to back.
class HeaderReader {
 public:
  explicit HeaderReader(std::string text) : text_(std::move(text)) {}

  // Skips spaces, then `token` if it comes next.
  bool Accept(const std::string& token) {
    while (position_ < text_.size() &&
           std::isspace(static_cast<unsigned char>(text_[position_])) != 0) {
      ++position_;
    }
    if (text_.compare(position_, token.size(), token) != 0) return false;
    position_ += token.size();
    return true;
  }

  bool AtEnd() { return Accept("") && position_ == text_.size(); }

  // 'text' or "text".
  std::optional<std::string> String() {
    const std::string quote = Accept("'") ? "'" : "\"";
    if (quote == "\"" && !Accept(quote)) return std::nullopt;
    const size_t end = text_.find(quote, position_);
    if (end == std::string::npos) return std::nullopt;
    std::string value = text_.substr(position_, end - position_);
    position_ = end + 1;
    return value;
  }

  // (), (3,), (3, 4); Python 2 wrote (3L, 4L).
  std::optional<std::vector<int64_t>> Tuple() {
    if (!Accept("(")) return std::nullopt;
    std::vector<int64_t> values;
    while (!Accept(")")) {
      const char* const begin = text_.data() + position_;
      const char* const end = text_.data() + text_.size();
      int64_t value = 0;
      const auto [stop, error] = std::from_chars(begin, end, value);
      if (error != std::errc() || value < 0) return std::nullopt;
      position_ += static_cast<size_t>(stop - begin);
      Accept("L");
      values.push_back(value);
      if (!Accept(",")) {
        if (!Accept(")")) return std::nullopt;
        break;
      }
    }
    return values;
  }

 private:
  std::string text_;
  size_t position_ = 0;
};

struct Header {
  std::optional<std::string> descr;
  std::optional<bool> fortran_order;
  std::optional<std::vector<int64_t>> shape;
};

absl::StatusOr<Header> ParseHeader(const std::string& text) {
  HeaderReader reader(text);
  Header header;
  if (!reader.Accept("{")) return Malformed("its header is no dictionary");
  while (!reader.Accept("}")) {
    const std::optional<std::string> key = reader.String();
    if (!key || !reader.Accept(":")) {
      return Malformed("its header is no dictionary");
    }
    if (*key == "descr") {
      if (reader.Accept("[")) {
        return absl::InvalidArgumentError(
            absl::StrCat("got a structured array, ", kReadable));
      }
      header.descr = reader.String();
    } else if (*key == "fortran_order") {
      if (reader.Accept("True")) header.fortran_order = true;
      if (reader.Accept("False")) header.fortran_order = false;
    } else if (*key == "shape") {
      header.shape = reader.Tuple();
    } else {
      return Malformed(absl::StrCat("its header has the key '", *key, "'"));
    }
    if (!reader.Accept(",")) {
      if (!reader.Accept("}")) return Malformed("its header is no dictionary");
      break;
    }
  }
  if (!header.descr || !header.fortran_order || !header.shape ||
      !reader.AtEnd()) {
    return Malformed("its header must hold descr, fortran_order and shape");
  }
  return header;
}

absl::StatusOr<v1::Dtype> ParseDescr(const std::string& descr) {
  for (const NpyType& type : kTypes) {
    if (descr == type.descr) return type.dtype;
  }
  if (descr.rfind("|O", 0) == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "got an array of Python objects, ", kReadable,
        "; rows of different lengths become objects: pad them and use a mask"));
  }
  for (const NpyType& type : kTypes) {
    if (descr.rfind('>', 0) == 0 && descr.substr(1) == type.descr + 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          "got big-endian numbers ('", descr,
          "'), allowed: little-endian, a.astype('", type.descr, "') in NumPy"));
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("got elements of type '", descr, "', ", kReadable));
}

// Number of bytes of an array. Unset if even a part of it, some axes of 0
// aside, could not be counted: then its rows could not be either.
std::optional<size_t> ByteCount(const std::vector<int64_t>& shape,
                                v1::Dtype dtype) {
  int64_t bytes = static_cast<int64_t>(SizeOf(dtype));
  bool empty = false;
  for (const int64_t axis : shape) {
    empty = empty || axis == 0;
    if (axis != 0 && __builtin_mul_overflow(bytes, axis, &bytes)) return {};
  }
  return empty ? 0 : static_cast<size_t>(bytes);
}

}  // namespace

absl::StatusOr<Array> ParseNpy(const std::string& text) {
  if (text.compare(0, kMagicLength, kMagic) != 0) {
    return Malformed("it does not begin with \\x93NUMPY");
  }
  if (text.size() < kMagicLength + 4) return Malformed("it is cut short");
  const auto byte = [&text](size_t position) {
    return static_cast<size_t>(static_cast<unsigned char>(text[position]));
  };
  const size_t version = byte(kMagicLength);
  if (version < 1 || version > 3) {
    return Malformed(
        absl::StrCat("its format version is ", version, ", allowed: 1, 2, 3"));
  }
  const size_t length_bytes = version == 1 ? 2 : 4;
  const size_t header_begin = kMagicLength + 2 + length_bytes;
  if (text.size() < header_begin) return Malformed("it is cut short");
  size_t header_length = 0;
  for (size_t i = 0; i < length_bytes; ++i) {
    header_length |= byte(kMagicLength + 2 + i) << (8 * i);
  }
  if (text.size() - header_begin < header_length) {
    return Malformed("it is cut short");
  }
  absl::StatusOr<Header> header =
      ParseHeader(text.substr(header_begin, header_length));
  if (!header.ok()) return header.status();
  const absl::StatusOr<v1::Dtype> dtype = ParseDescr(*header->descr);
  if (!dtype.ok()) return dtype.status();
  if (*header->fortran_order) {
    return absl::InvalidArgumentError(
        "got Fortran order, allowed: C order, np.ascontiguousarray(a)");
  }
  const size_t data_begin = header_begin + header_length;
  const size_t data_bytes = text.size() - data_begin;
  const std::optional<size_t> bytes = ByteCount(*header->shape, *dtype);
  if (!bytes || *bytes != data_bytes) {
    return Malformed(absl::StrCat(
        "shape ", ShapeText(*header->shape), " of ", DtypeName(*dtype),
        bytes ? absl::StrCat(" needs ", *bytes, " bytes")
              : " is larger than any file",
        ", it has ", data_bytes));
  }
  return Array{*dtype, *std::move(header->shape), text.substr(data_begin)};
}

std::string FormatNpy(const Array& array) {
  std::string descr;
  for (const NpyType& type : kTypes) {
    if (type.dtype == array.dtype) descr = type.descr;
  }
  const std::string shape = absl::StrCat("(", absl::StrJoin(array.shape, ", "),
                                         array.shape.size() == 1 ? ",)" : ")");
  std::string header =
      absl::StrCat("{'descr': '", descr,
                   "', 'fortran_order': False, 'shape': ", shape, ", }");
  const size_t preamble = kMagicLength + 2 + 2;
  const size_t used = preamble + header.size() + 1;
  header.append((kAlignment - used % kAlignment) % kAlignment, ' ');
  header.push_back('\n');
  std::string text(kMagic, kMagicLength);
  text.append({'\x01', '\x00', static_cast<char>(header.size() & 0xff),
               static_cast<char>(header.size() >> 8)});
  return absl::StrCat(text, header, array.data);
}

}  // namespace lossd::cli
