/* Attention of 32 queries at a time to keys and values in squares. */

#pragma once

#include "squares.h"

/* Half a square: sixteen rows of sixteen pairs of numbers become lines of pairs, of which those are
 * columns. `width` numbers lie from one row to the next, here and below. */
static void turn(const uint16_t *from, int64_t width, int64_t rows, uint16_t *to) {
    const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    __m512i line[16];
    for (int r = 0; r < 16; r++)
        line[r] = r < rows ? _mm512_loadu_si512(from + r * width) : _mm512_setzero_si512();
    for (int apart = 1; apart < 16; apart *= 2) {
        const __mmask16 later = _mm512_test_epi32_mask(lane, _mm512_set1_epi32(apart));
        const __m512i other = _mm512_add_epi32(lane, _mm512_set1_epi32(16));
        __m512i upper = _mm512_mask_sub_epi32(lane, later, other, _mm512_set1_epi32(apart));
        __m512i lower = _mm512_mask_add_epi32(other, (__mmask16)~later, lane,
                                              _mm512_set1_epi32(apart));
        for (int r = 0; r < 16; r++) {
            if (r & apart) continue;
            const __m512i x = line[r], y = line[r | apart];
            line[r] = _mm512_permutex2var_epi32(x, upper, y);
            line[r | apart] = _mm512_permutex2var_epi32(x, lower, y);
        }
    }
    for (int r = 0; r < 16; r++) _mm512_storeu_si512(to + r * SIDE, line[r]);
}

/* Keys become columns of a square on the right, as many as there are rows. */
static void lay_out_keys(const uint16_t *from, int64_t width, int64_t rows, uint16_t *to) {
    turn(from, width, rows, to);
    turn(from + 16 * width, width, rows - 16, to + SQUARE / 2);
}

/* Values become pairs of rows. */
static void lay_out_values(const uint16_t *from, int64_t width, int64_t rows, uint16_t *to) {
    const __m512i low = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40,
                                         8, 39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
    for (int64_t r = 0; r < SIDE; r += 2, from += 2 * width, to += SIDE) {
        const __m512i zero = _mm512_setzero_si512();
        __m512i first = r < rows ? _mm512_loadu_si512(from) : zero;
        __m512i second = r + 1 < rows ? _mm512_loadu_si512(from + width) : zero;
        _mm512_storeu_si512(to, _mm512_permutex2var_epi16(first, low, second));
        _mm512_storeu_si512(to + SQUARE / 2, _mm512_permutex2var_epi16(first, high, second));
    }
}

/* Keys and values that some queries see, in squares as products need them, and room for what comes of
 * them. */
typedef struct {
    int64_t lines, panels; /* squares one below and beside the other */
    uint16_t *keys, *values;
    float *scores; /* [lines, 32, 32] */
    uint16_t *weights;
    float *sums, scale; /* in powers of two */
} Head;

/* Up to thirty-two queries, in squares. The first sees `seen` keys, and each one after it `more`
 * than the one before. */
typedef struct {
    const uint16_t *queries;
    uint16_t *out; /* [rows, width], [panels] of 32 numbers of each row */
    int64_t seen, more, rows, width, panel;
} Line;

INLINE int64_t room_of_head(int64_t lines, int64_t panels) {
    const int64_t halves = 2 * lines * panels + lines;
    return (halves * sizeof(uint16_t) + (lines + 1) * sizeof(float)) * SQUARE;
}

INLINE Head head_in(float *room, int64_t lines, int64_t panels, float scale) {
    uint16_t *halves = (uint16_t *)(room + (lines + 1) * SQUARE);
    return (Head){.lines = lines,
                  .panels = panels,
                  .keys = halves,
                  .values = halves + lines * panels * SQUARE,
                  .weights = halves + 2 * lines * panels * SQUARE,
                  .scores = room,
                  .sums = room + lines * SQUARE,
                  .scale = 1.44269504f * scale};
}

INLINE float *scores_at(const Head *head, int64_t line, int64_t row) {
    return head->scores + line * SQUARE + row * SIDE;
}

/* Keys that a query does not see get no weight. */
static void hide(const Head *head, const Line *line, int64_t lines) {
    for (int64_t row = 0; row < SIDE; row++)
        for (int64_t i = line->seen + row * line->more; i < lines * SIDE; i++)
            scores_at(head, i / SIDE, row)[i % SIDE] = -INFINITY;
}

INLINE void raise_tops(const Head *head, int64_t line, int64_t row, __m512 *tops) {
    const float *scores = scores_at(head, line, row);
    tops[0] = _mm512_max_ps(tops[0], _mm512_loadu_ps(scores));
    tops[1] = _mm512_max_ps(tops[1], _mm512_loadu_ps(scores + 16));
}

/* weights = 2 ** (scale * (scores - the row's largest)), and their sums. A row's largest is found
 * beside the weights of the row before: by itself, it is a chain that everything waits for. */
static void soften(const Head *head, int64_t lines, __m512 *sums) {
    const __m512 scale = _mm512_set1_ps(head->scale), none = _mm512_set1_ps(-INFINITY);
    __m512 tops[2] = {none, none};
    for (int64_t i = 0; i < lines; i++) raise_tops(head, i, 0, tops);
    for (int64_t row = 0; row < SIDE; row++) {
        const __m512 top = _mm512_max_ps(tops[0], tops[1]);
        const __m512 scaled = _mm512_set1_ps(_mm512_reduce_max_ps(top) * head->scale);
        __m512 total[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
        tops[0] = tops[1] = none;
        for (int64_t i = 0; i < lines; i++) {
            const float *scores = scores_at(head, i, row);
            __m512 x = _mm512_fmsub_ps(_mm512_loadu_ps(scores), scale, scaled);
            __m512 y = _mm512_fmsub_ps(_mm512_loadu_ps(scores + 16), scale, scaled);
            raise_tops(head, i, least(row + 1, SIDE - 1), tops);
            x = short_power_of_two(x);
            y = short_power_of_two(y);
            total[0] = _mm512_add_ps(total[0], x);
            total[1] = _mm512_add_ps(total[1], y);
            store_line(head->weights + i * SQUARE + row * SIDE, x, y);
        }
        sums[row] = _mm512_add_ps(total[0], total[1]);
    }
}

INLINE void attend_line(const Head *head, const Line *line, const int has_tiles) {
    /* No further than a query sees: what lies there may be another row's, and no number at all. */
    const int64_t lines = squares(line->seen + (line->rows - 1) * line->more);
    const int64_t panels = head->panels;
    for (int64_t i = 0; i < lines; i++) {
        float *scores = scores_at(head, i, 0);
        take_sums(scores, 1, has_tiles);
        for (int64_t p = 0; p < panels; p++)
            add_square(line->queries + p * SQUARE, head->keys + (i * panels + p) * SQUARE, scores,
                       has_tiles);
        keep_sums(scores, has_tiles);
    }
    hide(head, line, lines);
    __m512 factors[SIDE];
    soften(head, lines, factors);
    for (int64_t row = 0; row < SIDE; row++)
        factors[row] = _mm512_set1_ps(1 / _mm512_reduce_add_ps(factors[row]));
    for (int64_t p = 0; p < panels; p++) {
        const uint16_t *values = head->values + p * head->lines * SQUARE;
        uint16_t *out = line->out + p * line->panel;
        take_sums(head->sums, 1, has_tiles);
        for (int64_t i = 0; i < lines; i++)
            add_square(head->weights + i * SQUARE, values + i * SQUARE, head->sums, has_tiles);
        keep_sums(head->sums, has_tiles);
        for (int64_t row = 0; row < line->rows; row++) {
            __m512 first = _mm512_loadu_ps(head->sums + row * SIDE);
            __m512 second = _mm512_loadu_ps(head->sums + row * SIDE + 16);
            store_line(out + row * line->width, _mm512_mul_ps(first, factors[row]),
                       _mm512_mul_ps(second, factors[row]));
        }
    }
}
