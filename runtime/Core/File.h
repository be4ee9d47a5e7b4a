//===- runtime/Core/File.h - files that survive --------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reading by memory mapping, writing so that a crash at any moment leaves the
// old or the new contents (aside, fsync, rename, fsync of the folder), and the
// lock that keeps two runs out of one folder.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_CORE_FILE_H
#define MOIRE_RUNTIME_CORE_FILE_H

#include "runtime/Core/Status.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace moire::runtime {

/// An open file descriptor, closed by its owner's end.
class Descriptor {
public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd(fd) {}
  Descriptor(Descriptor &&other) noexcept : fd(std::exchange(other.fd, -1)) {}
  Descriptor &operator=(Descriptor &&other) noexcept {
    std::swap(fd, other.fd);
    return *this;
  }
  ~Descriptor();
  int get() const { return fd; }
  bool valid() const { return fd >= 0; }

private:
  int fd = -1;
};

/// A file's contents, mapped read-only.
class MappedFile {
public:
  /// Maps `path`, a regular file; an empty file gives an empty view.
  static Result<MappedFile> open(const std::string &path);
  MappedFile() = default;
  MappedFile(MappedFile &&other) noexcept
      : address(std::exchange(other.address, nullptr)), length(std::exchange(other.length, 0)) {}
  MappedFile &operator=(MappedFile &&other) noexcept {
    std::swap(address, other.address);
    std::swap(length, other.length);
    return *this;
  }
  ~MappedFile();

  std::string_view bytes() const { return {static_cast<const char *>(address), length}; }
  /// Gives the resident pages that hold bytes [begin, end) back; they are read again when touched.
  void release(size_t begin, size_t end) const;

private:
  void *address = nullptr;
  size_t length = 0;
};

/// Writes one file front to back; every failure (a full disk, a size limit) is reported with the path.
class FileWriter {
public:
  /// Creates or empties `path`.
  static Result<FileWriter> create(const std::string &path);
  /// Opens `path` for appending, creating it when absent.
  static Result<FileWriter> append(const std::string &path);
  Status write(std::string_view bytes);
  /// Waits until all that was written is on the disk.
  Status sync();

private:
  FileWriter(std::string path, Descriptor fd) : path(std::move(path)), fd(std::move(fd)) {}
  std::string path;
  Descriptor fd;
};

/// All of a file as a string.
Result<std::string> readFile(const std::string &path);

/// Replaces `path` by `text`: after a crash the file is the old one or the new one.
Status replaceFile(const std::string &path, std::string_view text);

/// Copies a file's contents by the same steps as replaceFile.
Status replaceFileByCopy(const std::string &path, const std::string &source);

/// Waits until the entries of folder `path` are on the disk.
Status syncFolder(const std::string &path);

/// Makes folder `path` and its missing parents.
Status makeFolders(const std::string &path);

/// Holds `folder`/.lock exclusively until destroyed (or the process ends, however it ends).
class FolderLock {
public:
  static Result<FolderLock> take(const std::string &folder);

private:
  explicit FolderLock(Descriptor fd) : fd(std::move(fd)) {}
  Descriptor fd;
};

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_CORE_FILE_H
