// SPDX-License-Identifier: EUPL-1.2
#include "tests/support/faulting_disk.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#include <sqlite3.h>

#include "core/base/result.h"
#include "tests/support/sim_random.h"

namespace staffel::testing {
namespace {

constexpr int kJournals = SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL;
constexpr int kShmSlots = SQLITE_SHM_NLOCK;

// A write or a truncation that nobody has synced yet.
struct Pending {
  std::uint64_t offset = 0;
  Bytes data;
  bool truncation = false;  // to `offset` bytes
};

void ApplyTo(Bytes& image, std::uint64_t offset, ByteView data) {
  if (image.size() < offset + data.size()) image.resize(offset + data.size());
  std::memcpy(image.data() + offset, data.data(), data.size());
}

struct Handle;

// A file, whatever its name. Its locks and its shared memory belong to it, as inodes have it.
struct Inode {
  Bytes current;
  Bytes synced;
  std::vector<Pending> pending;

  // Locks of the rollback-journal protocol, by holder.
  int shared = 0;
  const Handle* reserved = nullptr;
  const Handle* pending_lock = nullptr;
  const Handle* exclusive = nullptr;

  std::vector<std::unique_ptr<char[]>> shm;
  int shm_users = 0;
  std::array<int, kShmSlots> shm_shared{};
  std::array<const Handle*, kShmSlots> shm_exclusive{};

  void Sync() {
    for (const Pending& write : pending) {
      if (write.truncation) {
        if (synced.size() > write.offset) synced.resize(write.offset);
      } else {
        ApplyTo(synced, write.offset, write.data);
      }
    }
    pending.clear();
  }
};

using Directory = std::map<std::string, std::shared_ptr<Inode>, std::less<>>;

}  // namespace

struct FaultingDisk::State {
  explicit State(std::uint64_t seed) : random(seed) {}

  mutable std::mutex mutex;
  SimRandom random;
  std::string name;
  sqlite3_vfs vfs{};
  Directory current;
  Directory durable;
  std::uint64_t life = 1;  // raised by Restart: handles of an earlier one are dead
  bool cut = false;
  std::uint64_t operations = 0;
  Counts counts;
  std::uint64_t cut_at = 0;
  Unsynced cut_unsynced = Unsynced::kLost;
  std::uint64_t fail_at = 0;
  bool fail_torn = false;
  bool syncs_lie = false;
  std::optional<std::uint64_t> space;
  std::uint64_t used = 0;
  std::function<void()> on_sync;

  enum class Verdict { kGo, kDead, kFail, kFailTorn };
  // Counts an operation and says what becomes of it. Under the mutex.
  Verdict Begin(std::uint64_t handle_life) {
    if (cut || handle_life != life) return Verdict::kDead;
    ++operations;
    if (operations == cut_at) {
      Cut(cut_unsynced);
      return Verdict::kDead;
    }
    if (operations == fail_at) return fail_torn ? Verdict::kFailTorn : Verdict::kFail;
    return Verdict::kGo;
  }

  bool IsLast(std::uint64_t handle_life) const {
    return !cut && handle_life == life && operations + 1 == cut_at;
  }

  bool Coin() { return random.Below(2) == 0; }

  // Decides what the disk holds, at the moment the power goes.
  void Cut(Unsynced unsynced) {
    cut = true;
    ++counts.power_cuts;
    Directory left = unsynced == Unsynced::kKept ? current : durable;
    if (unsynced == Unsynced::kTorn) {
      for (const auto& [file_name, inode] : current) {
        const auto at = durable.find(file_name);
        if ((at == durable.end() || at->second != inode) && Coin()) left[file_name] = inode;
      }
      for (const auto& [file_name, inode] : durable) {
        if (!current.contains(file_name) && Coin()) left.erase(file_name);
      }
    }
    Directory after;
    for (const auto& [file_name, inode] : left) {
      auto fresh = std::make_shared<Inode>();
      fresh->synced = unsynced == Unsynced::kKept   ? inode->current
                      : unsynced == Unsynced::kTorn ? Torn(*inode)
                                                    : inode->synced;
      if (unsynced != Unsynced::kKept) counts.dropped_writes += inode->pending.size();
      fresh->current = fresh->synced;
      after.emplace(file_name, std::move(fresh));
    }
    current = after;
    durable = std::move(after);
    used = 0;
    for (const auto& [file_name, inode] : current) used += inode->current.size();
  }

  Bytes Torn(const Inode& inode) {
    Bytes image = inode.synced;
    for (const Pending& write : inode.pending) {
      const std::uint64_t how = random.Below(3);
      if (how == 0) continue;  // lost
      if (write.truncation) {
        if (image.size() > write.offset) image.resize(write.offset);
        continue;
      }
      if (how == 1) {  // whole
        ApplyTo(image, write.offset, write.data);
        continue;
      }
      for (std::size_t at = 0; at < write.data.size(); at += kSectorBytes) {
        if (Coin()) {
          ApplyTo(image, write.offset + at, ByteView(write.data).substr(at, kSectorBytes));
        }
      }
    }
    return image;
  }
};

namespace {

using State = FaultingDisk::State;
using Verdict = State::Verdict;

// What SQLite holds of an open file: sqlite3_file first, as it wants it.
struct Handle {
  sqlite3_file base;
  State* disk;
  std::shared_ptr<Inode> inode;
  std::string name;  // empty: a temporary file without faults
  std::uint64_t life;
  int lock;
  bool uses_shm;
  std::uint16_t shm_shared;
  std::uint16_t shm_exclusive;
  bool syncs_directory;
};

Handle& Of(sqlite3_file* file) { return *reinterpret_cast<Handle*>(file); }
State& DiskOf(sqlite3_vfs* vfs) { return *static_cast<State*>(vfs->pAppData); }

int Unlock(sqlite3_file* file, int level);
int ShmUnmap(sqlite3_file* file, int remove);

int Close(sqlite3_file* file) {
  Handle& handle = Of(file);
  ShmUnmap(file, 0);
  Unlock(file, SQLITE_LOCK_NONE);
  handle.~Handle();
  return SQLITE_OK;
}

int Read(sqlite3_file* file, void* buffer, int size, sqlite3_int64 offset) {
  Handle& handle = Of(file);
  const std::lock_guard lock(handle.disk->mutex);
  if (!handle.name.empty() && (handle.disk->cut || handle.life != handle.disk->life)) {
    return SQLITE_IOERR_READ;
  }
  const Bytes& content = handle.inode->current;
  const auto wanted = static_cast<std::size_t>(size);
  const auto from = static_cast<std::size_t>(offset);
  const std::size_t there = from < content.size() ? std::min(wanted, content.size() - from) : 0;
  if (there > 0) std::memcpy(buffer, content.data() + from, there);
  if (there == wanted) return SQLITE_OK;
  std::memset(static_cast<char*>(buffer) + there, 0, wanted - there);
  return SQLITE_IOERR_SHORT_READ;
}

int Write(sqlite3_file* file, const void* buffer, int size, sqlite3_int64 offset) {
  Handle& handle = Of(file);
  State& disk = *handle.disk;
  const std::lock_guard lock(disk.mutex);
  const auto at = static_cast<std::uint64_t>(offset);
  ByteView data(static_cast<const char*>(buffer), static_cast<std::size_t>(size));
  Inode& inode = *handle.inode;
  if (handle.name.empty()) {
    ApplyTo(inode.current, at, data);
    return SQLITE_OK;
  }
  // A write that the power cut meets may have begun.
  if (disk.IsLast(handle.life)) inode.pending.push_back({at, Bytes(data), false});
  const Verdict verdict = disk.Begin(handle.life);
  if (verdict == Verdict::kDead) return SQLITE_IOERR_WRITE;
  ++disk.counts.writes;
  if (verdict == Verdict::kFail) {
    ++disk.counts.failed_writes;
    return SQLITE_IOERR_WRITE;
  }
  if (verdict == Verdict::kFailTorn) {
    ++disk.counts.torn_writes;
    data = data.substr(0, data.size() / 2);
  }
  const std::uint64_t end = at + data.size();
  const std::uint64_t growth = end > inode.current.size() ? end - inode.current.size() : 0;
  if (growth > 0 && disk.space && disk.used + growth > *disk.space) {
    ++disk.counts.refused_for_space;
    return SQLITE_FULL;
  }
  disk.used += growth;
  disk.counts.bytes_written += data.size();
  ApplyTo(inode.current, at, data);
  inode.pending.push_back({at, Bytes(data), false});
  return verdict == Verdict::kFailTorn ? SQLITE_IOERR_WRITE : SQLITE_OK;
}

int Truncate(sqlite3_file* file, sqlite3_int64 size) {
  Handle& handle = Of(file);
  State& disk = *handle.disk;
  const std::lock_guard lock(disk.mutex);
  Inode& inode = *handle.inode;
  const auto to = static_cast<std::uint64_t>(size);
  if (!handle.name.empty()) {
    const Verdict verdict = disk.Begin(handle.life);
    if (verdict == Verdict::kDead) return SQLITE_IOERR_TRUNCATE;
    ++disk.counts.truncations;
    if (verdict != Verdict::kGo) {
      ++disk.counts.failed_writes;
      return SQLITE_IOERR_TRUNCATE;
    }
    inode.pending.push_back({to, {}, true});
  }
  if (inode.current.size() > to) {
    if (!handle.name.empty()) disk.used -= inode.current.size() - to;
    inode.current.resize(to);
  }
  return SQLITE_OK;
}

int Sync(sqlite3_file* file, int) {
  Handle& handle = Of(file);
  if (handle.name.empty()) return SQLITE_OK;
  State& disk = *handle.disk;
  if (disk.on_sync) disk.on_sync();
  const std::lock_guard lock(disk.mutex);
  const Verdict verdict = disk.Begin(handle.life);
  if (verdict == Verdict::kDead) return SQLITE_IOERR_FSYNC;
  ++disk.counts.syncs;
  if (verdict != Verdict::kGo) {
    ++disk.counts.failed_syncs;
    handle.inode->pending.clear();  // lost for good, though still to be seen
    return SQLITE_IOERR_FSYNC;
  }
  if (disk.syncs_lie) return SQLITE_OK;
  handle.inode->Sync();
  // SQLite syncs the directory with the first sync of a new journal or WAL, and with it whatever
  // was created or deleted there before.
  if (handle.syncs_directory) {
    disk.durable = disk.current;
    handle.syncs_directory = false;
  }
  return SQLITE_OK;
}

int FileSize(sqlite3_file* file, sqlite3_int64* size) {
  Handle& handle = Of(file);
  const std::lock_guard lock(handle.disk->mutex);
  *size = static_cast<sqlite3_int64>(handle.inode->current.size());
  return SQLITE_OK;
}

int Lock(sqlite3_file* file, int level) {
  Handle& handle = Of(file);
  const std::lock_guard lock(handle.disk->mutex);
  Inode& inode = *handle.inode;
  if (handle.lock >= level) return SQLITE_OK;
  if (level == SQLITE_LOCK_SHARED) {
    if (inode.exclusive != nullptr || inode.pending_lock != nullptr) return SQLITE_BUSY;
    ++inode.shared;
  } else if (level == SQLITE_LOCK_RESERVED) {
    if (inode.reserved != nullptr) return SQLITE_BUSY;
    inode.reserved = &handle;
  } else if (level == SQLITE_LOCK_EXCLUSIVE) {
    if (inode.reserved != nullptr && inode.reserved != &handle) return SQLITE_BUSY;
    if (inode.pending_lock != nullptr && inode.pending_lock != &handle) return SQLITE_BUSY;
    inode.pending_lock = &handle;
    handle.lock = SQLITE_LOCK_PENDING;
    if (inode.shared > 1) return SQLITE_BUSY;  // ours is one of them
    inode.exclusive = &handle;
  }
  handle.lock = level;
  return SQLITE_OK;
}

int Unlock(sqlite3_file* file, int level) {
  Handle& handle = Of(file);
  const std::lock_guard lock(handle.disk->mutex);
  Inode& inode = *handle.inode;
  if (handle.lock <= level) return SQLITE_OK;
  if (inode.exclusive == &handle) inode.exclusive = nullptr;
  if (inode.pending_lock == &handle) inode.pending_lock = nullptr;
  if (inode.reserved == &handle) inode.reserved = nullptr;
  if (level == SQLITE_LOCK_NONE && handle.lock >= SQLITE_LOCK_SHARED) --inode.shared;
  handle.lock = level;
  return SQLITE_OK;
}

int CheckReservedLock(sqlite3_file* file, int* reserved) {
  Handle& handle = Of(file);
  const std::lock_guard lock(handle.disk->mutex);
  *reserved = handle.inode->reserved != nullptr ? 1 : 0;
  return SQLITE_OK;
}

int FileControl(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
int SectorSize(sqlite3_file*) { return 4096; }
int Characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

int ShmMap(sqlite3_file* file, int region, int size, int extend, void volatile** memory) {
  Handle& handle = Of(file);
  const std::lock_guard lock(handle.disk->mutex);
  Inode& inode = *handle.inode;
  if (!handle.uses_shm) {
    handle.uses_shm = true;
    ++inode.shm_users;
  }
  const auto index = static_cast<std::size_t>(region);
  *memory = nullptr;
  if (index >= inode.shm.size()) {
    if (extend == 0) return SQLITE_OK;
    while (inode.shm.size() <= index) {
      inode.shm.push_back(std::make_unique<char[]>(static_cast<std::size_t>(size)));
    }
  }
  *memory = inode.shm[index].get();
  return SQLITE_OK;
}

int ShmLock(sqlite3_file* file, int first, int count, int flags) {
  Handle& handle = Of(file);
  const std::lock_guard lock(handle.disk->mutex);
  Inode& inode = *handle.inode;
  const bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
  const auto begin = static_cast<std::size_t>(first);
  const auto end = begin + static_cast<std::size_t>(count);
  if ((flags & SQLITE_SHM_UNLOCK) != 0) {
    for (std::size_t slot = begin; slot < end; ++slot) {
      const auto bit = static_cast<std::uint16_t>(1u << slot);
      if ((handle.shm_shared & bit) != 0) {
        --inode.shm_shared[slot];
        handle.shm_shared = static_cast<std::uint16_t>(handle.shm_shared & ~bit);
      }
      if ((handle.shm_exclusive & bit) != 0) {
        inode.shm_exclusive[slot] = nullptr;
        handle.shm_exclusive = static_cast<std::uint16_t>(handle.shm_exclusive & ~bit);
      }
    }
    return SQLITE_OK;
  }
  for (std::size_t slot = begin; slot < end; ++slot) {
    const auto bit = static_cast<std::uint16_t>(1u << slot);
    const bool held_shared = (handle.shm_shared & bit) != 0;
    if (inode.shm_exclusive[slot] != nullptr && inode.shm_exclusive[slot] != &handle) {
      return SQLITE_BUSY;
    }
    if (exclusive && inode.shm_shared[slot] > (held_shared ? 1 : 0)) return SQLITE_BUSY;
  }
  for (std::size_t slot = begin; slot < end; ++slot) {
    const auto bit = static_cast<std::uint16_t>(1u << slot);
    if (exclusive) {
      inode.shm_exclusive[slot] = &handle;
      handle.shm_exclusive = static_cast<std::uint16_t>(handle.shm_exclusive | bit);
    } else if ((handle.shm_shared & bit) == 0) {
      ++inode.shm_shared[slot];
      handle.shm_shared = static_cast<std::uint16_t>(handle.shm_shared | bit);
    }
  }
  return SQLITE_OK;
}

void ShmBarrier(sqlite3_file* file) {
  // As SQLite's own VFS does: a full fence by way of a mutex.
  const std::lock_guard lock(Of(file).disk->mutex);
}

int ShmUnmap(sqlite3_file* file, int) {
  Handle& handle = Of(file);
  if (!handle.uses_shm) return SQLITE_OK;
  ShmLock(file, 0, kShmSlots, SQLITE_SHM_UNLOCK);
  const std::lock_guard lock(handle.disk->mutex);
  handle.uses_shm = false;
  if (--handle.inode->shm_users == 0) handle.inode->shm.clear();
  return SQLITE_OK;
}

constexpr sqlite3_io_methods kMethods = {
    .iVersion = 2,
    .xClose = Close,
    .xRead = Read,
    .xWrite = Write,
    .xTruncate = Truncate,
    .xSync = Sync,
    .xFileSize = FileSize,
    .xLock = Lock,
    .xUnlock = Unlock,
    .xCheckReservedLock = CheckReservedLock,
    .xFileControl = FileControl,
    .xSectorSize = SectorSize,
    .xDeviceCharacteristics = Characteristics,
    .xShmMap = ShmMap,
    .xShmLock = ShmLock,
    .xShmBarrier = ShmBarrier,
    .xShmUnmap = ShmUnmap,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

int Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  State& disk = DiskOf(vfs);
  const std::lock_guard lock(disk.mutex);
  file->pMethods = nullptr;
  std::shared_ptr<Inode> inode;
  bool created = false;
  if (name == nullptr) {
    inode = std::make_shared<Inode>();
  } else {
    if (disk.cut) return SQLITE_CANTOPEN;
    const auto found = disk.current.find(std::string_view(name));
    if (found != disk.current.end()) {
      inode = found->second;
    } else {
      if ((flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
      inode = std::make_shared<Inode>();
      disk.current.emplace(name, inode);
      created = true;
    }
  }
  new (file) Handle{.base = {.pMethods = &kMethods},
                    .disk = &disk,
                    .inode = std::move(inode),
                    .name = name == nullptr ? std::string() : std::string(name),
                    .life = disk.life,
                    .lock = SQLITE_LOCK_NONE,
                    .uses_shm = false,
                    .shm_shared = 0,
                    .shm_exclusive = 0,
                    .syncs_directory = created && (flags & kJournals) != 0};
  if (out_flags != nullptr) *out_flags = flags;
  return SQLITE_OK;
}

int Delete(sqlite3_vfs* vfs, const char* name, int sync_directory) {
  State& disk = DiskOf(vfs);
  const std::lock_guard lock(disk.mutex);
  const auto found = disk.current.find(std::string_view(name));
  if (found == disk.current.end()) return SQLITE_IOERR_DELETE_NOENT;
  const Verdict verdict = disk.Begin(disk.life);
  if (verdict != Verdict::kGo) return SQLITE_IOERR_DELETE;
  ++disk.counts.deletions;
  disk.used -= found->second->current.size();
  disk.current.erase(found);
  if (sync_directory != 0) disk.durable.erase(std::string(name));
  return SQLITE_OK;
}

int Access(sqlite3_vfs* vfs, const char* name, int, int* there) {
  State& disk = DiskOf(vfs);
  const std::lock_guard lock(disk.mutex);
  *there = disk.current.contains(std::string_view(name)) ? 1 : 0;
  return SQLITE_OK;
}

int FullPathname(sqlite3_vfs*, const char* name, int size, char* full) {
  sqlite3_snprintf(size, full, "%s", name);
  return SQLITE_OK;
}

int Randomness(sqlite3_vfs*, int size, char* bytes) {
  sqlite3_vfs* system = sqlite3_vfs_find(nullptr);
  return system->xRandomness(system, size, bytes);
}

int Sleep(sqlite3_vfs*, int microseconds) {
  sqlite3_vfs* system = sqlite3_vfs_find(nullptr);
  return system->xSleep(system, microseconds);
}

int CurrentTime(sqlite3_vfs*, double* days) {
  *days = 2'460'000.5;  // nothing of ours asks SQLite for the time
  return SQLITE_OK;
}

int LastError(sqlite3_vfs*, int, char*) { return 0; }

std::atomic<int> disks_made{0};

}  // namespace

FaultingDisk::FaultingDisk(std::uint64_t seed) : state_(std::make_unique<State>(seed)) {
  state_->name = fmt::format("staffel-faulting-{}", ++disks_made);
  sqlite3_vfs& vfs = state_->vfs;
  vfs.iVersion = 1;
  vfs.szOsFile = sizeof(Handle);
  vfs.mxPathname = 512;
  vfs.zName = state_->name.c_str();
  vfs.pAppData = state_.get();
  vfs.xOpen = Open;
  vfs.xDelete = Delete;
  vfs.xAccess = Access;
  vfs.xFullPathname = FullPathname;
  vfs.xRandomness = Randomness;
  vfs.xSleep = Sleep;
  vfs.xCurrentTime = CurrentTime;
  vfs.xGetLastError = LastError;
  const int registered = sqlite3_vfs_register(&vfs, /*makeDflt=*/0);
  STAFFEL_ASSERT(registered == SQLITE_OK);
}

FaultingDisk::~FaultingDisk() { sqlite3_vfs_unregister(&state_->vfs); }

const std::string& FaultingDisk::vfs() const { return state_->name; }

std::uint64_t FaultingDisk::operations() const {
  const std::lock_guard lock(state_->mutex);
  return state_->operations;
}

FaultingDisk::Counts FaultingDisk::counts() const {
  const std::lock_guard lock(state_->mutex);
  return state_->counts;
}

void FaultingDisk::CutPowerAt(std::uint64_t operation, Unsynced unsynced) {
  const std::lock_guard lock(state_->mutex);
  state_->cut_at = operation;
  state_->cut_unsynced = unsynced;
}

void FaultingDisk::CutPower(Unsynced unsynced) {
  const std::lock_guard lock(state_->mutex);
  if (!state_->cut) state_->Cut(unsynced);
}

bool FaultingDisk::power_is_cut() const {
  const std::lock_guard lock(state_->mutex);
  return state_->cut;
}

void FaultingDisk::Restart() {
  const std::lock_guard lock(state_->mutex);
  STAFFEL_ASSERT(state_->cut);
  state_->cut = false;
  state_->cut_at = 0;
  state_->fail_at = 0;
  ++state_->life;
}

void FaultingDisk::FailAt(std::uint64_t operation, bool torn) {
  const std::lock_guard lock(state_->mutex);
  state_->fail_at = operation;
  state_->fail_torn = torn;
}

void FaultingDisk::LieAboutSyncs(bool lie) {
  const std::lock_guard lock(state_->mutex);
  state_->syncs_lie = lie;
}

void FaultingDisk::SetSpace(std::optional<std::uint64_t> bytes) {
  const std::lock_guard lock(state_->mutex);
  state_->space = bytes;
}

std::uint64_t FaultingDisk::used() const {
  const std::lock_guard lock(state_->mutex);
  return state_->used;
}

void FaultingDisk::OnSync(std::function<void()> callback) {
  const std::lock_guard lock(state_->mutex);
  state_->on_sync = std::move(callback);
}

std::optional<Bytes> FaultingDisk::ReadFile(std::string_view name) const {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->current.find(name);
  if (found == state_->current.end()) return std::nullopt;
  return found->second->current;
}

void FaultingDisk::WriteFile(std::string_view name, ByteView content) {
  const std::lock_guard lock(state_->mutex);
  auto inode = std::make_shared<Inode>();
  inode->current = Bytes(content);
  inode->synced = inode->current;
  const auto found = state_->current.find(name);
  if (found != state_->current.end()) state_->used -= found->second->current.size();
  state_->used += content.size();
  state_->current.insert_or_assign(std::string(name), inode);
  state_->durable.insert_or_assign(std::string(name), inode);
}

void FaultingDisk::RemoveFile(std::string_view name) {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->current.find(name);
  if (found == state_->current.end()) return;
  state_->used -= found->second->current.size();
  if (const auto durable = state_->durable.find(name); durable != state_->durable.end()) {
    state_->durable.erase(durable);
  }
  state_->current.erase(found);
}

std::vector<std::string> FaultingDisk::Files() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<std::string> names;
  for (const auto& [name, inode] : state_->current) names.push_back(name);
  return names;
}

FaultingDisk::Image FaultingDisk::Save() const {
  const std::lock_guard lock(state_->mutex);
  Image image;
  for (const auto& [name, inode] : state_->current) image.emplace_back(name, inode->current);
  return image;
}

void FaultingDisk::Load(const Image& image) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->current.clear();
    state_->durable.clear();
    state_->used = 0;
  }
  for (const auto& [name, content] : image) WriteFile(name, content);
}

}  // namespace staffel::testing
