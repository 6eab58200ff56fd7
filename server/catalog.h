// The losses as the proto describes them: for ListLosses and for callers that
// name a loss by text.

#ifndef LOSSD_SERVER_CATALOG_H_
#define LOSSD_SERVER_CATALOG_H_

#include <google/protobuf/descriptor.h>

#include <map>
#include <string>

#include "lossd/v1/loss_service.pb.h"

namespace lossd {

// Read once from the annotations of lossd.v1; immutable and thread-safe.
class Catalog {
 public:
  static const Catalog& Get();

  // Every loss, in the order of Loss.kind, options included.
  const v1::ListLossesResponse& list() const { return list_; }

  // The member of Loss.kind that a name or an alias stands for, in letters of
  // any case; null if none.
  const google::protobuf::FieldDescriptor* Find(const std::string& name) const;

 private:
  Catalog();

  v1::ListLossesResponse list_;
  std::map<std::string, const google::protobuf::FieldDescriptor*> by_name_;
};

// The name people use for a value of an enum: "LOGITS" for
// PREDICTION_KIND_LOGITS.
std::string ShortName(const google::protobuf::EnumValueDescriptor& value);

}  // namespace lossd

#endif  // LOSSD_SERVER_CATALOG_H_
