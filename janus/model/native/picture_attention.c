/* Attention of all patches of a picture to all of them. */

#include "pictures.h"

/* Half a square: sixteen rows of sixteen pairs of numbers become lines of pairs, of which those are
 * columns. */
static void turn(const uint16_t *from, int64_t rows, uint16_t *to) {
    const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    __m512i line[16];
    for (int r = 0; r < 16; r++)
        line[r] = r < rows ? _mm512_loadu_si512(from + r * SIDE) : _mm512_setzero_si512();
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

/* A square of keys becomes columns of the right side, as many as there are rows. */
static void lay_out_keys(const uint16_t *from, int64_t rows, uint16_t *to) {
    turn(from, rows, to);
    turn(from + SQUARE / 2, rows - 16, to + SQUARE / 2);
}

/* A square of values becomes pairs of rows. */
static void lay_out_values(const uint16_t *from, int64_t rows, uint16_t *to) {
    const __m512i low = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40,
                                         8, 39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
    for (int64_t r = 0; r < SIDE; r += 2, from += 2 * SIDE, to += SIDE) {
        const __m512i zero = _mm512_setzero_si512();
        __m512i first = r < rows ? _mm512_loadu_si512(from) : zero;
        __m512i second = r + 1 < rows ? _mm512_loadu_si512(from + SIDE) : zero;
        _mm512_storeu_si512(to, _mm512_permutex2var_epi16(first, low, second));
        _mm512_storeu_si512(to + SQUARE / 2, _mm512_permutex2var_epi16(first, high, second));
    }
}

/* A head of a picture; its squares of keys and values follow each other as products need them. */
typedef struct {
    int64_t length, panels; /* patches, and squares side by side */
    uint16_t *keys, *values, *weights;
    float *scores, *sums, scale;
    int has_tiles;
} Head;

static void add_product(const uint16_t *left, const uint16_t *right, int64_t steps, float *sums,
                        int has_tiles) {
    if (!has_tiles) {
        add_registers(left, right, steps, sums, 1);
        return;
    }
    take_sums(sums, 1);
    for (int64_t k = 0; k < steps; k++) add_square(left + k * SQUARE, right + k * SQUARE);
    keep_sums(sums);
}

INLINE __mmask16 seen(int64_t place, int64_t length) {
    return length - place >= 16 ? 0xffff : length <= place ? 0 : (1 << (length - place)) - 1;
}

/* Raises the largest scores of thirty-two queries to those of thirty-two more keys. */
static void raise_tops(const float *scores, int64_t length, __m512 *top) {
    const __mmask16 first = seen(0, length), second = seen(16, length);
    for (int r = 0; r < SIDE; r++, scores += SIDE) {
        top[r] = _mm512_mask_max_ps(top[r], first, top[r], _mm512_loadu_ps(scores));
        top[r] = _mm512_mask_max_ps(top[r], second, top[r], _mm512_loadu_ps(scores + 16));
    }
}

/* weights = 2 ** (factor * scores - top), which are added to the totals. */
static void soften(const float *scores, int64_t length, float factor, const __m512 *top,
                   uint16_t *weights, __m512 *total) {
    const __mmask16 first = seen(0, length), second = seen(16, length);
    const __m512 factors = _mm512_set1_ps(factor);
    for (int r = 0; r < SIDE; r++, scores += SIDE) {
        __m512 x = _mm512_fmsub_ps(_mm512_loadu_ps(scores), factors, top[r]);
        __m512 y = _mm512_fmsub_ps(_mm512_loadu_ps(scores + 16), factors, top[r]);
        x = _mm512_maskz_mov_ps(first, short_power_of_two(x));
        y = _mm512_maskz_mov_ps(second, short_power_of_two(y));
        total[r] = _mm512_add_ps(total[r], _mm512_add_ps(x, y));
        store_line(weights + r * SIDE, x, y);
    }
}

/* Thirty-two queries. */
static void attend_line(const Head *head, const uint16_t *queries, uint16_t *out) {
    const int64_t lines = squares(head->length), panels = head->panels;
    const float factor = head->scale * 1.44269504f;
    __m512 top[SIDE], total[SIDE];
    for (int r = 0; r < SIDE; r++)
        top[r] = _mm512_set1_ps(-INFINITY), total[r] = _mm512_setzero_ps();
    for (int64_t i = 0; i < lines; i++) {
        float *scores = head->scores + i * SQUARE;
        add_product(queries, head->keys + i * panels * SQUARE, panels, scores, head->has_tiles);
        raise_tops(scores, head->length - i * SIDE, top);
    }
    for (int r = 0; r < SIDE; r++) top[r] = _mm512_set1_ps(_mm512_reduce_max_ps(top[r]) * factor);
    for (int64_t i = 0; i < lines; i++)
        soften(head->scores + i * SQUARE, head->length - i * SIDE, factor, top,
               head->weights + i * SQUARE, total);
    for (int r = 0; r < SIDE; r++) total[r] = _mm512_set1_ps(1 / _mm512_reduce_add_ps(total[r]));
    for (int64_t p = 0; p < panels; p++, out += SQUARE) {
        const float *sums = head->sums;
        add_product(head->weights, head->values + p * lines * SQUARE, lines, head->sums,
                    head->has_tiles);
        for (int64_t r = 0; r < SIDE; r++, sums += SIDE) {
            __m512 first = _mm512_mul_ps(_mm512_loadu_ps(sums), total[r]);
            __m512 second = _mm512_mul_ps(_mm512_loadu_ps(sums + 16), total[r]);
            store_line(out + r * SIDE, first, second);
        }
    }
}

/* `from`: the queries of the first line. */
static void attend_head(const Head *head, const uint16_t *from, int64_t heads, uint16_t *out) {
    const int64_t lines = squares(head->length), panels = head->panels;
    const int64_t whole = heads * panels * SQUARE;
    for (int64_t i = 0; i < lines; i++)
        for (int64_t p = 0; p < panels; p++) {
            const uint16_t *keys = from + 3 * i * whole + whole + p * SQUARE;
            const int64_t rows = head->length - i * SIDE;
            lay_out_keys(keys, rows, head->keys + (i * panels + p) * SQUARE);
            lay_out_values(keys + whole, rows, head->values + (p * lines + i) * SQUARE);
        }
    for (int64_t i = 0; i < lines; i++) attend_line(head, from + 3 * i * whole, out + i * whole);
}

int64_t room_to_attend(const Pictures *job, const PictureStep *step) {
    const int64_t lines = squares(job->rows), panels = step->outputs / step->heads / SIDE;
    const int64_t halves = 2 * lines * panels + lines, singles = lines + 1;
    return (halves * sizeof(uint16_t) + singles * sizeof(float)) * SQUARE;
}

void attend_pictures_shared(const Pictures *job, const PictureStep *step, float *scratch) {
    const int64_t lines = squares(job->rows), heads = step->heads;
    const int64_t width = step->outputs / heads, panels = width / SIDE;
    uint16_t *halves = (uint16_t *)(scratch + (lines + 1) * SQUARE);
    const Head head = {.length = job->rows,
                       .panels = panels,
                       .keys = halves,
                       .values = halves + lines * panels * SQUARE,
                       .weights = halves + 2 * lines * panels * SQUARE,
                       .scores = scratch,
                       .sums = scratch + lines * SQUARE,
                       .scale = 1 / sqrtf(width),
                       .has_tiles = job->has_tiles};
#pragma omp for collapse(2) schedule(dynamic)
    for (int64_t picture = 0; picture < job->pictures; picture++)
        for (int64_t h = 0; h < heads; h++) {
            const int64_t column = h * panels * SQUARE, line = picture * lines * SIDE;
            attend_head(&head, job->buffers[step->from] + line * step->inputs + column, heads,
                        job->buffers[step->to] + line * step->outputs + column);
        }
}
