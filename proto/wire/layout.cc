#include "proto/wire/layout.h"

namespace lossd::wire {
namespace {

using Field = Layout::Field;

constexpr Field kTensorFields[] = {{v1::Tensor::kDataFieldNumber}};
constexpr Layout kTensor = {kTensorFields};

// Of a map from names to tensors: key 1, value 2.
constexpr Field kEntryFields[] = {{2, &kTensor}};
constexpr Layout kEntry = {kEntryFields};

constexpr Field kItemFields[] = {
    {v1::LossItem::kPredictionsFieldNumber, &kTensor},
    {v1::LossItem::kTargetsFieldNumber, &kTensor},
    {v1::LossItem::kSampleWeightsFieldNumber, &kTensor},
    {v1::LossItem::kMaskFieldNumber, &kTensor},
    {v1::LossItem::kExtraInputsFieldNumber, &kEntry},
    {v1::LossItem::kUpstreamGradientFieldNumber, &kTensor},
};
constexpr Layout kItem = {kItemFields};

constexpr Field kResultFields[] = {
    {v1::LossResult::kRowLossesFieldNumber, &kTensor},
    {v1::LossResult::kGradientFieldNumber, &kTensor},
    {v1::LossResult::kExtraGradientsFieldNumber, &kEntry},
};
constexpr Layout kResult = {kResultFields};

constexpr Field kChunkFields[] = {{v1::StreamChunk::kDataFieldNumber}};
constexpr Layout kChunk = {kChunkFields};

constexpr Field kHeaderFields[] = {
    {v1::StreamHeader::kItemFieldNumber, &kItem}};
constexpr Layout kHeader = {kHeaderFields};

constexpr Field kRequestFields[] = {
    {v1::ComputeRequest::kDefaultsFieldNumber, &kItem},
    {v1::ComputeRequest::kItemsFieldNumber, &kItem},
};
constexpr Layout kRequest = {kRequestFields};

constexpr Field kResponseFields[] = {
    {v1::ComputeResponse::kResultsFieldNumber, &kResult}};
constexpr Layout kResponse = {kResponseFields};

constexpr Field kStreamRequestFields[] = {
    {v1::ComputeStreamRequest::kHeaderFieldNumber, &kHeader},
    {v1::ComputeStreamRequest::kChunkFieldNumber, &kChunk},
};
constexpr Layout kStreamRequest = {kStreamRequestFields};

constexpr Field kStreamResponseFields[] = {
    {v1::ComputeStreamResponse::kChunkFieldNumber, &kChunk},
    {v1::ComputeStreamResponse::kResultFieldNumber, &kResult},
};
constexpr Layout kStreamResponse = {kStreamResponseFields};

}  // namespace

template <>
const Layout& LayoutOf<v1::ComputeRequest>() {
  return kRequest;
}
template <>
const Layout& LayoutOf<v1::ComputeResponse>() {
  return kResponse;
}
template <>
const Layout& LayoutOf<v1::ComputeStreamRequest>() {
  return kStreamRequest;
}
template <>
const Layout& LayoutOf<v1::ComputeStreamResponse>() {
  return kStreamResponse;
}

}  // namespace lossd::wire
