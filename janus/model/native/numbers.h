/* Sixteen numbers at a time, for AVX-512: what all kernels here are made of.
 *
 * Kernels take pointers to tensors as the module in Python that calls them lays them out, and leave
 * their results in the memory given. A row's result does not depend on the other rows, to the
 * bit. */

#pragma once

#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define EXPORTED __attribute__((visibility("default")))
#define BLOCK 16        /* outputs: the lanes of a register */
#define GROUP 64        /* inputs whose weights of four bits share their levels */
#define SPAN 512        /* inputs that share a scale where weights have four bits */
#define ALONE 200000    /* multiplications for which no second thread is woken */
#define AHEAD 4096      /* bytes: the processor itself fetches ahead no further than a page */

INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* Sixteen numbers from place i on, float32 or bfloat16, as float32. */
INLINE __m512 load(const void *from, int64_t i, int is_bfloat16) {
    if (!is_bfloat16) return _mm512_loadu_ps((const float *)from + i);
    __m256i halves = _mm256_loadu_si256((const void *)((const uint16_t *)from + i));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

/* Only those that `filled` says, and zeros for the rest. */
INLINE __m512 load_some(const void *from, int64_t i, __mmask16 filled, int is_bfloat16) {
    if (!is_bfloat16) return _mm512_maskz_loadu_ps(filled, (const float *)from + i);
    __m256i halves = _mm256_maskz_loadu_epi16(filled, (const uint16_t *)from + i);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

/* Sixty-four bytes, and asks for those that come later. */
INLINE __m512i next(const uint8_t *from) {
    _mm_prefetch((const char *)(from + AHEAD), _MM_HINT_T0);
    return _mm512_loadu_si512(from);
}

INLINE void store(void *to, int64_t i, __m512 x, int is_bfloat16) {
    if (is_bfloat16)
        _mm256_storeu_si256((void *)((uint16_t *)to + i), (__m256i)_mm512_cvtneps_pbh(x));
    else
        _mm512_storeu_ps((float *)to + i, x);
}

INLINE void store_some(void *to, int64_t i, __mmask16 filled, __m512 x, int is_bfloat16) {
    if (is_bfloat16)
        _mm256_mask_storeu_epi16((uint16_t *)to + i, filled, (__m256i)_mm512_cvtneps_pbh(x));
    else
        _mm512_mask_storeu_ps((float *)to + i, filled, x);
}

/* 2 to the power of x, by the series of exp(ln(2) * fraction): seven digits. */
INLINE __m512 power_of_two(__m512 x) {
    const float series[] = {1.5403530e-4f, 1.3333558e-3f, 9.6181291e-3f, 5.5504109e-2f,
                            2.4022651e-1f, 6.9314718e-1f, 1.0f};
    __m512 whole = _mm512_roundscale_ps(x, 0), fraction = _mm512_sub_ps(x, whole);
    __m512 y = _mm512_set1_ps(series[0]);
    for (int i = 1; i < 7; i++) y = _mm512_fmadd_ps(y, fraction, _mm512_set1_ps(series[i]));
    return _mm512_scalef_ps(y, whole);
}

/* The same for what is rounded to bfloat16 next, by the nearest cubic between 0 and 1: four
 * digits. */
INLINE __m512 short_power_of_two(__m512 x) {
    const float series[] = {7.8024521e-2f, 2.2606716e-1f, 6.9583354e-1f, 9.9992522e-1f};
    __m512 fraction = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    __m512 y = _mm512_set1_ps(series[0]);
    for (int i = 1; i < 4; i++) y = _mm512_fmadd_ps(y, fraction, _mm512_set1_ps(series[i]));
    return _mm512_scalef_ps(y, x); /* takes the whole part */
}
