#include "server/config/edit_distance.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"

namespace lossd {
namespace {

// Letters to add, drop or change (Levenshtein).
size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0]++;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string DidYouMean(const std::string& given,
                       const std::vector<std::string>& names) {
  const auto distance = [&given](const std::string& name) {
    return EditDistance(given, name);
  };
  const auto nearest = std::ranges::min_element(names, {}, distance);
  // A third of a name may be wrong.
  if (nearest == names.end() || 3 * distance(*nearest) > given.size()) {
    return "";
  }
  return absl::StrCat(", did you mean ", *nearest, "?");
}

}  // namespace lossd
