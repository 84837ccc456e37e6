#include "prm_score/io/report.h"

#include <algorithm>
#include <unordered_set>

#include "prm_score/io/json_line.h"

namespace prm_score {
namespace {

FieldValue value_of(const JsonMember& field, int64_t max_value) {
  const bool is_string = field.kind == JsonKind::kString;
  return {shorten(is_string ? std::string_view(field.text) : field.value_json, max_value),
          field.kind == JsonKind::kNumber};
}

// The field `id` of a row, whose JSON text is known to be JSON.
std::string shown_id(const std::string& id_json, int64_t max_value) {
  if (id_json.empty()) return "";
  const std::string line = "{\"id\":" + id_json + "}";
  return value_of(parse_json_line(line, {.keys = {"id"}}).fields.front(), max_value).text;
}

// Strings by what they spell; all else, numbers of any size among it, as it stands there.
bool is_same_id(const std::string& a_json, const std::string& b_json) {
  if (a_json.empty() || b_json.empty() || a_json == b_json) return a_json == b_json;
  const std::string line_a = "{\"id\":" + a_json + "}", line_b = "{\"id\":" + b_json + "}";
  const auto a = parse_json_line(line_a, {.keys = {"id"}}), b = parse_json_line(line_b, {.keys = {"id"}});
  const auto *id_a = a.find("id"), *id_b = b.find("id");
  if (id_a == nullptr || id_b == nullptr) return false;
  return id_a->kind == JsonKind::kString && id_b->kind == JsonKind::kString && id_a->text == id_b->text;
}

// Where the `number`-th of a stream of things, from 0, goes in a uniform sample of `size`; nullopt if nowhere
// (algorithm R, Vitter 1985).
std::optional<size_t> place_in_sample(int64_t number, int64_t size, std::mt19937_64& random) {
  if (number < size) return static_cast<size_t>(number);
  const uint64_t place = random() % (static_cast<uint64_t>(number) + 1);
  if (place < static_cast<uint64_t>(size)) return static_cast<size_t>(place);
  return std::nullopt;
}

template <typename Value>
void put(std::vector<Value>& sample, size_t place, Value value) {
  if (place == sample.size()) {
    sample.push_back(std::move(value));
  } else {
    sample[place] = std::move(value);
  }
}

}  // namespace

ReportBuilder::ReportBuilder(ReportLimits limits, const InputFields& fields, std::vector<std::string> sources)
    : limits_(limits), text_field_(fields.text), id_field_(fields.id) {
  report_.sources = std::move(sources);
}

void ReportBuilder::add_field(const JsonMember& field, TableRow& table_row) {
  const bool is_id = field.key == id_field_ && field.value_json == table_row.origin.id_json;
  if (field.key == text_field_ || is_id) return;
  auto& columns = report_.columns;
  const auto column = static_cast<size_t>(std::ranges::find(columns, field.key) - columns.begin());
  if (column == columns.size()) {
    if (column == static_cast<size_t>(limits_.num_columns)) {
      if (known_left_out_.size() < 100) known_left_out_.insert(field.key);
      return;
    }
    columns.push_back(field.key);
  }
  if (table_row.fields.size() <= column) table_row.fields.resize(column + 1);
  table_row.fields[column] = value_of(field, limits_.max_value);
}

TableRow ReportBuilder::make_table_row(const RewardRow& row) {
  TableRow table_row;
  table_row.number = num_rows_;
  table_row.source = row.source;
  table_row.origin = row.origin;
  table_row.origin.input_json.clear();
  table_row.id = shown_id(row.origin.id_json, limits_.max_value);
  table_row.reward = row.reward.reward;
  table_row.num_tokens = row.reward.num_tokens;
  table_row.num_chunks = row.reward.num_chunks;
  table_row.warnings = row.reward.warnings;
  table_row.error = shorten(row.reward.error, limits_.max_value);
  if (row.origin.input_json.empty()) return table_row;
  for (const auto& field : parse_json_line(row.origin.input_json, {.keys = {}, .all = true}).fields) {
    add_field(field, table_row);
  }
  return table_row;
}

std::shared_ptr<DetailedDocument> ReportBuilder::make_details(const TableRow& table_row, const RewardRow& row) const {
  auto document = std::make_shared<DetailedDocument>();
  document->row = table_row;
  document->log_odds = row.reward.log_odds;
  document->spans = row.reward.spans;
  document->text.why_not = "its text is not in the rows, and no file of documents was given";
  if (row.reward.spans.empty()) {
    document->text.why_not = "the row has no spans";
    return document;
  }
  if (row.origin.input_json.empty()) return document;
  const auto input = parse_json_line(row.origin.input_json, {.keys = {text_field_}});
  const auto* text = input.find(text_field_);
  if (text == nullptr || text->kind != JsonKind::kString) return document;
  document->text = shade_text(text->text, row.reward.spans, limits_.max_text);
  return document;
}

// The best and the worst, and a uniform sample of all that is as large as all details: whatever it shares with those
// two, enough others remain.
void ReportBuilder::offer_details(const TableRow& table_row, const RewardRow& row) {
  const auto num_ranked = static_cast<size_t>((limits_.num_details + 2) / 3);
  const double reward = *row.reward.reward;
  std::shared_ptr<DetailedDocument> document;
  const auto details = [&] { return document ? document : document = make_details(table_row, row); };
  const auto rank = [&](Ranking& ranking, double key) {
    if (num_ranked == 0) return;
    if (ranking.size() == num_ranked && key >= std::prev(ranking.end())->first.first) return;
    ranking.emplace(std::pair(key, table_row.number), details());
    if (ranking.size() > num_ranked) ranking.erase(std::prev(ranking.end()));
  };
  rank(best_, -reward);
  rank(worst_, reward);
  const int64_t number = report_.statistics.counts().num_scored_rows - 1;
  if (const auto place = place_in_sample(number, limits_.num_details, random_)) put(drawn_, *place, details());
}

void ReportBuilder::add(const RewardRow& row) {
  TableRow table_row = make_table_row(row);
  report_.statistics.add(row.reward);
  if (row.reward.reward) {
    offer_details(table_row, row);
  } else if (std::ssize(report_.bad_rows) < limits_.num_bad_rows) {
    report_.bad_rows.push_back(table_row);
  }
  if (const auto place = place_in_sample(num_rows_, limits_.num_rows, random_)) {
    put(report_.table, *place, std::move(table_row));
  }
  ++num_rows_;
}

std::vector<DocumentPlace> ReportBuilder::choose_details() {
  std::vector<std::shared_ptr<DetailedDocument>> chosen;
  std::unordered_set<int64_t> numbers;
  const auto choose = [&](const std::shared_ptr<DetailedDocument>& document, DetailKind kind) {
    if (std::ssize(chosen) == limits_.num_details || !numbers.insert(document->row.number).second) return;
    document->kind = kind;
    chosen.push_back(document);
  };
  // Of a few rows, all are in both rankings: the better half is the best.
  const auto num_ranked =
      std::min<int64_t>((limits_.num_details + 2) / 3, (report_.statistics.counts().num_scored_rows + 1) / 2);
  int64_t rank = 0;
  for (const auto& [key, document] : best_) {
    if (rank++ < num_ranked) choose(document, DetailKind::kBest);
  }
  for (const auto& [key, document] : worst_) choose(document, DetailKind::kWorst);
  // What was drawn early stands in front: mixed, any part of it is as uniform as the whole.
  for (size_t i = drawn_.size(); i > 1; --i) std::swap(drawn_[i - 1], drawn_[random_() % i]);
  const auto num_extremes = std::ssize(chosen);
  for (const auto& document : drawn_) choose(document, DetailKind::kSample);
  std::sort(chosen.begin() + num_extremes, chosen.end(),
            [](const auto& a, const auto& b) { return a->row.number < b->row.number; });

  for (const auto& document : chosen) report_.details.push_back(std::move(*document));
  best_.clear();
  worst_.clear();
  drawn_.clear();
  std::vector<DocumentPlace> places;
  for (auto& document : report_.details) {
    if (!document.text.pieces.empty()) continue;
    const DocumentPlace place = {document.row.origin.file, document.row.origin.line};
    waiting_.emplace(place, &document);
    places.push_back(place);
  }
  return places;
}

void ReportBuilder::set_text(const DocumentPlace& place, std::string_view text, const std::string& id_json) {
  const auto [begin, end] = waiting_.equal_range(place);
  for (auto found = begin; found != end; ++found) {
    DetailedDocument& document = *found->second;
    if (!is_same_id(document.row.origin.id_json, id_json)) {
      document.text.why_not =
          "the document in that line has another id (see --id-field): it is not the one that was scored";
    } else {
      document.text = shade_text(text, document.spans, limits_.max_text);
    }
  }
}

void ReportBuilder::set_no_text(const DocumentPlace& place, const std::string& why) {
  const auto [begin, end] = waiting_.equal_range(place);
  for (auto found = begin; found != end; ++found) found->second->text.why_not = why;
}

Report ReportBuilder::finish() {
  for (const auto& document : report_.details) report_.has_texts |= !document.text.pieces.empty();
  report_.columns_left_out.assign(known_left_out_.begin(), known_left_out_.end());
  std::unordered_set<int64_t> numbers;
  for (const auto& row : report_.table) numbers.insert(row.number);
  for (const auto& document : report_.details) {
    if (numbers.insert(document.row.number).second) report_.table.push_back(document.row);
  }
  std::ranges::sort(report_.table, {}, &TableRow::number);
  return std::move(report_);
}

}  // namespace prm_score
