// bus_errors.h - an end with a reason for what reading a mapped file may come to.
#pragma once

namespace prm_score {

// From here on SIGBUS at a place of a mapped file (model/mapped_file.h) ends the process with 1 and a message that
// names the file: it was cut short, or its disk fails. Rows are written between two steps of the model, never while it
// reads its weights, so that the rows so far are whole. Any other SIGBUS ends the process as it always does.
void explain_bus_errors();

// What the process then ends with in place of 1.
void set_bus_error_exit_code(int exit_code);

}  // namespace prm_score
