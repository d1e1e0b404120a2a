/* Matrices in squares of 32 by 32 bfloat16, as AMX multiplies them.
 *
 * A square takes 2048 bytes, and squares follow each other: [rows / 32, columns / 32] of them on
 * the left of a product, [columns / 32, rows / 32] on the right. On the left a square is its rows,
 * one after the other; on the right it is two halves of sixteen columns, and each of their lines
 * holds a pair of rows, column by column ([2, 16 pairs, 16 columns, 2]), as `dpbf16` wants them. A
 * picture's rows are filled up to whole squares, so that its results do not depend on other
 * pictures, to the bit. */

#pragma once

#include "tiles.h"

#define SIDE 32
#define SQUARE (SIDE * SIDE)

INLINE int64_t squares(int64_t numbers) { return (numbers + SIDE - 1) / SIDE; }

/* What a thread does before it multiplies squares, and after. What is next to nothing becomes zero,
 * as it would take a hundred times as long. */
INLINE unsigned begin_squares(int has_tiles) {
    const int64_t lines[8] = {16, 16, 16, 16, 16, 16, 16, 16};
    const unsigned mode = _mm_getcsr();
    _mm_setcsr(mode | _MM_FLUSH_ZERO_ON);
    if (has_tiles) set_up_tiles(lines);
    return mode;
}

INLINE void end_squares(unsigned mode, int has_tiles) {
    if (has_tiles) _tile_release();
    _mm_setcsr(mode);
}

/* Sums of 32 by 32 in float32, which begin at zero if `fresh`: the first four tiles hold them. */
INLINE void take_sums(float *sums, int fresh, int has_tiles) {
    const int64_t line = SIDE * sizeof(float);
    __asm__ volatile("" : : : "memory"); /* gcc does not see what tiles read */
    if (!has_tiles) {
        if (fresh) memset(sums, 0, SQUARE * sizeof(float));
    } else if (fresh) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    } else {
        _tile_loadd(0, sums, line);
        _tile_loadd(1, sums + 16, line);
        _tile_loadd(2, sums + SQUARE / 2, line);
        _tile_loadd(3, sums + SQUARE / 2 + 16, line);
    }
}

INLINE void keep_sums(float *sums, int has_tiles) {
    const int line = SIDE * sizeof(float);
    if (has_tiles) {
        _tile_stored(0, sums, line);
        _tile_stored(1, sums + 16, line);
        _tile_stored(2, sums + SQUARE / 2, line);
        _tile_stored(3, sums + SQUARE / 2 + 16, line);
    }
    __asm__ volatile("" : : : "memory");
}

/* What is on the right is not kept in the L1 cache: it is larger. */
INLINE void add_tiles(const uint16_t *left, const uint16_t *right) {
    _tile_loadd(4, left, 64);
    _tile_stream_loadd(6, right, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_stream_loadd(7, right + SQUARE / 2, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, left + SQUARE / 2, 64);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
}

/* Eight rows at a time. */
static __attribute__((noinline)) void add_registers(const uint16_t *left, const uint16_t *right,
                                                    float *sums) {
    for (int row = 0; row < SIDE; row += 8, left += 8 * SIDE, sums += 8 * SIDE) {
        __m512 y[8][2];
        for (int r = 0; r < 8; r++)
            for (int h = 0; h < 2; h++) y[r][h] = _mm512_loadu_ps(sums + r * SIDE + 16 * h);
        for (int pair = 0; pair < 16; pair++) {
            const uint16_t *x = left + 2 * pair, *w = right + pair * SIDE;
            __m512bh first = (__m512bh)_mm512_loadu_si512(w);
            __m512bh second = (__m512bh)_mm512_loadu_si512(w + SQUARE / 2);
            for (int r = 0; r < 8; r++) {
                int32_t both;
                memcpy(&both, x + r * SIDE, 4);
                __m512bh inputs = (__m512bh)_mm512_set1_epi32(both);
                y[r][0] = _mm512_dpbf16_ps(y[r][0], inputs, first);
                y[r][1] = _mm512_dpbf16_ps(y[r][1], inputs, second);
            }
        }
        for (int r = 0; r < 8; r++)
            for (int h = 0; h < 2; h++) _mm512_storeu_ps(sums + r * SIDE + 16 * h, y[r][h]);
    }
}

/* sums += left @ right */
INLINE void add_square(const uint16_t *left, const uint16_t *right, float *sums, int has_tiles) {
    if (has_tiles)
        add_tiles(left, right);
    else
        add_registers(left, right, sums);
}

/* Thirty-two numbers as a line of a square. */
INLINE void store_line(uint16_t *to, __m512 first, __m512 second) {
    _mm512_storeu_si512(to, (__m512i)_mm512_cvtne2ps_pbh(second, first));
}
