// What an operator sees of a running lossd.

#ifndef LOSSD_SERVER_ADMIN_ADMIN_PAGE_H_
#define LOSSD_SERVER_ADMIN_ADMIN_PAGE_H_

#include <string>
#include <utility>
#include <vector>

namespace lossd {

// Rows of a table: a name and what it is.
using AdminRows = std::vector<std::pair<std::string, std::string>>;

// Rows under a heading, in this order.
struct AdminTable {
  std::string heading;
  AdminRows rows;
};

// A page in HTML, without scripts; all text is escaped. `links` are paths.
std::string AdminPage(const std::string& title,
                      const std::vector<std::string>& links,
                      const std::vector<AdminTable>& tables);

// "3 d 4 h 5 min 6 s", from the largest unit that is not 0.
std::string DurationText(double seconds);

}  // namespace lossd

#endif  // LOSSD_SERVER_ADMIN_ADMIN_PAGE_H_
