/* Attention of all patches of a picture to all of them. */

#include "squares.h"

typedef struct {
    const uint16_t *qkv; /* [pictures, rows, 3, heads, width] */
    uint16_t *out;       /* squares [pictures, rows / 32, heads * width / 32] */
    int64_t pictures, rows, heads, width;
    float scale;
    int has_tiles, threads;
} PictureAttention;

/* Sixteen rows of sixteen pairs of numbers become the lines of half a square: columns of pairs. */
static void turn(const uint16_t *from, int64_t row, int64_t rows, uint16_t *to) {
    const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    __m512i line[16];
    for (int r = 0; r < 16; r++)
        line[r] = r < rows ? _mm512_loadu_si512(from + r * row) : _mm512_setzero_si512();
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

/* Thirty-two keys become the columns of the right side, and the values the pairs of its lines. */
static void lay_out(const uint16_t *k, const uint16_t *v, int64_t row, int64_t rows, int64_t width,
                    uint16_t *keys, uint16_t *values, int64_t panel) {
    const __m512i low = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40,
                                         8, 39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
    for (int64_t i = 0; i < width; i += SIDE) {
        for (int64_t half = 0; half < 2; half++)
            turn(k + half * 16 * row + i, row, rows - half * 16,
                 keys + i * SIDE + half * SQUARE / 2);
        uint16_t *to = values + i / SIDE * panel;
        for (int64_t r = 0; r < SIDE; r += 2, to += SIDE) {
            const __m512i zero = _mm512_setzero_si512();
            __m512i first = r < rows ? _mm512_loadu_si512(v + r * row + i) : zero;
            __m512i second = r + 1 < rows ? _mm512_loadu_si512(v + (r + 1) * row + i) : zero;
            _mm512_storeu_si512(to, _mm512_permutex2var_epi16(first, low, second));
            _mm512_storeu_si512(to + SQUARE / 2, _mm512_permutex2var_epi16(first, high, second));
        }
    }
}

typedef struct {
    uint16_t *keys, *values, *queries, *weights;
    float *scores, *sum;
} Room;

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

/* Thirty-two queries of a head, whose keys and values are laid out. */
static void attend_block(const PictureAttention *job, const uint16_t *q, int64_t start, Room room,
                         uint16_t *out) {
    const int64_t length = job->rows, blocks = squares(length), panels = job->width / SIDE;
    const int64_t row = 3 * job->heads * job->width;
    const float factor = job->scale * 1.44269504f;
    for (int64_t i = 0; i < job->width; i += SIDE)
        for (int64_t r = 0; r < least(SIDE, length - start); r++)
            memcpy(room.queries + (i + r) * SIDE, q + (start + r) * row + i, 2 * SIDE);
    __m512 top[SIDE], total[SIDE];
    for (int r = 0; r < SIDE; r++)
        top[r] = _mm512_set1_ps(-INFINITY), total[r] = _mm512_setzero_ps();
    for (int64_t block = 0; block < blocks; block++) {
        float *scores = room.scores + block * SQUARE;
        add_product(room.queries, room.keys + block * panels * SQUARE, panels, scores, 1,
                    job->has_tiles);
        raise_tops(scores, length - block * SIDE, top);
    }
    for (int r = 0; r < SIDE; r++) top[r] = _mm512_set1_ps(_mm512_reduce_max_ps(top[r]) * factor);
    for (int64_t block = 0; block < blocks; block++)
        soften(room.scores + block * SQUARE, length - block * SIDE, factor, top,
               room.weights + block * SQUARE, total);
    for (int r = 0; r < SIDE; r++) total[r] = _mm512_set1_ps(1 / _mm512_reduce_add_ps(total[r]));
    for (int64_t panel = 0; panel < panels; panel++, out += SQUARE) {
        add_product(room.weights, room.values + panel * blocks * SQUARE, blocks, room.sum, 1,
                    job->has_tiles);
        for (int64_t r = 0; r < SIDE; r++) {
            __m512 first = _mm512_loadu_ps(room.sum + r * SIDE);
            __m512 second = _mm512_loadu_ps(room.sum + r * SIDE + 16);
            store_line(out + r * SIDE, _mm512_mul_ps(first, total[r]),
                       _mm512_mul_ps(second, total[r]));
        }
    }
}

static void attend_head(const PictureAttention *job, int64_t picture, int64_t head, Room room) {
    const int64_t length = job->rows, width = job->width, whole = job->heads * width;
    const int64_t row = 3 * whole, blocks = squares(length), panels = width / SIDE;
    const uint16_t *q = job->qkv + picture * length * row + head * width;
    for (int64_t block = 0; block < blocks; block++) {
        const uint16_t *k = q + block * SIDE * row + whole;
        lay_out(k, k + whole, row, length - block * SIDE, width,
                room.keys + block * panels * SQUARE, room.values + block * SQUARE, blocks * SQUARE);
    }
    for (int64_t block = 0; block < blocks; block++) {
        const int64_t place = (picture * blocks + block) * job->heads + head;
        attend_block(job, q, block * SIDE, room, job->out + place * panels * SQUARE);
    }
}

EXPORTED void janus_attend_pictures(const PictureAttention *job) {
    const int64_t length = squares(job->rows) * SIDE, width = job->width;
#pragma omp parallel num_threads(job->threads)
    {
        const int64_t numbers = 2 * length * width + SIDE * width + SIDE * length;
        uint16_t *halves = aligned_alloc(64, numbers * sizeof(uint16_t));
        float *singles = aligned_alloc(64, (SIDE * length + SQUARE) * sizeof(float));
        Room room = {halves, halves + length * width, halves + 2 * length * width,
                     halves + 2 * length * width + SIDE * width, singles,
                     singles + SIDE * length};
        memset(room.queries, 0, 2 * SIDE * width);
        take_tiles(job->has_tiles);
#pragma omp for collapse(2) schedule(dynamic)
        for (int64_t picture = 0; picture < job->pictures; picture++)
            for (int64_t head = 0; head < job->heads; head++)
                attend_head(job, picture, head, room);
        leave_tiles(job->has_tiles);
        free(halves);
        free(singles);
    }
}
