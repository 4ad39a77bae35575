/* For clang-tidy alone (mk/lint.mk includes it before every file). Its analyzer does not see into ho_fail(), and would
 * follow paths on which a failure is HO_OK. */
#ifndef HANDSOFF_LINT_H
#define HANDSOFF_LINT_H

#include "handsoff/status.h"

#define ho_fail(code, ...) (ho_fail((code), __VA_ARGS__), (code))

#endif
