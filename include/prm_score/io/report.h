// report.h - rows to what a report shows of them: numbers over all, a table, and some documents in detail.
//
// Rows come one by one. Kept are: two numbers of each (see report_statistics.h), the table's rows, and the documents in
// detail; so memory is bounded by the limits below but for those two numbers.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "prm_score/io/report_statistics.h"
#include "prm_score/io/row_reader.h"
#include "prm_score/io/shaded_text.h"

namespace prm_score {

struct ReportLimits {
  int64_t num_details = 200;     // documents in detail; a third of them the best, a third the worst
  int64_t max_text = 20'000;     // code points of a document's text
  int64_t num_rows = 100'000;    // rows of the table, those in detail not counted
  int64_t num_bad_rows = 1'000;  // errors in the list of bad rows
  int64_t num_columns = 20;      // fields of the table
  int64_t max_value = 200;       // code points of an id or a field
};

// A field that a row carries along: how the table shows it.
struct FieldValue {
  std::string text;  // a string's own, otherwise its JSON text; shortened; empty if the row has no such field
  bool is_number = false;
};

struct TableRow {
  int64_t number = 0;  // of the row, from 0, over all that were read
  size_t source = 0;   // file of rows
  RowOrigin origin;    // file, line, id_json
  std::string id;      // as a FieldValue's text
  std::optional<double> reward;
  int64_t num_tokens = 0, num_chunks = 0;
  DocumentWarnings warnings;
  std::string error;
  std::vector<FieldValue> fields;  // by Report::columns; may be shorter
};

// Why a document is shown.
enum class DetailKind { kBest, kWorst, kSample };

struct DetailedDocument {
  TableRow row;
  DetailKind kind = DetailKind::kSample;
  std::vector<std::optional<float>> log_odds;
  std::vector<ChunkSpan> spans;
  ShadedText text;
};

struct Report {
  std::vector<std::string> sources;  // files of rows
  ReportStatistics statistics;
  std::vector<std::string> columns;  // names of the fields of the table
  std::vector<std::string> columns_left_out;
  std::vector<TableRow> table;     // in the order of the rows
  std::vector<TableRow> bad_rows;  // the first ones
  // Best first, then worst first, then the others in the order of the rows.
  std::vector<DetailedDocument> details;
  bool has_texts = false;  // texts of documents were there: in the rows, or in files of documents
};

// Which line of which file of documents a row came from.
struct DocumentPlace {
  std::string file;  // as the row has it; empty if it has none
  int64_t line = 0;
  auto operator<=>(const DocumentPlace&) const = default;
};

// Not thread-safe.
class ReportBuilder {
 public:
  // `fields`: whose value in a row's `input` is the document's text, which is not in the table, and its id, which is
  // not there twice. `sources`: names of the files of rows.
  ReportBuilder(ReportLimits limits, const InputFields& fields, std::vector<std::string> sources);

  void add(const RewardRow& row);

  // After the last row. Chooses the documents in detail; returns where their texts are, of those that have none. Rows
  // without spans are among them: their texts cannot be shaded, but may turn out to be others.
  [[nodiscard]] std::vector<DocumentPlace> choose_details();

  // The text of such a document, with its id as JSON text (empty if it has none). A text that is not the row's is not
  // shown, and the report says why. After choose_details().
  void set_text(const DocumentPlace& place, std::string_view text, const std::string& id_json);

  // Such a document has no text, as `why` says.
  void set_no_text(const DocumentPlace& place, const std::string& why);

  // After all of these.
  [[nodiscard]] Report finish();

 private:
  using Ranking = std::map<std::pair<double, int64_t>, std::shared_ptr<DetailedDocument>>;

  TableRow make_table_row(const RewardRow& row);
  void add_field(const JsonMember& field, TableRow& table_row);
  void offer_details(const TableRow& table_row, const RewardRow& row);
  [[nodiscard]] std::shared_ptr<DetailedDocument> make_details(const TableRow& table_row, const RewardRow& row) const;

  ReportLimits limits_;
  std::string text_field_, id_field_;
  Report report_;
  int64_t num_rows_ = 0;
  std::mt19937_64 random_{20};  // a fixed seed: the same rows give the same report
  std::set<std::string> known_left_out_;

  Ranking best_, worst_;                                  // keys in order of rank
  std::vector<std::shared_ptr<DetailedDocument>> drawn_;  // uniformly from all scored rows
  std::multimap<DocumentPlace, DetailedDocument*> waiting_;
};

}  // namespace prm_score
