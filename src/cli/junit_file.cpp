#include "prm_score/cli/junit_file.h"

#include <cstddef>
#include <sstream>
#include <string_view>

#include <pugixml.hpp>

#include "prm_score/cli/messages.h"
#include "prm_score/text/unicode.h"

namespace prm_score {
namespace {

constexpr size_t kMaxDifferences = 20;  // of a row; a long document may have thousands

// One line of text that XML can hold; pugixml escapes what is special in it.
std::string xml_text(std::string_view text) {
  const std::string without_controls = printable(text);
  std::string result;
  for (size_t offset = 0; offset < without_controls.size();) {
    const auto [code_point, num_bytes, is_valid] = decode_code_point(without_controls, offset);
    const bool is_in_xml = is_valid && code_point != 0xFFFE && code_point != 0xFFFF;
    append_utf8(is_in_xml ? code_point : kReplacementCharacter, result);
    offset += static_cast<size_t>(num_bytes);
  }
  return result;
}

void set(pugi::xml_node node, const char* name, std::string_view value) {
  node.append_attribute(name) = xml_text(value).c_str();
}

pugi::xml_node add_suite(pugi::xml_document& document, double seconds) {
  auto suite = document.append_child("testsuites").append_child("testsuite");
  set(suite, "name", "prm-score check");
  suite.append_attribute("time") = seconds;
  return suite;
}

void set_counts(pugi::xml_node suite, size_t tests, size_t failures, size_t errors) {
  suite.append_attribute("tests") = static_cast<unsigned long long>(tests);
  suite.append_attribute("failures") = static_cast<unsigned long long>(failures);
  suite.append_attribute("errors") = static_cast<unsigned long long>(errors);
}

std::string format(const Difference& difference) {
  return difference.what + ": " + difference.golden + " in the golden, " + difference.now + " now";
}

void add_failure(pugi::xml_node test_case, const std::vector<Difference>& differences) {
  auto failure = test_case.append_child("failure");
  set(failure, "type", "moved");
  set(failure, "message", format(differences.front()));
  std::string text;
  for (size_t i = 0; i < differences.size() && i < kMaxDifferences; ++i)
    text += xml_text(format(differences[i])) + "\n";
  if (differences.size() > kMaxDifferences) {
    text += ".. and " + std::to_string(differences.size() - kMaxDifferences) + " more\n";
  }
  failure.text().set(text.c_str());
}

void add_case(pugi::xml_node suite, const std::string& golden, const ComparedRow& row) {
  auto test_case = suite.append_child("testcase");
  set(test_case, "classname", golden);
  set(test_case, "name", "line " + row.place() + (row.id_json.empty() ? "" : ", " + row.id_json));
  if (!row.differences.empty()) add_failure(test_case, row.differences);
}

std::string to_xml(const pugi::xml_document& document) {
  std::ostringstream xml;
  document.save(xml, "  ");
  return xml.str();
}

}  // namespace

std::string format_junit(const CheckResult& result, double seconds) {
  pugi::xml_document document;
  auto suite = add_suite(document, seconds);
  set_counts(suite, result.comparison.rows.size(), static_cast<size_t>(result.comparison.num_moved), 0);
  for (const ComparedRow& row : result.comparison.rows) add_case(suite, result.golden, row);
  std::istringstream report(format_check_report(result));
  std::string text;
  for (std::string line; std::getline(report, line);) text += xml_text(line) + "\n";
  suite.append_child("system-out").text().set(text.c_str());
  return to_xml(document);
}

std::string format_junit_error(const std::string& golden, const std::string& message, double seconds) {
  pugi::xml_document document;
  auto suite = add_suite(document, seconds);
  set_counts(suite, 1, 0, 1);
  auto test_case = suite.append_child("testcase");
  set(test_case, "classname", golden);
  set(test_case, "name", "check");
  auto error = test_case.append_child("error");
  set(error, "type", "could not run");
  set(error, "message", message);
  return to_xml(document);
}

}  // namespace prm_score
