#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/compare_candidates.h"
#include "client/cli/input_files.h"
#include "client/cli/json.h"
#include "client/cli/options_reflection.h"
#include "client/cli/row_shape.h"
#include "client/cli/subcommand.h"
#include "client/cli/table.h"
#include "client/cli/tensor_facts.h"

namespace lossd::cli {
namespace {

struct Flags {
  std::string predictions;
  std::string targets;
  std::string prediction_kind;
  // OPTION=VALUE,VALUE,...
  std::vector<std::string> sweeps;
};

// What becomes of one candidate.
struct Row {
  const Candidate* candidate = nullptr;
  // Why it does not fit; empty if it does.
  std::string why_not;
  ClientResult result;
  double gradient_norm = 0;
  double top_share = 0;
};

// The destinations of one call.
struct Buffers {
  Array gradient;
  std::vector<double> row_losses;
};

// Share of the sum of |gradient| that the rows with the largest losses own:
// 1 % of the rows, at least one. NaN if the gradient is 0.
double TopShare(const Buffers& buffers) {
  const std::vector<double>& losses = buffers.row_losses;
  std::vector<int64_t> order(losses.size());
  std::iota(order.begin(), order.end(), 0);
  const auto rows = static_cast<int64_t>(order.size());
  const int64_t top = OnePercentOf(rows);
  std::partial_sort(order.begin(), order.begin() + top, order.end(),
                    [&losses](int64_t a, int64_t b) {
                      return losses[static_cast<size_t>(a)] >
                             losses[static_cast<size_t>(b)];
                    });
  const int64_t columns = rows == 0 ? 0 : buffers.gradient.Size() / rows;
  double sum = 0;
  double top_sum = 0;
  for (int64_t rank = 0; rank < rows; ++rank) {
    const int64_t row = order[static_cast<size_t>(rank)];
    for (int64_t column = 0; column < columns; ++column) {
      sum += std::abs(buffers.gradient.Number(row * columns + column));
    }
    if (rank == top - 1) top_sum = sum;
  }
  return sum > 0 ? top_sum / sum : std::numeric_limits<double>::quiet_NaN();
}

// Asks for one candidate. A refusal of the tensors makes a row too, and so does
// a loss that only newer servers have; any other status says nothing about the
// loss and is returned.
absl::StatusOr<Row> Ask(const Candidate& candidate, const InputFiles& files,
                        const Client& client) {
  const Array& predictions = *files.Find("predictions");
  Buffers buffers;
  buffers.gradient =
      Zeros(predictions.dtype == v1::DTYPE_FLOAT64 ? v1::DTYPE_FLOAT64
                                                   : v1::DTYPE_FLOAT32,
            predictions.shape);
  buffers.row_losses.resize(static_cast<size_t>(SizeOf(
      RowShapeOf(candidate.loss, v1::SEMANTICS_STRICT, predictions.shape))));
  LossCall call;
  call.loss = candidate.loss;
  call.predictions = predictions.View();
  call.targets = files.View("targets");
  call.gradient = MutableView(buffers.gradient);
  call.row_losses = buffers.row_losses;
  const absl::StatusOr<ClientResult> result = client.Compute(call);
  Row row;
  row.candidate = &candidate;
  if (result.ok()) {
    row.result = *result;
    row.gradient_norm = EuclideanNorm(buffers.gradient);
    row.top_share = TopShare(buffers);
  } else if (absl::IsInvalidArgument(result.status()) ||
             absl::IsUnimplemented(result.status())) {
    row.why_not = files.Explain(result.status());
  } else {
    return result.status();
  }
  return row;
}

void PrintJson(const std::vector<Row>& rows, const std::vector<Misfit>& misfits,
               std::ostream& out) {
  Json fitting = Json::array();
  Json refused = Json::array();
  for (const Row& row : rows) {
    const std::string& name = InfoOf(row.candidate->loss).name();
    if (!row.why_not.empty()) {
      refused.push_back({{"name", name}, {"why_not", row.why_not}});
      continue;
    }
    fitting.push_back({{"name", name},
                       {"options", OptionsText(row.candidate->loss)},
                       {"loss", row.result.loss},
                       {"row_count", row.result.row_count},
                       {"gradient_norm", row.gradient_norm},
                       {"top_share", row.top_share},
                       {"loss_in_force", ToJson(row.result.loss_in_force)},
                       {"warnings", row.result.warnings}});
  }
  for (const Misfit& misfit : misfits) {
    refused.push_back({{"name", misfit.loss}, {"why_not", misfit.why_not}});
  }
  Print({{"losses", std::move(fitting)}, {"misfits", std::move(refused)}}, out);
}

void PrintText(const std::vector<Row>& rows, const std::vector<Misfit>& misfits,
               std::ostream& out) {
  constexpr auto kRight = Table::Align::kRight;
  Table table({{"loss"},
               {"options"},
               {"value", kRight},
               {"gradient norm", kRight},
               {"top 1 %", kRight}});
  Table refused({{"does not fit"}, {"why"}});
  bool any_refused = !misfits.empty();
  for (const Row& row : rows) {
    const std::string& name = InfoOf(row.candidate->loss).name();
    if (row.why_not.empty()) {
      table.AddRow({name, OptionsText(row.candidate->loss),
                    NumberText(row.result.loss), NumberText(row.gradient_norm),
                    PercentText(row.top_share)});
    } else {
      any_refused = true;
      refused.AddRow({name, row.why_not});
    }
  }
  for (const Misfit& misfit : misfits) {
    refused.AddRow({misfit.loss, misfit.why_not});
  }
  table.Print(out);
  out << "top 1 %: share of the sum of |gradient| that belongs to the 1 % of "
         "rows with\nthe largest loss\n";
  if (!any_refused) return;
  out << '\n';
  refused.Print(out);
}

int RunCompare(const Flags& flags, const Session& session) {
  InputFiles files;
  absl::Status status =
      files.Read("predictions", "--predictions " + flags.predictions,
                 flags.predictions, CsvElements::kFloat);
  if (status.ok()) {
    status = files.Read("targets", "--targets " + flags.targets, flags.targets,
                        CsvElements::kIntegerIfWhole);
  }
  if (!status.ok()) return Fail(session, kUsage, status);
  const absl::StatusOr<Candidates> candidates =
      FindCandidates(*files.Find("predictions"), *files.Find("targets"),
                     flags.prediction_kind, flags.sweeps);
  if (!candidates.ok()) return Fail(session, kUsage, candidates.status());
  const absl::StatusOr<Client> client = Connect(session);
  if (!client.ok()) return Fail(session, kFailed, client.status());
  std::vector<Row> rows;
  // Not one batch: what the server has room for alone need not have room in a
  // reply beside the others.
  for (const Candidate& candidate : candidates->candidates) {
    absl::StatusOr<Row> row = Ask(candidate, files, *client);
    if (!row.ok()) {
      return Fail(session, kFailed,
                  absl::StrCat(InfoOf(candidate.loss).name(), ": ",
                               StatusText(row.status())));
    }
    rows.push_back(*std::move(row));
  }
  if (session.json()) {
    PrintJson(rows, candidates->misfits, session.out);
  } else {
    PrintText(rows, candidates->misfits, session.out);
  }
  const bool any = std::any_of(rows.begin(), rows.end(), [](const Row& row) {
    return row.why_not.empty();
  });
  return any ? kOk : Fail(session, kFailed, "no loss fits these tensors");
}

}  // namespace

Subcommand AddCompare(CLI::App& app) {
  CLI::App* const command = app.add_subcommand(
      "compare", "Compute every loss that fits predictions and targets");
  const auto flags = std::make_shared<Flags>();
  AddTensorFiles(*command, flags->predictions, flags->targets);
  command
      ->add_option(
          "--prediction_kind", flags->prediction_kind,
          absl::StrCat(
              absl::StrJoin(ShortNames(v1::PredictionKind_descriptor()), ", "),
              "; default: what they look like"))
      ->type_name("NAME");
  command
      ->add_option("--sweep", flags->sweeps,
                   "values to try of an option, for the losses that have it: "
                   "delta=0.1,0.3,1,3; repeatable, one option at a time")
      ->type_name("OPTION=VALUES")
      ->allow_extra_args(false);
  return {
      command,
      [flags](const Session& session) { return RunCompare(*flags, session); },
      {}};
}

}  // namespace lossd::cli
