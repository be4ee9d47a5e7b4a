//===- runtime/Core/File.cpp - files that survive ------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// POSIX calls behind File.h. Each failure names the path and the system's reason.
//
//===------------------------------------------------------------------------===//
#include "runtime/Core/File.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace moire::runtime {

Descriptor::~Descriptor() {
  if (fd >= 0)
    ::close(fd);
}

Result<MappedFile> MappedFile::open(const std::string &path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid())
    return Status::system(fmt::format("cannot open `{}`", path));
  struct stat info;
  if (::fstat(fd.get(), &info) != 0)
    return Status::system(fmt::format("cannot read `{}`", path));
  if (!S_ISREG(info.st_mode))
    return Status::error("`{}` is not a regular file", path);
  MappedFile file;
  file.length = static_cast<size_t>(info.st_size);
  if (file.length == 0)
    return file;
  void *address = ::mmap(nullptr, file.length, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (address == MAP_FAILED) {
    file.length = 0;
    return Status::system(fmt::format("cannot map `{}` into memory", path));
  }
  file.address = address;
  return file;
}

MappedFile::~MappedFile() {
  if (address)
    ::munmap(address, length);
}

void MappedFile::release(size_t begin, size_t end) const {
  static const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  // The kernel maps up to 64 KiB around a fault: widen by as much, or those neighbours stay resident.
  constexpr size_t around = 65536;
  const size_t first = (begin > around ? begin - around : 0) / page * page;
  const size_t last = std::min(length, end + around);
  if (address && first < last)
    ::madvise(static_cast<char *>(address) + first, last - first, MADV_DONTNEED);
}

Result<FileWriter> FileWriter::create(const std::string &path) {
  Descriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!fd.valid())
    return Status::system(fmt::format("cannot write `{}`", path));
  return FileWriter(path, std::move(fd));
}

Result<FileWriter> FileWriter::append(const std::string &path) {
  Descriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (!fd.valid())
    return Status::system(fmt::format("cannot write `{}`", path));
  return FileWriter(path, std::move(fd));
}

Status FileWriter::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd.get(), bytes.data(), std::min<size_t>(bytes.size(), 1u << 30));
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return Status::system(fmt::format("cannot write `{}`", path));
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

Status FileWriter::sync() {
  return ::fsync(fd.get()) == 0 ? Status() : Status::system(fmt::format("cannot write `{}` to the disk", path));
}

Result<std::string> readFile(const std::string &path) {
  MOIRE_ASSIGN(const MappedFile file, MappedFile::open(path));
  return std::string(file.bytes());
}

Status replaceFile(const std::string &path, std::string_view text) {
  const std::string aside = path + ".tmp";
  const auto store = [&]() -> Status {
    MOIRE_ASSIGN(FileWriter writer, FileWriter::create(aside));
    MOIRE_TRY(writer.write(text));
    MOIRE_TRY(writer.sync());
    if (::rename(aside.c_str(), path.c_str()) != 0)
      return Status::system(fmt::format("cannot write `{}`", path));
    return syncFolder(std::filesystem::path(path).parent_path().string());
  };
  Status status = store();
  if (!status.ok())
    ::unlink(aside.c_str());
  return status;
}

Status replaceFileByCopy(const std::string &path, const std::string &source) {
  MOIRE_ASSIGN(const MappedFile file, MappedFile::open(source));
  return replaceFile(path, file.bytes());
}

Status syncFolder(const std::string &path) {
  const std::string folder = path.empty() ? "." : path;
  const Descriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || ::fsync(fd.get()) != 0)
    return Status::system(fmt::format("cannot write folder `{}` to the disk", folder));
  return {};
}

Status makeFolders(const std::string &path) {
  std::error_code code;
  std::filesystem::create_directories(path, code);
  return code ? Status::system(fmt::format("cannot make folder `{}`", path), code.value()) : Status();
}

Result<FolderLock> FolderLock::take(const std::string &folder) {
  Descriptor fd(::open((folder + "/.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (!fd.valid())
    return Status::system(fmt::format("cannot lock `{}`", folder));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0)
    return FolderLock(std::move(fd));
  if (errno == EWOULDBLOCK)
    return Status::error("`{}` is in use: another run is writing there", folder);
  return Status::system(fmt::format("cannot lock `{}`", folder));
}

} // namespace moire::runtime
