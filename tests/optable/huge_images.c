#include "huge.h"
const ot_huge_case ot_huge_images[] = {{0}};
