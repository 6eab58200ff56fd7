#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "lib/core/numerics.h"
#include "tests/support/loss_case_groups.h"
#include "tests/support/row_samplers.h"
#include "tests/support/samplers.h"

namespace lossd::test {
namespace {

using Vector = std::vector<Number>;

Number Dot(const Vector& a, const Vector& b) {
  Number sum = 0;
  for (size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
  return sum;
}

Vector Sizes(const Vector& row) {
  Vector sizes;
  for (const Number x : row) sizes.push_back(std::abs(x));
  return sizes;
}

// The row of an element of the predictions or of an extra input.
Vector RowWith(const std::vector<double>& numbers, const Problem& problem,
               size_t element) {
  const size_t first = element / problem.columns() * problem.columns();
  Vector row;
  for (size_t k = 0; k < problem.columns(); ++k) {
    row.push_back(numbers[first + k]);
  }
  return row;
}

const std::vector<double>& NumbersOf(const Problem& problem,
                                     const std::string& extra) {
  for (const Extra& candidate : problem.extras) {
    if (candidate.name == extra) return candidate.numbers;
  }
  return problem.predictions;
}

double LengthWith(const Problem& problem, const std::string& extra,
                  size_t element) {
  const Vector row = RowWith(NumbersOf(problem, extra), problem, element);
  return static_cast<double>(std::sqrt(Dot(row, row)));
}

Number CosineOf(const Vector& p, const Vector& o, Number epsilon) {
  return Dot(p, o) /
         std::sqrt(std::max(Dot(p, p), epsilon) * std::max(Dot(o, o), epsilon));
}

// 1 - c as half the squared distance of the directions, which is what long
// double can tell of small angles: it is off by 2^-64 of the angle. The kernel
// rounds what is orthogonal to o to 2^-53 of p, and squares that; without fused
// multiply-adds each part of it is rounded as much.
ReferenceRow CosineDistance(const Vector& p, const Vector& o, Number epsilon) {
  if (Dot(p, p) < epsilon || Dot(o, o) < epsilon) {
    const Number cosine = CosineOf(p, o, epsilon);
    return {1 - cosine, 1 + std::abs(cosine)};
  }
  const Number p_length = std::sqrt(Dot(p, p));
  const Number o_length = std::sqrt(Dot(o, o));
  Number squares = 0;
  for (size_t k = 0; k < p.size(); ++k) {
    const Number part = p[k] / p_length - o[k] / o_length;
    squares += part * part;
  }
  const Number loss = squares / 2;
  const Number angle = std::sqrt(loss);
  const Number noise = Reproducible() ? 0x1p-10L : 1;
  return {loss, loss + noise * angle + 0x1p-52L};
}

// The two terms of a slope are 1 / |p| or less.
double CosineSlopeScale(const Problem& problem, const std::string& extra,
                        size_t row) {
  return 1 / LengthWith(problem, extra, row * problem.columns());
}

void AddCosine(std::vector<LossCase>& cases) {
  const auto add = [&](std::string name, double epsilon, Sampler sample) {
    CosineParams params;
    if (epsilon != 1e-12) params.epsilon = epsilon;
    LossCase added{
        .name = std::move(name), .params = params, .sample = std::move(sample)};
    added.kink_distance_at = [=](const Problem& problem, size_t i) {
      return std::abs(LengthWith(problem, "", i) - std::sqrt(epsilon));
    };
    added.length_at = [](const Problem& problem, size_t i) {
      return LengthWith(problem, "", i);
    };
    added.slope_scale_of_row = CosineSlopeScale;
    added.reference = [=](const RowInputs& row) {
      return CosineDistance(row.predictions, row.targets, epsilon);
    };
    cases.push_back(std::move(added));
  };
  add("cosine", 1e-12, Elements(Normal(2), Normal(3)));
  add("cosine_wide", 1e-12,
      Elements(SignedLogUniform(1e-3, 1e3), SignedLogUniform(1e-3, 1e3)));
  add("cosine_nearly_equal", 1e-12, NearlyEqual(Normal(1)));
  // Of about half the rows.
  add("cosine_floored", 8, Elements(Normal(1), Normal(1)));
}

// A label of -1 or +1 a row, and a partner of each prediction.
Sampler Pairs(const Sampler& partners) {
  return [=](Random& random, Problem& problem) {
    partners(random, problem);
    problem.extras = {{"other_predictions", problem.targets}};
    problem.targets.clear();
    for (size_t row = 0; row < problem.rows(); ++row) {
      problem.targets.push_back(random.Sign());
    }
  };
}

void AddCosineEmbedding(std::vector<LossCase>& cases) {
  const auto add = [&](std::string name, double margin, Sampler sample) {
    constexpr Number kEpsilon = 1e-12L;
    LossCase added{.name = std::move(name),
                   .params = CosineEmbeddingParams{.margin = margin},
                   .sample = std::move(sample)};
    // The cosine moves by 1 / |p| at most.
    added.kink_distance_at = [=](const Problem& problem, size_t i) {
      if (problem.targets[i / problem.columns()] == 1) {
        return std::numeric_limits<double>::infinity();
      }
      const Vector p = RowWith(problem.predictions, problem, i);
      const Vector o = RowWith(problem.extras[0].numbers, problem, i);
      const Number distance = std::abs(CosineOf(p, o, kEpsilon) - margin);
      return static_cast<double>(distance *
                                 std::sqrt(std::min(Dot(p, p), Dot(o, o))));
    };
    // Not all of it: rows whose cosine is near the margin are skipped.
    added.extra_length_at = [](const Problem& problem, const std::string& extra,
                               size_t i) {
      return LengthWith(problem, extra, i) / 8;
    };
    added.length_at = [](const Problem& problem, size_t i) {
      return LengthWith(problem, "", i) / 8;
    };
    added.slope_scale_of_row = CosineSlopeScale;
    added.reference = [=](const RowInputs& row) -> ReferenceRow {
      const Vector& other = row.extras.at("other_predictions");
      if (row.targets[0] == 1) {
        return CosineDistance(row.predictions, other, kEpsilon);
      }
      const Number cosine = CosineOf(row.predictions, other, kEpsilon);
      // Of products of both signs.
      const Number terms =
          CosineOf(Sizes(row.predictions), Sizes(other), kEpsilon);
      return {std::max<Number>(0, cosine - margin), terms + std::abs(margin)};
    };
    cases.push_back(std::move(added));
  };
  add("cosine_embedding", 0, Pairs(Elements(Uniform(-3, 3), Normal(3))));
  add("cosine_embedding_margin", 0.3, Pairs(Elements(Normal(1), Normal(1))));
  add("cosine_embedding_negative_margin", -0.5,
      Pairs(Elements(Normal(1), Normal(1))));
  add("cosine_embedding_nearly_equal", 0, Pairs(NearlyEqual(Normal(1))));
}

// Differences of two rows, with what is added to each.
Vector Difference(const Vector& u, const Vector& v, Number epsilon) {
  Vector difference;
  for (size_t k = 0; k < u.size(); ++k) {
    difference.push_back(u[k] - v[k] + epsilon);
  }
  return difference;
}

Number NormOf(const Vector& e, Number p) {
  Number sum = 0;
  for (const Number part : e) sum += std::pow(std::abs(part), p);
  return std::pow(sum, 1 / p);
}

// A row's three differences, and their norms.
struct Sides {
  Sides(const TripletParams& params, const Vector& anchor,
        const Vector& positive, const Vector& negative)
      : near(Difference(anchor, positive, params.epsilon)),
        far(Difference(anchor, negative, params.epsilon)),
        swapped(Difference(positive, negative, params.epsilon)),
        near_norm(NormOf(near, params.p)),
        far_norm(NormOf(far, params.p)),
        swapped_norm(NormOf(swapped, params.p)),
        excess(near_norm + params.margin -
               (params.swap ? std::min(far_norm, swapped_norm) : far_norm)) {}

  Sides(const TripletParams& params, const Problem& problem, size_t element)
      : Sides(params, RowWith(problem.predictions, problem, element),
              RowWith(problem.extras[0].numbers, problem, element),
              RowWith(problem.extras[1].numbers, problem, element)) {}

  // Of the differences in column k, the smallest.
  double SmallestPart(size_t k) const {
    return static_cast<double>(
        std::min({std::abs(near[k]), std::abs(far[k]), std::abs(swapped[k])}));
  }

  Vector near, far, swapped;
  Number near_norm, far_norm, swapped_norm;
  Number excess;
};

// Two partners of each anchor.
Sampler Triplets(const Sampler& positives, const Draw& negative) {
  return [=](Random& random, Problem& problem) {
    positives(random, problem);
    std::vector<double> negatives;
    for (size_t i = 0; i < problem.predictions.size(); ++i) {
      negatives.push_back(negative(random));
    }
    problem.extras = {{"positive", problem.targets}, {"negative", negatives}};
    problem.targets.clear();
  };
}

void AddTriplet(std::vector<LossCase>& cases) {
  const auto add = [&](std::string name, TripletParams params, Sampler sample) {
    LossCase added{
        .name = std::move(name), .params = params, .sample = std::move(sample)};
    // A distance moves by no more than a part of its difference.
    added.kink_distance_at = [=](const Problem& problem, size_t i) {
      const Sides sides(params, problem, i);
      Number distance = std::abs(sides.excess) / 2;
      if (params.swap) {
        distance = std::min(distance,
                            std::abs(sides.far_norm - sides.swapped_norm) / 2);
      }
      if (params.p == 1) {
        distance = std::min<Number>(distance,
                                    sides.SmallestPart(i % problem.columns()));
      }
      return static_cast<double>(distance);
    };
    // Powers of small parts bend there, the more the higher they are, and
    // distances where they are small.
    const auto length = [=](const Problem& problem, const std::string&,
                            size_t i) {
      if (params.p == 1) return 1.0;
      const Sides sides(params, problem, i);
      const auto norms = static_cast<double>(
          std::min({sides.near_norm, sides.far_norm, sides.swapped_norm}));
      return params.p == 2
                 ? norms
                 : std::min(norms, sides.SmallestPart(i % problem.columns())) /
                       params.p;
    };
    added.extra_length_at = length;
    added.length_at = [=](const Problem& problem, size_t i) {
      return length(problem, "", i);
    };
    added.reference = [=](const RowInputs& row) -> ReferenceRow {
      const Sides sides(params, row.predictions, row.extras.at("positive"),
                        row.extras.at("negative"));
      return {std::max<Number>(0, sides.excess),
              sides.near_norm + sides.far_norm + params.margin};
    };
    cases.push_back(std::move(added));
  };
  const Sampler apart = Triplets(Elements(Normal(1), Normal(1)), Normal(1));
  add("triplet", {}, apart);
  add("triplet_nearly_equal", {.margin = 0.25},
      Triplets(NearlyEqual(Normal(1)), Normal(0.1)));
  add("triplet_swap", {.swap = true}, apart);
  add("triplet_p1", {.margin = 0.5, .p = 1, .epsilon = 0}, apart);
  add("triplet_p1_swap", {.p = 1, .swap = true}, apart);
  add("triplet_p3", {.p = 3, .epsilon = 0.01}, apart);
  add("triplet_p1_5_swap", {.p = 1.5, .epsilon = 0, .swap = true}, apart);
  add("triplet_p_large", {.p = 6.5}, apart);
}

}  // namespace

void AddSimilarityCases(std::vector<LossCase>& cases) {
  AddCosine(cases);
  AddCosineEmbedding(cases);
  AddTriplet(cases);
}

}  // namespace lossd::test
