#ifndef LOSSD_SERVER_CONFIG_EDIT_DISTANCE_H_
#define LOSSD_SERVER_CONFIG_EDIT_DISTANCE_H_

#include <string>
#include <vector>

namespace lossd {

// ", did you mean NAME?" with the one of `names` that `given` is most likely a
// misspelling of; empty if it is like none of them.
std::string DidYouMean(const std::string& given,
                       const std::vector<std::string>& names);

}  // namespace lossd

#endif  // LOSSD_SERVER_CONFIG_EDIT_DISTANCE_H_
