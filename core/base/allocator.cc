// SPDX-License-Identifier: EUPL-1.2
#include "core/base/allocator.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace staffel {

void KeepFreedMemory() {
#if defined(__GLIBC__)
  // One heap for all threads: what the reader of a batch frees, its writer takes. Grown in large
  // steps, and batches come from it, not from fresh mappings whose pages all fault anew.
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_TOP_PAD, 64 << 20);
  mallopt(M_TRIM_THRESHOLD, 512 << 20);
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the greatest that is taken
#endif
}

}  // namespace staffel
