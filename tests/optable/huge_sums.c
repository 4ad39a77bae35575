#include "huge.h"
const ot_huge_case ot_huge_sums[] = {{0}};
