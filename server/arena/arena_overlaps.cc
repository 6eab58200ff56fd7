#include "server/arena/arena_overlaps.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "lib/core/violation.h"
#include "server/merged_item.h"

namespace lossd {
namespace {

struct Range {
  absl::string_view id;
  uint64_t begin = 0;
  uint64_t end = 0;
  bool output = false;
  int item = 0;
  // Among the fields of the item, and the key if that is a map: a copy, since
  // those of merged items do not live as long as this.
  const char* field = nullptr;
  std::string key;
};

std::string PathOf(const Range& range) {
  return range.key.empty() ? range.field
                           : absl::StrCat(range.field, ".", range.key);
}

bool HasDestinations(const v1::Outputs& outputs) {
  return outputs.has_gradient_to() || outputs.has_row_losses_to() ||
         !outputs.extra_gradients_to().empty();
}

// All ranges of a request.
class Ranges {
 public:
  Ranges(const v1::LossItem& defaults,
         std::span<const v1::LossItem* const> items) {
    for (const v1::LossItem* item : items) {
      AddItem(Merge(defaults, *item));
      ++item_;
    }
  }

  std::vector<Range>& all() { return all_; }

 private:
  void AddItem(const MergedItem& item) {
    const v1::Outputs& outputs = item.outputs != nullptr
                                     ? *item.outputs
                                     : v1::Outputs::default_instance();
    VisitTensors(item, [&](const char* field, const std::string* key,
                           const v1::Tensor& tensor) {
      // A gradient in the place of its predictions is one range.
      const bool replaced = &tensor == item.predictions &&
                            outputs.has_gradient_to() &&
                            IsSame(outputs.gradient_to(), tensor.arena());
      if (!tensor.has_arena() || replaced) return;
      Add(false, tensor.arena(), field, key == nullptr ? std::string() : *key);
    });
    if (outputs.has_gradient_to()) {
      Add(true, outputs.gradient_to(), "outputs.gradient_to");
    }
    if (outputs.has_row_losses_to()) {
      Add(true, outputs.row_losses_to(), "outputs.row_losses_to");
    }
    for (const auto& [name, ref] : outputs.extra_gradients_to()) {
      Add(true, ref, "outputs.extra_gradients_to", name);
    }
  }

  static bool IsSame(const v1::ArenaRef& a, const v1::ArenaRef& b) {
    return a.id() == b.id() && a.offset() == b.offset() &&
           a.length() == b.length();
  }

  void Add(bool output, const v1::ArenaRef& ref, const char* field,
           const std::string& key = {}) {
    if (ref.length() == 0) return;
    // Ranges that leave their arena are refused when they are looked up.
    const uint64_t room = std::numeric_limits<uint64_t>::max() - ref.offset();
    all_.push_back({ref.id(), ref.offset(),
                    ref.offset() + std::min(ref.length(), room), output, item_,
                    field, key});
  }

  std::vector<Range> all_;
  int item_ = 0;
};

}  // namespace

ArenaOverlaps::ArenaOverlaps(const v1::LossItem& defaults,
                             std::span<const v1::LossItem* const> items) {
  if (!HasDestinations(defaults.outputs()) &&
      std::ranges::none_of(items, [](const v1::LossItem* item) {
        return HasDestinations(item->outputs());
      })) {
    return;
  }
  Ranges ranges(defaults, items);
  std::vector<Range>& all = ranges.all();
  std::ranges::sort(all, [](const Range& a, const Range& b) {
    return std::tie(a.id, a.begin, a.end) < std::tie(b.id, b.begin, b.end);
  });
  const auto refuse = [this](const Range& output, const Range& other) {
    // An item may have many.
    if (refused_.contains(output.item)) return;
    const std::string whose = output.item == other.item
                                  ? ""
                                  : absl::StrCat("items[", other.item, "].");
    refused_.emplace(
        output.item,
        InvalidField({PathOf(output), std::nullopt,
                      absl::StrCat("memory of ", whose, PathOf(other)),
                      "memory of no other tensor of the request; gradient_to "
                      "may be exactly where the item's predictions are"}));
  };
  // Of the ranges before, that which reaches farthest, and that among outputs.
  // Every output that overlaps anything is found with these two: what hides it
  // overlaps it.
  const Range* farthest = nullptr;
  const Range* output = nullptr;
  for (const Range& range : all) {
    const auto overlaps = [&range](const Range* before) {
      return before != nullptr && before->id == range.id &&
             before->end > range.begin;
    };
    if (range.output && overlaps(farthest)) refuse(range, *farthest);
    if (overlaps(output)) refuse(*output, range);
    const auto advance = [&](const Range*& reach) {
      if (reach == nullptr || reach->id != range.id || range.end > reach->end) {
        reach = &range;
      }
    };
    advance(farthest);
    if (range.output) advance(output);
  }
}

absl::Status ArenaOverlaps::StatusOf(int item) const {
  const auto refused = refused_.find(item);
  return refused == refused_.end() ? absl::OkStatus() : refused->second;
}

}  // namespace lossd
