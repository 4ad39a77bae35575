/* The number type of tensors: float. The test suite builds the library a second time with double (-DHO_REAL_DOUBLE), so
 * that every operation's gradient is checked against central differences at 1e-8 instead of 1e-3. */
#ifndef HANDSOFF_TYPES_H
#define HANDSOFF_TYPES_H

#ifdef HO_REAL_DOUBLE
typedef double ho_real;
#define HO_R(literal) literal
#else
typedef float ho_real;
#define HO_R(literal) literal##F
#endif

/* Where kernels are queued: a cudaStream_t on cuda, NULL on cpu (but for a device that computes nothing, dry.h). */
typedef struct CUstream_st *ho_stream;

#endif
