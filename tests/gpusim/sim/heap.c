/* Device memory. One big range of addresses is reserved when the first byte is asked for; allocations are handed out
 * upwards from its begin, each on pages of its own with an unused page behind, and freed addresses come back only when
 * the range is used up, so that late accesses are found.
 *
 * The range is mapped twice: at the addresses that the program knows, closed but between gs_memory_begin and
 * gs_memory_end, and a second time for the simulator itself, always open. A launch therefore opens nothing. */
#include "engine.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096 };
#define WISHED_ADDRESS UINT64_C(0x200000000000)
#define RANGE_BYTES    (UINT64_C(1) << 38)

gs_region gs_heap;
static int file = -1;
static uint64_t top;     /* first address never handed out                                                        */
static size_t in_use;    /* bytes of live allocations                                                             */
static uint64_t serials; /* allocations so far                                                                    */
static gs_allocation **table; /* by address                                                                       */
static size_t n_table, table_room;
static struct sigaction old_segv;

/* A dereference by the host itself. */
static void on_segv(int signal_number, siginfo_t *info, void *context) {
    (void)signal_number;
    (void)context;
    const uint64_t a = (uint64_t)(uintptr_t)info->si_addr;
    if (gs_heap.data != NULL && a >= gs_heap.base && a < gs_heap.base + RANGE_BYTES) {
        char text[256];
        gs_check check = GS_OUT_OF_BOUNDS;
        fprintf(stderr, "gpusim: the host touched device memory at 0x%llx: %s\n", (unsigned long long)a,
                gs_heap_describe(a, 1, text, &check));
        fflush(NULL);
        _exit(86);
    }
    sigaction(SIGSEGV, &old_segv, NULL); /* the instruction faults again                                          */
}

void gs_heap_catch_host(void) {
    struct sigaction action = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, &old_segv);
}

static void *map(uint64_t bytes, int protection, uint64_t at, bool shared) {
    const int flags = MAP_NORESERVE | (shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS);
    void *p = MAP_FAILED;
    if (at != 0) {
        p = mmap((void *)(uintptr_t)at, bytes, protection, flags | MAP_FIXED_NOREPLACE, shared ? file : -1, 0);
    }
    if (p == MAP_FAILED) {
        p = mmap(NULL, bytes, protection, flags, shared ? file : -1, 0);
    }
    if (p == MAP_FAILED) {
        gs_fatal("cannot reserve %llu GB of addresses", (unsigned long long)(bytes >> 30));
    }
    return p;
}

static void reserve(void) {
    file = memfd_create("gpusim-device-memory", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, (off_t)RANGE_BYTES) != 0) {
        gs_fatal("cannot make the file of device memory");
    }
    const int closed = gs_get_options()->protect ? PROT_NONE : PROT_READ | PROT_WRITE;
    gs_heap.base = (uint64_t)(uintptr_t)map(RANGE_BYTES, closed, WISHED_ADDRESS, true);
    gs_heap.data = map(RANGE_BYTES, PROT_READ | PROT_WRITE, 0, true);
    gs_heap.size = RANGE_BYTES;
    gs_heap.granule = map(RANGE_BYTES / GS_GRANULE * sizeof(gs_granule), PROT_READ | PROT_WRITE, 0, false);
    gs_heap.defined = map(RANGE_BYTES / 8, PROT_READ | PROT_WRITE, 0, false);
    top = gs_heap.base + PAGE;
    gs_heap_catch_host();
}

void gs_heap_forget_stamps(void) {
    if (gs_heap.data != NULL) {
        madvise(gs_heap.granule, RANGE_BYTES / GS_GRANULE * sizeof(gs_granule), MADV_DONTNEED);
    }
}

/* Index of the last allocation that begins at or before the address, -1 none. */
static ptrdiff_t find_index(uint64_t address) {
    size_t low = 0, high = n_table;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (table[middle]->begin <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return (ptrdiff_t)low - 1;
}

gs_allocation *gs_heap_find(uint64_t address) {
    const ptrdiff_t n = find_index(address);
    return n < 0 ? NULL : table[n];
}

const char *gs_heap_describe(uint64_t address, uint64_t bytes, char text[256], gs_check *check) {
    const gs_allocation *a = gs_heap_find(address);
    *check = GS_OUT_OF_BOUNDS;
    if (address < PAGE) {
        snprintf(text, 256, "null pointer, address 0x%llx", (unsigned long long)address);
    } else if (a == NULL || address - a->begin > (UINT64_C(1) << 40)) {
        snprintf(text, 256, "address 0x%llx is not device memory", (unsigned long long)address);
    } else if (!a->live && address < a->begin + a->bytes) {
        *check = GS_USE_AFTER_FREE;
        snprintf(text, 256, "%llu bytes at offset %llu of \"%s\" (%llu bytes, allocation %llu), which was freed",
                 (unsigned long long)bytes, (unsigned long long)(address - a->begin), a->what,
                 (unsigned long long)a->bytes, (unsigned long long)a->serial);
    } else {
        const ptrdiff_t n = find_index(address);
        const gs_allocation *next = (size_t)n + 1 < n_table ? table[n + 1] : NULL;
        if (next != NULL && next->begin - address < address - (a->begin + a->bytes)) {
            snprintf(text, 256, "%llu bytes, %llu before the begin of \"%s\" (%llu bytes, allocation %llu)",
                     (unsigned long long)bytes, (unsigned long long)(next->begin - address), next->what,
                     (unsigned long long)next->bytes, (unsigned long long)next->serial);
        } else {
            snprintf(text, 256, "%llu bytes at offset %llu of \"%s\" (%llu bytes, allocation %llu%s)",
                     (unsigned long long)bytes, (unsigned long long)(address - a->begin), a->what,
                     (unsigned long long)a->bytes, (unsigned long long)a->serial, a->live ? "" : ", freed");
        }
    }
    return text;
}

static void insert(gs_allocation *a) {
    if (n_table == table_room) {
        table_room = table_room == 0 ? 256 : 2 * table_room;
        table = realloc(table, table_room * sizeof(gs_allocation *));
    }
    const ptrdiff_t n = find_index(a->begin) + 1;
    memmove(&table[n + 1], &table[n], (n_table - (size_t)n) * sizeof(gs_allocation *));
    table[n] = a;
    n_table++;
}

/* Addresses for an allocation: new ones, or, when the range is used up, those of the one freed first that is large
 * enough. */
static uint64_t take_addresses(uint64_t reserved, uint64_t *got) {
    *got = reserved;
    if (top + reserved <= gs_heap.base + RANGE_BYTES) {
        const uint64_t at = top;
        top += reserved;
        return at;
    }
    size_t best = n_table;
    for (size_t n = 0; n < n_table; n++) {
        if (!table[n]->live && table[n]->reserved >= reserved &&
            (best == n_table || table[n]->serial < table[best]->serial)) {
            best = n;
        }
    }
    if (best == n_table) {
        return 0;
    }
    gs_allocation *old = table[best];
    const uint64_t at = old->begin;
    *got = old->reserved;
    memmove(&table[best], &table[best + 1], (n_table - best - 1) * sizeof(gs_allocation *));
    n_table--;
    free(old);
    return at;
}

void *gs_memory_alloc(size_t bytes, const char *what) {
    if (gs_heap.data == NULL) {
        reserve();
    }
    if (bytes > (size_t)gs_get_options()->memory * 1048576u - in_use) {
        return NULL;
    }
    const uint64_t reserved = ((uint64_t)bytes + PAGE - 1) / PAGE * PAGE + (bytes == 0 ? PAGE : 0) + PAGE;
    uint64_t got = 0;
    const uint64_t at = take_addresses(reserved, &got);
    if (at == 0) {
        return NULL;
    }
    gs_allocation *a = calloc(1, sizeof *a);
    *a = (gs_allocation){.begin = at, .bytes = bytes, .reserved = got, .live = true, .serial = ++serials};
    snprintf(a->what, sizeof a->what, "%s", what != NULL ? what : "");
    insert(a);
    in_use += bytes;
    return (void *)(uintptr_t)at;
}

void gs_memory_keep(void *memory) {
    gs_allocation *a = gs_heap_find((uint64_t)(uintptr_t)memory);
    if (a != NULL) {
        a->module = true;
    }
}

/* Clears the marks of defined bytes; pages of marks go back to the system, so that what nobody touched costs nothing.
 */
static void clear_marks(uint64_t offset, uint64_t bytes) {
    const uint64_t page = UINT64_C(8) * PAGE; /* bytes that one page of marks is for */
    const uint64_t first = (offset + page - 1) / page * page, last = (offset + bytes) / page * page;
    if (first >= last) {
        gs_defined_clear(gs_heap.defined, offset, bytes);
        return;
    }
    gs_defined_clear(gs_heap.defined, offset, first - offset);
    madvise(&gs_heap.defined[first / 64], (last - first) / 8, MADV_DONTNEED);
    gs_defined_clear(gs_heap.defined, last, offset + bytes - last);
}

bool gs_memory_free(void *memory) {
    gs_allocation *a = gs_heap_find((uint64_t)(uintptr_t)memory);
    if (a == NULL || !a->live || a->begin != (uint64_t)(uintptr_t)memory) {
        return false;
    }
    a->live = false;
    in_use -= a->bytes;
    const uint64_t offset = a->begin - gs_heap.base, pages = a->reserved - PAGE;
    if (a->open > 0 && gs_get_options()->protect) {
        mprotect((void *)(uintptr_t)a->begin, pages, PROT_NONE);
    }
    a->open = 0;
    fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)pages);
    madvise(&gs_heap.granule[offset / GS_GRANULE], pages / GS_GRANULE * sizeof(gs_granule), MADV_DONTNEED);
    clear_marks(offset, pages);
    return true;
}

/* ---- host access ---------------------------------------------------------------------------------------------------
 */

bool gs_memory_valid(const void *address, size_t bytes, const char **why) {
    static __thread char text[256];
    const uint64_t at = (uint64_t)(uintptr_t)address;
    const gs_allocation *a = gs_heap_find(at);
    if (a != NULL && a->live && at + bytes <= a->begin + a->bytes && (at < a->begin + a->bytes || bytes == 0)) {
        return true;
    }
    gs_check check;
    gs_heap_describe(at, bytes, text, &check);
    if (why != NULL) {
        *why = text;
    }
    return false;
}

static void open_or_close(gs_allocation *a, int by) {
    const bool was = a->open > 0;
    a->open += by;
    if ((a->open > 0) != was && gs_get_options()->protect) {
        mprotect((void *)(uintptr_t)a->begin, a->reserved - PAGE, by > 0 ? PROT_READ | PROT_WRITE : PROT_NONE);
    }
}

bool gs_memory_begin(const void *address, size_t bytes, bool write, bool defined, const char *where) {
    const char *why = NULL;
    if (!gs_memory_valid(address, bytes, &why)) {
        const gs_allocation *f = gs_heap_find((uint64_t)(uintptr_t)address);
        const bool freed = f != NULL && !f->live && (uint64_t)(uintptr_t)address < f->begin + f->bytes;
        gs_report_host(freed ? GS_USE_AFTER_FREE : GS_OUT_OF_BOUNDS, where, "%s", why);
        return false;
    }
    const uint64_t offset = (uint64_t)(uintptr_t)address - gs_heap.base;
    gs_allocation *a = gs_heap_find((uint64_t)(uintptr_t)address);
    if (defined && !gs_defined_all(gs_heap.defined, offset, bytes)) {
        gs_report_host(GS_UNINITIALISED, where, "reads %zu bytes of \"%s\" (%llu bytes), not all of them written",
                       bytes, a->what, (unsigned long long)a->bytes);
        gs_defined_set(gs_heap.defined, offset, bytes);
    }
    if (write) {
        gs_defined_set(gs_heap.defined, offset, bytes);
    }
    open_or_close(a, 1);
    return true;
}

void gs_memory_end(const void *address, size_t bytes) {
    (void)bytes;
    gs_allocation *a = gs_heap_find((uint64_t)(uintptr_t)address);
    if (a != NULL && a->live && a->open > 0) {
        open_or_close(a, -1);
    }
}

void gs_memory_copy_marks(void *to, const void *from, size_t bytes) {
    gs_defined_copy(gs_heap.defined, (uint64_t)(uintptr_t)to - gs_heap.base, gs_heap.defined,
                    (uint64_t)(uintptr_t)from - gs_heap.base, bytes);
}

size_t gs_memory_in_use(void) {
    return in_use;
}

int gs_memory_live(void) {
    int n = 0;
    for (size_t k = 0; k < n_table; k++) {
        n += table[k]->live && !table[k]->module;
    }
    return n;
}

void gs_memory_report_leaks(void) {
    for (size_t k = 0; k < n_table; k++) {
        const gs_allocation *a = table[k];
        if (a->live && !a->module) {
            fprintf(stderr, "gpusim: not freed: \"%s\", %llu bytes, allocation %llu\n", a->what,
                    (unsigned long long)a->bytes, (unsigned long long)a->serial);
        }
    }
}
