// replace_file.h - writes a small file so that others see all of it or none; and what files are the same.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace prm_score {

// Where writing to `path` ends up: links are followed, also one to a file that is not there yet.
[[nodiscard]] std::filesystem::path target_of(std::filesystem::path path);

// Whether `fd` is open on what `path` leads to.
[[nodiscard]] bool is_open_as(int fd, const std::string& path);

// Whether both descriptors are open on the same file, pipe or terminal.
[[nodiscard]] bool are_open_as_one(int fd, int other_fd);

// All of a small file. Throws Error naming it.
[[nodiscard]] std::string read_whole(const std::string& path);

// Throws Error if replace_file() is sure to fail: `path` is a folder, or lies in none that can be written to. For
// finding out before hours of work.
void check_replaceable(const std::string& path);

// Writes `contents` to a file beside `path`, on the disk, then renames it to `path`; a link is followed to its file.
// What is no regular file (a pipe) and what standard error writes to is written to directly. Throws Error naming
// `path`.
void replace_file(const std::string& path, std::string_view contents);

// The same by way of the file `beside`, which is left behind if the process is killed in the middle. For a `path` that
// one process at a time writes: nothing piles up.
void replace_file(const std::string& path, const std::string& beside, std::string_view contents);

// Makes `path` anew with `contents`, on the disk; no link is followed. Throws Error.
void write_synced(const std::string& path, std::string_view contents);

// Waits until what was made, renamed or removed in the folder of `path` is on the disk. Throws Error.
void sync_folder_of(const std::string& path);

}  // namespace prm_score
