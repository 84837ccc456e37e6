#include "prm_score/model/step_layout.h"

#include <algorithm>
#include <map>

namespace prm_score {
namespace {

// Where each trunk of the step begins among the trunk rows.
class TrunkPlaces {
 public:
  explicit TrunkPlaces(StepLayout& layout) : layout_(layout) {}

  int64_t operator()(const std::shared_ptr<TrunkCache>& trunk) {
    const auto [place, is_new] = places_.try_emplace(trunk.get(), layout_.total_trunk_size);
    if (is_new) {
      layout_.trunks.push_back(trunk);
      layout_.total_trunk_size += trunk->num_rows();
    }
    return place->second;
  }

 private:
  StepLayout& layout_;
  std::map<const TrunkCache*, int64_t> places_;
};

void append_rows(const Step& step, const Segment& segment, StepLayout& layout) {
  layout.input_ids.insert(layout.input_ids.end(), step.input_ids.begin() + segment.begin,
                          step.input_ids.begin() + segment.end);
  for (int64_t i = 0; i < segment.num_rows(); ++i) layout.positions.push_back(segment.num_shared + i);
}

void extend(const Segment& segment, int64_t row, std::vector<StepLayout::Extension>& extensions) {
  if (!extensions.empty()) {
    StepLayout::Extension& last = extensions.back();
    if (last.trunk == segment.trunk && last.trunk_row + last.num_rows == segment.num_shared) {
      last.num_rows += segment.num_rows();
      return;
    }
  }
  extensions.push_back(
      {.trunk = segment.trunk, .row = row, .trunk_row = segment.num_shared, .num_rows = segment.num_rows()});
}

}  // namespace

StepLayout make_step_layout(const Step& step) {
  StepLayout layout;
  TrunkPlaces place_of(layout);
  for (const Segment& segment : step.segments) {
    if (!segment.extends_trunk) continue;
    const int64_t row = layout.num_rows();
    extend(segment, row, layout.extensions);
    // Tile by tile, however many rows a segment has: what a row's bits depend on is its tile alone.
    for (int64_t begin = 0; begin < segment.num_rows(); begin += kTileRows) {
      const int64_t end = std::min(begin + kTileRows, segment.num_rows());
      layout.tiles.push_back({.begin = row + begin,
                              .end = row + end,
                              .first_key = place_of(segment.trunk),
                              .num_keys = segment.num_shared + end});
    }
    append_rows(step, segment, layout);
  }
  layout.num_trunk_rows = layout.num_rows();
  for (const Segment& segment : step.segments) {
    if (segment.extends_trunk) continue;
    const int64_t begin = layout.num_rows() - layout.num_trunk_rows, end = begin + segment.num_rows();
    layout.branches.push_back({.begin = begin, .end = end, .first_key = begin, .num_keys = segment.num_rows()});
    layout.shared.push_back({.begin = begin,
                             .end = end,
                             .first_key = segment.num_shared > 0 ? place_of(segment.trunk) : 0,
                             .num_keys = segment.num_shared});
    append_rows(step, segment, layout);
    layout.answer_rows.push_back(layout.num_rows() - 1);
  }
  return layout;
}

}  // namespace prm_score
