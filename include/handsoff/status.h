/* Errors are values. A function that can fail returns ho_status; the text of the last failure says what went wrong,
 * where (file, key, line, shape) and what would be right. The library never prints and never exits: only the program
 * (src/cli) does. */
#ifndef HANDSOFF_STATUS_H
#define HANDSOFF_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    HO_OK = 0,
    HO_EUSAGE,     /* the command line is wrong: the program exits with 2                    */
    HO_ECONFIG,    /* a config file or key is wrong: the program exits with 2                */
    HO_ESHAPE,     /* tensors that do not fit together                                       */
    HO_EIO,        /* a file or folder cannot be opened, read or written                     */
    HO_EFORMAT,    /* a file opens, but is not what it should be (truncated, wrong kind)     */
    HO_EMEMORY,    /* host or device memory is used up                                       */
    HO_EDEVICE,    /* the accelerator or one of its libraries reports an error               */
    HO_ENUMERIC,   /* a loss or a weight is no longer finite                                 */
    HO_EINTERRUPT, /* SIGINT/SIGTERM: a checkpoint was written, the same command resumes     */
} ho_status;

/* Records the text (printf format) with the place in the source and returns `code`. The text is kept per thread. */
ho_status ho_fail(ho_status code, const char *source, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts "context: " before the recorded text; for callers that know the file or stage. Returns `code` unchanged. */
ho_status ho_fail_context(ho_status code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The text of the calling thread's last failure; "" when there was none. Owned by the library. */
const char *ho_error(void);

/* The source position of the last failure, "file:line", for bug reports. */
const char *ho_error_source(void);

#define HO_FAIL(code, ...) return ho_fail((code), __FILE__, __LINE__, __VA_ARGS__)

#define HO_TRY(call)                                                                                                   \
    do {                                                                                                               \
        const ho_status ho_status_ = (call);                                                                           \
        if (ho_status_ != HO_OK) {                                                                                     \
            return ho_status_;                                                                                         \
        }                                                                                                              \
    } while (0)

/* As HO_TRY, for functions that release resources at a label `done:`; expects a variable `ho_status status`. */
#define HO_TRY_DONE(call)                                                                                              \
    do {                                                                                                               \
        status = (call);                                                                                               \
        if (status != HO_OK) {                                                                                         \
            goto done;                                                                                                 \
        }                                                                                                              \
    } while (0)

/* Checks what a caller passed: shapes and sizes, never internal invariants (those are assert()). */
#define HO_REQUIRE(condition, ...)                                                                                     \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            HO_FAIL(HO_ESHAPE, __VA_ARGS__);                                                                           \
        }                                                                                                              \
    } while (0)

#ifdef __cplusplus
}
#endif
#endif
