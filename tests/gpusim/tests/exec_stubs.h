#ifndef GPUSIM_EXEC_STUBS_H
#define GPUSIM_EXEC_STUBS_H
#include <stdint.h>
extern int stub_reports;
/* Rows that ldmatrix and stmatrix address as 16 n. */
extern uint8_t stub_row[32][16];
#endif
